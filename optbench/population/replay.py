"""The best member's values by round, as a file that `schedule=replay` trains with from scratch."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optbench.assemble.replay import unplayable_setting
from optbench.compose.quoting import value_text
from optbench.config.keys import find
from optbench.config.replayed import LR, numbers, unplayable
from optbench.config.run_spec import RunSpec
from optbench.console import shown
from optbench.errors import UserError
from optbench.escape import shell_word
from optbench.files import dump_yaml, write_atomically
from optbench.population.members import PopulationJobs
from optbench.population.report import Ancestor
from optbench.search.space import overrides as lines_of
from optbench.tuning.tune import optimizer_of

REPLAY = "replay.yaml"
PLAIN = re.compile(r"/[\w./-]*")
"""A path that needs no quotes."""
OF_IT = "schedule."
"""What a key begins with that is of the schedule itself, which the file has whole."""


@dataclass(frozen=True)
class Written:
    """What there is to train with from scratch.

    Attributes:
        path: of the file; None where no value can be replayed.
        said: what to tell: where it is, what is replayed and what is not.
        overrides: that train so.
        config_dir: of the user's own config files, if there is one.
    """

    path: Path | None
    said: Sequence[str]
    overrides: Sequence[str]
    config_dir: str | None

    @property
    def command(self) -> str:
        """The command that trains so, as a shell takes it."""
        words = [*self.overrides]
        if self.config_dir is not None:
            words += ["--config-dir", self.config_dir]
        return " ".join(["optbench train", *map(shell_word, words)])


def write_replay(jobs: PopulationJobs, base: RunSpec, line: Sequence[Ancestor]) -> Written:
    """Write the values of a line of ancestors, and return how to train with them.

    Args:
        jobs: the population.
        base: a run without a member's values.
        line: of the best member, the first one first.
    """
    plan, values = jobs.plan, {k: [each.own.values[k] for each in line] for k in jobs.space.keys}
    path = jobs.folder.path / REPLAY
    why_not = _unplayable(values, base)
    replayed = {key: each for key, each in values.items() if key not in why_not}
    last = {key: values[key][-1] for key in why_not}
    lr = base.plain["optimizer"].get("lr")
    factors_of = float(lr or max(replayed.get(LR, [1.0])) or 1.0)
    if replayed:
        said = {
            "steps": plan.steps,
            "ends": [plan.end(number) for number in range(plan.rounds)],
            "lr": factors_of,
            "values": replayed,
            "schedule": _schedule(base, last),
        }
        write_atomically(path, f"# {', '.join(replayed)} by round\n{dump_yaml(said)}", sync=True)
    told = [f"{', '.join(replayed)} by round: {shown(path)}"] if replayed else []
    for key, why in why_not.items():
        if any(value != values[key][0] for value in values[key]):
            told.append(f"not by round, but as in the last one: {key} ({why})")
    told.append("from scratch, and with another seed, to tell luck from schedule:")
    words = [line for line in plan.overrides if not line.lstrip("+").startswith("sweep.")]
    if replayed:
        words = _without_schedule(words)
        last = {key: value for key, value in last.items() if not key.startswith(OF_IT)}
    words += lines_of(jobs.space, last, base.plain)
    if replayed:
        if LR in replayed and factors_of != lr:
            words.append(f"{LR}={factors_of!r}")
        words += ["schedule=replay", f"schedule.file={_path_text(path)}"]
    return Written(path if replayed else None, told, words, plan.config_dir)


def _unplayable(values: Mapping[str, list[Any]], base: RunSpec) -> dict[str, str]:
    """Return why a key's values can't be had again by round, by key; others can."""
    plain = base.plain
    why = unplayable(plain["schedule"])
    if plain.get("player"):
        why = "each player has a schedule of its own"
    if why is not None:
        return dict.fromkeys(values, why)
    optimizer, found = None, {}
    for key, each in values.items():
        if key == LR:
            reason = _unplayable_lr(each, plain["optimizer"])
        elif not key.startswith("optimizer."):
            reason = "no setting of the optimizer"
        else:
            try:
                optimizer = optimizer or optimizer_of(base)
                reason = unplayable_setting(key, each, plain["optimizer"], optimizer)
            except UserError as error:  # the data are elsewhere now, or the device is gone
                reason = str(error)
        if reason is not None:
            found[key] = reason
    return found


def _unplayable_lr(values: list[Any], node: Mapping[str, Any]) -> str | None:
    """Return why no schedule gives the learning rates that members had; None if one does."""
    if any("lr" in group or "schedule" in group for group in node.get("groups") or []):
        return "optimizer.groups has its own lr or schedule"
    if node.get("decay") == "independent":
        return "optimizer.decay=independent follows the schedule, not lr"
    return None if numbers(values) and any(values) else "no learning rates"


def _schedule(base: RunSpec, last: Mapping[str, Any]) -> dict[str, Any]:
    """Return the node of the population's schedule, with the last values of what was searched."""
    plain: dict[str, Any] = {"schedule": copy.deepcopy(base.plain["schedule"])}
    for key, value in last.items():
        if key.startswith(OF_IT):
            whole, _, name = key.rpartition(".")
            at = find(plain, whole)
            at[int(name) if isinstance(at, list) else name] = value
    node: dict[str, Any] = plain["schedule"]
    return node


def _without_schedule(overrides: Sequence[str]) -> list[str]:
    """Return overrides without those of the schedule, which is another now."""
    keys = [line.lstrip("+~").partition("=")[0] for line in overrides]
    of_it = [key == "schedule" or key.startswith(OF_IT) for key in keys]
    return [line for line, own in zip(overrides, of_it, strict=True) if not own]


def _path_text(path: Path) -> str:
    """Return a path as an override has it."""
    return str(path) if PLAIN.fullmatch(str(path)) else value_text(str(path))
