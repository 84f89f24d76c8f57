"""What a claim came to, as plain data: `claim.json`, which is published as it is."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from optbench.claims.asked import Asked
from optbench.claims.claim import Claim
from optbench.claims.experiment import Planned
from optbench.claims.judged import Judged
from optbench.claims.measured import Measured
from optbench.claims.verdict import verdict
from optbench.escape import shell_word
from optbench.processor import processor
from optbench.rundir import RunDir

FORMAT = 1
PACKAGES = ("optbench", "python", "torch", "numpy")


def outcome(
    claim: Claim,
    wanted: Asked,
    planned: Sequence[Planned],
    measured: Mapping[str, Measured],
    judged: Mapping[str, Sequence[Judged]],
) -> dict[str, Any]:
    """Return all that is known of a claim after its runs, but how long they took.

    Args:
        claim: that was tested.
        wanted: how it was asked for.
        planned: what was run.
        measured, judged: by case.
    """
    found = verdict(judged)
    return {
        "format": FORMAT,
        "claim": claim.name,
        "section": list(claim.section),
        "sentence": claim.sentence,
        "question": claim.question,
        "verdict": found.word,
        "said": found.said,
        "p": found.p,
        "budget": wanted.budget,
        "seeds": list(planned[0].seeds),
        "drawn": not claim.exact,
        "runs": sum(each.runs for each in planned if each.part.verb != "probe"),
        "fixed": claim.fixed,
        "as_published": wanted.as_published,
        "overrides": list(wanted.overrides),
        "instead": dict(wanted.instead or {}),
        "cases": [
            {
                "name": name,
                "answer": found.cases[name],
                "rules": [asdict(each) for each in rules],
                "values": {
                    quantity: {str(seed): value for seed, value in of_seed.items()}
                    for quantity, of_seed in measured[name].values.items()
                },
                "notes": list(measured[name].notes),
            }
            for name, rules in judged.items()
        ],
        "command": command_of(claim, wanted),
        "date": date_text(datetime.now(UTC).timestamp()),
        "hardware": hardware(),
        **_made_with(planned, measured),
    }


def date_text(seconds: float) -> str:
    """Return a date and a time of the day in UTC.

    Args:
        seconds: of the epoch.
    """
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def command_of(claim: Claim, wanted: Asked) -> str:
    """Return the command that runs it like this."""
    words = [f"budget={wanted.budget}"]
    if wanted.seeds is not None:
        words.append(f"seeds={wanted.seeds}")
    if wanted.first is not None:
        words.append(f"seed={wanted.first}")
    if wanted.instead:
        pairs = ", ".join(f"{old}: {new}" for old, new in wanted.instead.items())
        words.append(f"instead={{{pairs}}}")
    return shell_line(["optbench", "claim", claim.name, *words, *wanted.overrides])


def shell_line(words: Sequence[str]) -> str:
    """Return words as they are typed."""
    return " ".join(shell_word(word) for word in words)


def hardware() -> dict[str, Any]:
    """Return cores and processor, in general words."""
    return {"cores": os.cpu_count(), "processor": processor(), "system": platform.system()}


def _made_with(planned: Sequence[Planned], measured: Mapping[str, Measured]) -> dict[str, Any]:
    from optbench.runs.environment import made_with

    known = made_with()
    return {
        "versions": {name: known["versions"].get(name) for name in PACKAGES},
        "commit": known["git"],
    }


def folder_of(root: Path, budget: str, name: str) -> RunDir:
    """Return a claim's folder."""
    return RunDir(root / budget / name)
