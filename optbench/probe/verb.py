"""The verb `probe`."""

from __future__ import annotations

import json
from collections.abc import Sequence

from optbench.config.flags import taken
from optbench.console import print_error, print_lines, print_text, shown
from optbench.errors import UserError
from optbench.files import strict

VALUED = ("--at", "--out", "--config-dir")
SWITCHES = ("--json", "--trust")


def begin(arguments: Sequence[str]) -> int:
    """Run `optbench probe RUN [--at STEP|best|last|all] [words] [flags]`; return the exit code."""
    flags, words = taken("probe", arguments, VALUED, SWITCHES, {"-o": "--out"})
    if not words or not words[0] or "=" in words[0]:
        raise UserError("probe: which run? optbench probe RUN [--at best|last|all|STEP]")
    run, *rest = words
    from optbench.probe.asked import asked

    wanted = asked(rest)
    from optbench.probe.printing import print_measured
    from optbench.probe.probe import probe
    from optbench.runs.log import Log

    found = probe(
        run,
        wanted,
        Log(),
        at=flags.get("--at"),
        out=flags.get("--out"),
        trust="--trust" in flags,
        config_dir=flags.get("--config-dir"),
    )
    if "--json" in flags:
        print_lines(json.dumps(strict(found.plain), indent=1))
    else:
        print_measured(found.measured)
        for note in found.missing:
            print_text(note)
        if found.folder is not None:
            print_lines(shown(found.folder))
    empty, signal = found.measured.empty, found.measured.signal
    if signal:
        print_error("optbench: interrupted" + ("" if empty else "; what was measured stays"))
        return 128 + signal
    if empty:
        if "--json" in flags:
            return 2
        raise UserError("probe: nothing could be measured")
    return 0
