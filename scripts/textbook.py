"""Publishes what claims came to: results, pictures and pages of docs/textbook.

Takes the full runs of `runs/claims/full` (or --runs FOLDER) whose rule is the
one that is committed, and was committed before the run began.

    optbench claim NAME budget=full
    python scripts/textbook.py [NAME...] [--runs FOLDER] [--out FOLDER] [--quick]
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from PIL import Image

from common import parser, start
from optbench.claims.asked import claim_of, names_of_claims
from optbench.claims.claim import Claim
from optbench.claims.read import read_claim
from optbench.compose.composer import hydra_session
from optbench.errors import UserError
from optbench.files import load_json
from textbook_pages import pages, write

ROOT = Path(__file__).parents[1]
OUT = ROOT / "docs" / "textbook"
RUNS = Path("runs/claims/full")
DATE = "%Y-%m-%d %H:%M UTC"
COLOURS = 256


def git(*words: str) -> str:
    """What git prints; empty where it can't."""
    done = subprocess.run(
        ["git", "-C", str(ROOT), *words], capture_output=True, encoding="utf-8", check=False
    )
    return done.stdout if done.returncode == 0 else ""


def why_not(claim: Claim, said: Mapping[str, Any]) -> str:
    """Why an outcome can't be published; empty if it can."""
    if said["budget"] != "full" or not said["as_published"]:
        return "not the full run of the claim as it stands"
    if said["fixed"] != claim.fixed:
        return "the rule is another than the one that it was run with"
    path = f"configs/claim/{claim.name}.yaml"
    began = datetime.strptime(said["begun"], DATE).replace(tzinfo=UTC)
    fixed = claim.fixed
    before = git("log", "--format=%H %at", "--", path).split("\n")
    for commit, _, seconds in (line.partition(" ") for line in before if line):
        committed = datetime.fromtimestamp(int(seconds), UTC)
        text = git("show", f"{commit}:{path}")
        if committed.timestamp() > began.timestamp() + 59 or not text:  # dates have minutes
            continue
        try:
            if (
                read_claim(OmegaConf.to_container(OmegaConf.create(text)), claim.name).fixed
                == fixed
            ):
                return ""
        except UserError:  # of an older form
            continue
    return "its rule was not committed before the run"


def publish(out: Path, claims: Mapping[str, Claim], folder: Path, names: Sequence[str]) -> None:
    """Copy outcomes and pictures of those that may be published."""
    for name in names or [path.parent.name for path in sorted(folder.glob("*/claim.json"))]:
        at = folder / name
        said = load_json(at / "claim.json")
        why = why_not(claims[name], said) if name in claims else "no claim of ours"
        if why:
            print(f"{name}: not published: {why}", flush=True)
            continue
        kept = {key: value for key, value in said.items() if key != "key"}
        target = out / "results" / f"{name}.json"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        if said["picture"]:
            picture(at / said["picture"], out / "images" / f"{name}.png")
        print(f"{name}: {said['said']}", flush=True)


def picture(path: Path, target: Path) -> None:
    """Copy a picture with few colours, which takes less room."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with Image.open(path) as drawn:
        drawn.convert("RGB").quantize(COLOURS).save(target, optimize=True)


def main() -> None:
    """Publishes, and writes the pages."""
    options = parser(__doc__)
    options.add_argument("names", nargs="*", help="of claims; all that were run by default")
    options.add_argument("--runs", type=Path, default=RUNS, help=f"{RUNS} by default")
    options.add_argument("--out", type=Path, default=OUT, help=f"{OUT} by default")
    asked = options.parse_args()
    with hydra_session() as composer:
        claims = {name: claim_of(composer, name) for name in names_of_claims(composer)}
    if not asked.quick:
        publish(asked.out, claims, asked.runs, asked.names)
    results = {path.stem: load_json(path) for path in (asked.out / "results").glob("*.json")}
    outcomes = {name: said for name, said in sorted(results.items()) if name in claims}
    with tempfile.TemporaryDirectory() as thrown_away:
        write(Path(thrown_away) if asked.quick else asked.out, pages(claims, outcomes))
    print(f"{len(outcomes)} claims on their pages")


if __name__ == "__main__":
    start(main)
