"""Tab completion: the verbs' own flags and words, and Hydra's, with the verb taken out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence

from optbench.compose.paths import configs_folder
from optbench.compose.resolvers import check_shell, register_resolvers
from optbench.console import print_lines
from optbench.errors import UserError
from optbench.shapes import KILLED, STATES

_OF_ONE_CONFIG = "--config-dir --help"
_SAID = {
    "train": "--multirun --config-dir --cfg --package --resolve --info --hydra-help --help",
    "resume": "--at --to --trust --config-dir --cfg --package --help",
    "find-lr": "--from --to --steps --seeds --ramp --player --config-dir --help",
    "tune": _OF_ONE_CONFIG,
    "pbt": _OF_ONE_CONFIG,
    "meta-train": "--out --help",
    "recommend": _OF_ONE_CONFIG,
    "list": _OF_ONE_CONFIG,
    "show": "--png --config-dir --help",
    "draw": "--to --fit --animate --help",
    "evaluate": "--at --config-dir --json --trust --help",
    "export": "--output --at --force --help",
    "check": "--json --out --config-dir --help",
    "probe": "--at --out --config-dir --json --trust --help",
    "doctor": "--json --all --rule --help",
    "benchmark": _OF_ONE_CONFIG,
    "claim": "--all --json --out --config-dir --help",
    "runs": "--csv --json --help",
    "compare": ("--metric --mode --baseline --axis --figures --format --csv --json --latex --help"),
    "report": "--output --metric --mode --baseline --help",
}
FLAGS = {verb: tuple(said.split()) for verb, said in _SAID.items()}
"""What each verb has; a test asks the verbs whether it is so."""
_SWITCHES = (
    "--multirun --resolve --hydra-help --help --trust --animate --json --force --all --csv --latex"
)
SWITCHES = (*_SWITCHES.split(), "-m", "-h")
"""Those that no value follows."""
WITH_OVERRIDES = ("train", "resume", "evaluate", "find-lr", "show", "recommend")
"""Verbs whose words Hydra completes, behind the run of those `OF_A_RUN`."""
OF_A_RUN = ("resume", "evaluate")

Hydra = Callable[[Sequence[str]], int]


def completion(arguments: Sequence[str], verbs: Iterable[str], hydra: Hydra) -> int:
    """Answer `optbench -sc install=bash` and the queries of the function that it installs.

    Install with `eval "$(optbench -sc install=bash)"`.

    Args:
        arguments: `-sc` and what is asked.
        verbs: of the program.
        hydra: answers what is of its own.

    Raises:
        UserError: something else is asked, or a query comes from no shell.
    """
    check_shell(arguments)
    if arguments[1].startswith("query="):
        line = os.environ.get("COMP_LINE")
        if line is None:
            how = f"{arguments[0]} install={arguments[1].partition('=')[2]}"
            raise UserError(f"{' '.join(arguments)}: for the shell to ask; begin with {how}")
        point = os.environ.get("COMP_POINT", "")
        line = line[: int(point)] if point.isdecimal() else line
        offered = _own(line, verbs)
        if offered is not None:
            print_lines("\n".join(offered))
            return 0
        rest = _for_hydra(line)
        os.environ.update(COMP_LINE=rest, COMP_POINT=str(len(rest)))
    register_resolvers()
    return hydra(arguments)


def _own(line: str, verbs: Iterable[str]) -> list[str] | None:
    """Return what to offer at the end of a line, None where Hydra is to be asked."""
    words = line.split()
    typed = "" if line.endswith(" ") or not words else words.pop()
    if len(words) < 2:
        return [verb for verb in verbs if verb.startswith(typed)]
    verb, last = words[1], words[-1]
    if last.startswith("-") and "=" not in last and last not in SWITCHES:
        return []  # its value: the shell completes files and folders
    if typed.startswith("-"):
        return [flag for flag in FLAGS.get(verb, ()) if flag.startswith(typed)]
    if verb == "list":
        return [group for group in _groups() if group.startswith(typed)]
    if verb == "runs":
        return [word for word in _filters() if word.startswith(typed)]
    no_run = verb in OF_A_RUN and len(words) < 3  # the shell completes folders
    return [] if no_run or verb not in WITH_OVERRIDES else None


def _for_hydra(line: str) -> str:
    """Return a line without its verb, the run and the flags that Hydra does not know."""
    program, verb, *words = line.split()
    typed = "" if line.endswith(" ") else words.pop()
    given = iter(words[1:] if verb in OF_A_RUN else words)
    kept = [program]
    for word in given:
        if word == "--config-dir":
            kept += [word, next(given, "")]
        elif word.startswith("--config-dir=") or not word.startswith("-"):
            kept.append(word)
        elif "=" not in word and word not in SWITCHES:
            next(given, None)
    return " ".join([*kept, typed])


def _groups() -> list[str]:
    return sorted(path.name for path in configs_folder().iterdir() if path.is_dir())


def _filters() -> list[str]:
    """Return what `runs` can be asked for."""
    states = [f"state={state}" for state in (*STATES, KILLED)]
    keys = [f"{key}=" for key in ("tag", "name", "notes", *_groups())]
    return [*states, *keys, *FLAGS["runs"][:2]]
