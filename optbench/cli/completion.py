"""Tab completion: Hydra's, with the verb taken out of the line."""

from __future__ import annotations

import os
from collections.abc import Sequence

from optbench.cli.main import VERBS
from optbench.console import print_lines


def completion(arguments: Sequence[str]) -> int:
    """Answer `optbench -sc install=bash` and the queries of the function that it installs.

    Install with `eval "$(optbench -sc install=bash)"`.
    """
    line = os.environ.get("COMP_LINE", "")
    words = line.split()
    if any("query=" in a for a in arguments) and words:
        verb = words[1] if len(words) > 1 else ""
        typing_verb = len(words) < 2 or (len(words) == 2 and not line.endswith(" "))
        if typing_verb:
            print_lines("\n".join(v for v in VERBS if v.startswith(verb)))
            return 0
        if verb == "list":
            return _groups("" if line.endswith(" ") else words[-1] if len(words) > 2 else "")
        if verb == "runs":
            return _filters("" if line.endswith(" ") else words[-1] if len(words) > 2 else "")
        if verb not in ("train", "resume", "evaluate", "find-lr", "show", "recommend"):
            return 0
        shorter = line.replace(f" {verb}", "", 1)
        if verb in ("resume", "evaluate"):
            if len(words) < 3 or (len(words) == 3 and not line.endswith(" ")):
                return 0  # the run: the shell completes folders
            shorter = shorter.replace(f" {words[2]}", "", 1)
        cut = len(line) - len(shorter)
        point = int(os.environ.get("COMP_POINT", str(len(line)))) - cut
        os.environ.update(COMP_LINE=shorter, COMP_POINT=str(point))
    from optbench.cli.training import _hydra
    from optbench.compose.resolvers import check_shell, register_resolvers

    check_shell(arguments)
    register_resolvers()
    return _hydra(arguments)


def _groups(start: str) -> int:
    from optbench.cli.listing import groups

    print_lines("\n".join(group for group in groups() if group.startswith(start)))
    return 0


def _filters(start: str) -> int:
    """Print what `runs` can be asked for; the shell completes folders."""
    from optbench.cli.listing import groups
    from optbench.shapes import KILLED, STATES

    states = [f"state={state}" for state in (*STATES, KILLED)]
    keys = [f"{key}=" for key in ("tag", "name", "notes", *groups())]
    offered = [*states, *keys, "--csv", "--json"]
    print_lines("\n".join(word for word in offered if word.startswith(start)))
    return 0
