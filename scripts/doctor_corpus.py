"""Trainings with known faults, and healthy ones, on which `optbench doctor` is measured.

    python scripts/doctor_corpus.py FOLDER --part tuning
    python scripts/doctor_corpus.py FOLDER --part held_back [--wrong]

Trains what is not there yet, and goes on where it was interrupted; then prints precision and recall
of each rule, as docs/results/doctor.md has them. Four kinds of training (classification, recurrent,
GPT, autoencoder), each with one model for the part that thresholds are tuned on and another for the
part that is held back; a fault has one strength there and two others here.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import doctor_parts
import optbench
import optbench.tasks.language
from common import parser, start, train
from doctor_faults import faulty
from doctor_plan import PARTS, SEEDS, Planned, healthy
from doctor_score import report
from optbench.errors import UserError

COMMON = ("device=cpu", "threads=1", "monitor.tensorboard=false", "checkpoint=none")
QUICK = 12
"""Of the quick trainings each so manieth."""


def main() -> None:
    """Train, and print the table of a part."""
    options = parser(__doc__)
    options.add_argument("folder", type=Path, nargs="?", default=Path("runs/doctor_corpus"))
    options.add_argument("--part", choices=PARTS, default="tuning", help="of the trainings")
    options.add_argument("--wrong", action="store_true", help="name false alarms, and misses")
    options.add_argument("--score", action="store_true", help="train nothing: score what is there")
    arguments = options.parse_args()
    optbench.tasks.language.SAMPLE_LENGTH = 1  # to write a sample takes longer than to train
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) if arguments.quick else arguments.folder.absolute()
        if not arguments.score:
            _make(folder, arguments.part, arguments.quick)
        print("\n".join(report(folder, arguments.part, arguments.wrong)))


def _make(folder: Path, part: str, quick: bool) -> None:
    """Train what is not there of a part; of the quick ones a few."""
    folder.mkdir(parents=True, exist_ok=True)
    seeds = 1 if quick else SEEDS
    plan = sorted([*healthy(seeds), *faulty(seeds)], key=lambda each: each.seed)
    plan = plan[:: QUICK if quick else 1]
    for number, name in enumerate(PARTS):
        doctor_parts.write_text(folder / f"text-{name}.txt", number)
    listed = {each.folder: {k: v for k, v in asdict(each).items() if k != "then"} for each in plan}
    (folder / "corpus.json").write_text(json.dumps(listed, indent=1), encoding="utf-8")
    begun = time.perf_counter()
    own = [each for each in plan if each.part == part]
    for number, each in enumerate(own, start=1):
        _one(folder, each, quick)
        if number % 20 == 0:
            print(f"{number} of {len(own)}, {time.perf_counter() - begun:.0f} s", flush=True)


def _one(folder: Path, each: Planned, quick: bool) -> None:
    path = folder / each.folder
    done = path / "summary.json"
    if done.exists() and (not each.then or (path / "resumed").exists()):
        return
    line = [o.replace("dataset.path=", f"dataset.path={folder}/") for o in each.overrides]
    if quick:
        line = [o for o in line if not o.startswith(("epochs=", "steps="))] + ["steps=20"]
    try:
        if not done.exists():
            train(
                *line,
                *[c for c in COMMON if c != "checkpoint=none" or not each.then],
                f"seed={each.seed}",
                folder=path,
            )
        if each.then:
            optbench.resume(path, *(("steps=30",) if quick else each.then))
            (path / "resumed").touch()
    except UserError as error:
        raise SystemExit(f"{each.folder}: {error}") from None


if __name__ == "__main__":
    start(main)
