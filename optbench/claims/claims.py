"""A claim from its experiment to its verdict, in its folder `runs/claims/BUDGET/NAME`."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optbench.claims.asked import Asked
from optbench.claims.claim import Claim
from optbench.claims.experiment import Planned, plan, seeds_of
from optbench.claims.measured import Measured
from optbench.claims.measuring import code_hash, function_of, measured
from optbench.claims.outcome import date_text, outcome
from optbench.claims.picture import draw
from optbench.claims.rules import judge_all
from optbench.claims.run import Doer
from optbench.compose.composer import Composer
from optbench.config.identity import digest
from optbench.errors import UserError
from optbench.files import load_json, strict, write_atomically

ROOT = "runs/claims"
OUTCOME, PICTURE = "claim.json", "claim.png"


@dataclass(frozen=True)
class Ready:
    """A claim that is to be tested; nothing of it is run.

    Attributes:
        claim: with its rule.
        wanted: how it was asked for.
        parts: of its experiment.
        folder: its own.
        key: of all that decides what comes of it.
    """

    claim: Claim
    wanted: Asked
    parts: Sequence[Planned]
    folder: Path
    key: str

    @property
    def done(self) -> dict[str, Any] | None:
        """What came of it, where just this was done before."""
        try:
            said = load_json(self.folder / OUTCOME)
        except (OSError, UserError):
            return None
        return said if said.get("key") == self.key else None


def ready(composer: Composer, claim: Claim, wanted: Asked, root: str = ROOT) -> Ready:
    """Return a claim that can be tested: all of it was looked at, and no folder made.

    Raises:
        UserError: bad input; a data set that is missing.
    """
    if wanted.at_once > 1:
        raise UserError(f"at_once={wanted.at_once}: of claim --all alone")
    function = function_of(claim)
    parts = plan(composer, claim, wanted)
    key = digest([claim.fixed, code_hash(function), [each.hash for each in parts]])
    usual = wanted.as_published and wanted.seeds is None and wanted.first is None
    other = [wanted.overrides, wanted.instead, seeds_of(claim, wanted)]
    name = claim.name if usual else f"{claim.name}-{digest(other)}"
    return Ready(claim, wanted, parts, Path(root) / wanted.budget / name, key)


def test(at: Ready, config_dir: str | None, tell: Callable[[str], None]) -> dict[str, Any]:
    """Run what is left of a claim's experiment, measure it, and judge.

    Args:
        at: what `ready` gave.
        config_dir: of the user's own config files.
        tell: told of each part as it begins.

    Returns:
        What `claim.json` has.

    Raises:
        UserError: a run or a measure failed.
    """
    claim = at.claim
    doer = Doer(at.folder, at.wanted.executor, config_dir, tell)
    found: dict[str, Measured] = {}
    judged = {}
    for case in claim.cases:
        runs = doer.do([each for each in at.parts if each.case == case])
        found[case] = measured(claim, runs)
        judged[case] = judge_all(
            claim.rules,
            found[case],
            f"claim={claim.name}",
            exact=bool(claim.exact),
            questions=len(claim.cases),
        )
    said = outcome(claim, at.wanted, at.parts, found, judged)
    said |= {"seconds": round(doer.seconds(at.parts), 1), "begun": date_text(doer.begun(at.parts))}
    said["key"] = at.key
    missing = draw(at.folder / PICTURE, claim, found, judged)
    said["picture"] = None if missing else PICTURE
    if missing:
        tell(missing)
    write_atomically(at.folder / OUTCOME, json.dumps(strict(said), indent=1) + "\n")
    return said
