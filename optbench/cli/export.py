"""The verb `export`: a run's weights as a plain state dict."""

from __future__ import annotations

import os
from collections.abc import Sequence

from optbench.config.flags import taken
from optbench.console import print_lines, shown
from optbench.errors import UserError
from optbench.rundir import RunDir, path_of


def export(arguments: Sequence[str]) -> int:
    """Run `optbench export RUN -o FILE [--at best|last|STEP] [--force]`; return the exit code."""
    flags, words = taken("export", arguments, ("-o", "--output", "--at"), ("--force",))
    target = flags.get("-o") or flags.get("--output")
    if words[1:] and "=" not in words[1]:
        second = "a second folder; " * os.path.isdir(words[1])
        raise UserError(f"{words[1]}: {second}export takes one run at a time")
    if len(words) != 1 or not words[0] or target is None:
        raise UserError("export: which run, and where? optbench export RUN -o model.safetensors")
    folder = RunDir.existing(words[0], "")
    from optbench.runs import export as exporting
    from optbench.runs.weights import default_at, step_of

    at = flags.get("--at") or default_at(folder)
    step = step_of(folder, at, "--at ")
    file = path_of(target, what="a file")
    found = exporting.export(folder, step, file, "--force" in flags)
    count = sum(value.numel() for value in found.state.values())
    named = "" if at.isdecimal() else f" ({at})"
    averaged = ", averaged weights" if found.averaged else ""
    print_lines(f"{shown(file)}: step {step}{named}{averaged}, {count:,} numbers")
    return 0
