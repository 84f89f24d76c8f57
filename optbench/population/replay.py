"""The best member's values by round, as a file that `schedule=replay` trains with from scratch."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optbench.compose.quoting import value_text
from optbench.config.replayed import LR, numbers, unplayable
from optbench.config.run_spec import RunSpec
from optbench.console import shown
from optbench.escape import shell_word
from optbench.files import dump_yaml, write_atomically
from optbench.population.members import PopulationJobs
from optbench.population.report import Ancestor
from optbench.search.space import overrides as lines_of

REPLAY = "replay.yaml"
PLAIN = re.compile(r"/[\w./-]*")
"""A path that needs no quotes."""
DECAY, DECAY_SCHEDULE = "optimizer.weight_decay", "weight_decay_schedule"


@dataclass(frozen=True)
class Written:
    """What there is to train with from scratch.

    Attributes:
        path: of the file; None where the values can't be replayed.
        said: what to tell: where it is, what is replayed and what is not.
        command: that trains so.
    """

    path: Path | None
    said: Sequence[str]
    command: str


def write_replay(jobs: PopulationJobs, base: RunSpec, line: Sequence[Ancestor]) -> Written:
    """Write the values of a line of ancestors, and return how to train with them.

    Args:
        jobs: the population.
        base: a run without a member's values.
        line: of the best member, the first one first.
    """
    plan, values = jobs.plan, {k: [each.own.values[k] for each in line] for k in jobs.space.keys}
    path = jobs.folder.path / REPLAY
    changed = [key for key, each in values.items() if any(value != each[0] for value in each)]
    why_not = _why_not(base)
    replayed = [] if why_not else [key for key in changed if _is_replayed(key, values[key], base)]
    if replayed:
        lr = float(base.plain["optimizer"].get("lr") or max(values.get(LR, [1.0])))
        said = {
            "steps": plan.steps,
            "ends": [plan.end(number) for number in range(plan.rounds)],
            "lr": lr,
            "values": values,
            "schedule": base.plain["schedule"],
        }
        write_atomically(path, f"# {', '.join(replayed)} by round\n{dump_yaml(said)}", sync=True)
    left = [key for key in changed if key not in replayed]
    told = []
    if replayed:
        told.append(f"{', '.join(replayed)} by round: {shown(path)}")
    if left:
        why = f" ({why_not})" if why_not else ""
        told.append(f"not by round, but as in the last one: {', '.join(left)}{why}")
    told.append("from scratch, and with another seed, to tell luck from schedule:")
    last = {key: each[-1] for key, each in values.items() if key not in replayed}
    own = [*lines_of(jobs.space, last, base.plain), *_lines(path, replayed)]
    words = [*_kept(plan.overrides, LR in replayed), *own]
    if plan.config_dir is not None:
        words += ["--config-dir", plan.config_dir]
    command = " ".join(["optbench train", *map(shell_word, words)])
    return Written(path if replayed else None, told, command)


def _why_not(base: RunSpec) -> str | None:
    """Return why no schedule gives the values that members had; None if one does."""
    node = base.plain["optimizer"]
    if base.plain.get("player"):
        return "each player has a schedule of its own"
    if any("lr" in group or "schedule" in group for group in node.get("groups") or []):
        return "optimizer.groups has its own lr or schedule"
    if isinstance(node.get("companion"), dict) and node["companion"].get("lr") is not None:
        return "optimizer.companion has its own lr"
    if node.get("decay") == "independent":
        return "optimizer.decay=independent follows the schedule, not lr"
    return unplayable(base.plain["schedule"])


def _is_replayed(key: str, values: list[Any], base: RunSpec) -> bool:
    free = key == LR or (key == DECAY and base.plain.get(DECAY_SCHEDULE) is None)
    return free and numbers(values)


def _kept(overrides: Sequence[str], replaced: bool) -> list[str]:
    """Return the population's overrides without those of its schedule, if it is replaced."""
    keys = [line.lstrip("+~").partition("=")[0] for line in overrides]
    of_it = [key == "schedule" or key.startswith("schedule.") for key in keys]
    return [line for line, own in zip(overrides, of_it, strict=True) if not (own and replaced)]


def _lines(path: Path, replayed: Sequence[str]) -> list[str]:
    """Return the overrides that replay a file."""
    lines, file = [], str(path)
    if not PLAIN.fullmatch(file):
        file = value_text(file)
    if LR in replayed:
        lines += ["schedule=replay", f"schedule.file={file}"]
    if DECAY in replayed:
        node = f"schedule: replay, file: {file}, of: {DECAY}, from: 1, to: 0"
        lines.append(f"{DECAY_SCHEDULE}={{{node}}}")
    return lines
