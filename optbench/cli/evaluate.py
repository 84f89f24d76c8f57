"""The verb `evaluate`: what a run's checkpoint scores."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence

from optbench.config.flags import taken
from optbench.console import print_error, print_lines, print_table, shown
from optbench.errors import UserError
from optbench.files import strict
from optbench.monitor.numerals import significant
from optbench.rundir import RunDir


def evaluate(arguments: Sequence[str]) -> int:
    """Run `optbench evaluate RUN [--at best|last|STEP] [--json] [overrides]`; return the code."""
    valued, switches = ("--at", "--config-dir"), ("--json", "--trust")
    flags, words = taken("evaluate", arguments, valued, switches)
    if not words or not words[0] or "=" in words[0]:
        raise UserError("evaluate: which run? optbench evaluate RUN [--at best|last|STEP]")
    run, *overrides = words
    for word in overrides:
        if "=" not in word and os.path.isdir(word):
            raise UserError(f"{word}: a second folder; evaluate takes one run at a time")
    folder = RunDir.existing(run, "")
    from optbench.runs.evaluate import evaluated
    from optbench.runs.saved import HINT, read_saved
    from optbench.runs.weights import default_at, step_of

    at = flags.get("--at") or default_at(folder)
    step = step_of(folder, at, "--at ")
    saved = read_saved(folder, "--trust" in flags, to_write=False, hint=HINT, as_trained=True)
    found = evaluated(folder, saved, step, overrides, flags.get("--config-dir"))
    for note in found.notes:
        print_error(f"warning: {note}")
    if "--json" in flags:
        said = {"run": shown(folder.path), "step": step, "weights": found.weights}
        print_lines(json.dumps(strict({**said, "scores": found.scores}), indent=2))
        return 0
    named = "" if at.isdecimal() else f" ({at})"
    rows = [["checkpoint", f"step {step}{named}"]]
    if found.weights:
        rows.append(["weights", found.weights])
    rows += [[tag, significant(value)] for tag, value in found.scores.items()]
    print_table("", ["run", folder.path.name], rows)
    return 0
