"""What a command line asks of a study: its own words, and what is of its runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optbench.compose.composer import Composer
from optbench.config.suggest import did_you_mean
from optbench.errors import UserError
from optbench.search.distribution import CHOICE
from optbench.search.space import Space, read_space
from optbench.tuning.samplers import check_names, size_of

GROUP = "space"
UNSEARCHED = (
    *("seed", "epochs", "steps", "eval", "checkpoint", "early_stopping", "target", "monitor"),
    *("name", "tags", "notes", "resume", "data_root", "device", "threads", "sweep", "hydra"),
    *("dataset._target_", "dataset.fold", "dataset.split_seed", "dataset.val_fraction"),
)
"""Keys, with all that is below them, that are the same in all trials."""
COUNTS = ("trials", "seeds", "folds")
WORDS = (GROUP, "search", *COUNTS, "sampler", "pruner", "metric")
MOST = {"trials": 100_000, "seeds": 1000, "folds": 1000}
TRIALS = 30
"""By default, but of a grid: all of it."""


@dataclass(frozen=True)
class Asked:
    """What is asked of a study.

    Attributes:
        space: what is searched.
        named: how it was named, for messages.
        trials: how many.
        seeds, folds: runs of each trial are all combinations; 0 folds for the usual split.
        sampler, pruner: by name.
        metric: None for the task's own.
    """

    space: Space
    named: str
    trials: int
    seeds: int
    folds: int
    sampler: str
    pruner: str
    metric: str | None


def asked(composer: Composer, overrides: Sequence[str]) -> tuple[Asked, list[str]]:
    """Return what is asked of the study, and the overrides that are of its runs.

    Raises:
        UserError: a word that is not valid, no space, or two of them.
    """
    said: dict[str, Any] = {}
    rest: list[str] = []
    for line in overrides:
        key = line.lstrip("+~").partition("=")[0].partition("@")[0]
        if key not in WORDS:
            rest.append(line)
            continue
        (override,) = composer.parse([line])
        said[key] = _value(override, line)
    sampler, pruner = str(said.get("sampler", "tpe")), str(said.get("pruner", "none"))
    counts = {name: _count(name, said.get(name)) for name in COUNTS}
    seeds, folds = counts["seeds"] or 1, counts["folds"] or 0
    if folds == 1:
        raise UserError("folds=1: expected at least 2; leave it out for the usual split")
    space, named = _space(composer, said)
    if "sampler" not in said and all(each.kind == CHOICE for each in space.keys.values()):
        sampler = "grid"
    refuse_fixed(space)
    check_names(sampler, pruner, seeds * max(1, folds))
    trials = counts["trials"]
    if sampler == "grid":
        size = size_of(space)
        if size > MOST["trials"]:
            raise UserError(
                f"sampler=grid: {size:,} points; at most {MOST['trials']:,}, by fewer points: n"
            )
        trials = min(trials or size, size)
    metric = said.get("metric")
    if metric is not None and not str(metric).startswith("val/"):
        raise UserError(f"metric={metric}: expected such as val/loss; the test set chooses nothing")
    metric = None if metric is None else str(metric)
    return Asked(space, named, trials or TRIALS, seeds, folds, sampler, pruner, metric), rest


def refuse_fixed(space: Space) -> None:
    """Refuse to search what makes scores incomparable, or what the study itself sets.

    Raises:
        UserError: such a key is searched.
    """
    for key in space.keys:
        part = next((each for each in UNSEARCHED if f"{key}.".startswith(f"{each}.")), None)
        if part is not None or key.endswith("_target_"):
            raise UserError(f"{space.where}: {key}: not searched, for scores would not compare")


def _value(override: Any, line: str) -> Any:
    if override.is_sweep_override():
        raise UserError(f"{line}: one value; what is searched stands in search={{...}}")
    if override.is_add() or override.is_delete() or override.package is not None:
        raise UserError(f"{line}: write {override.key_or_group}=...")
    return override.value()


def _count(name: str, value: Any) -> int | None:
    if value is None:
        return None
    most = MOST[name]
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise UserError(f"{name}={value}: not valid; expected a whole number from 1 to {most}")
    return value


def _space(composer: Composer, said: Mapping[str, Any]) -> tuple[Space, str]:
    """Return what is searched: a file of the group, or what stands in `search`."""
    if "search" in said:
        if GROUP in said:
            raise UserError(f"{GROUP}={said[GROUP]}: beside search={{...}}; one of them")
        own = said["search"]
        if not isinstance(own, Mapping):
            raise UserError(
                f"search={own}: not valid; expected such as {{optimizer.lr: {{log: [1e-4, 1]}}}}"
            )
        return read_space({"search": own}, "search"), "search"
    options = composer.files.options(GROUP)
    name = said.get(GROUP)
    if name is None:
        raise UserError(
            f"tune: which space? {GROUP}=NAME, of the optimizer's name, or {GROUP}=lr; "
            "optbench list space"
        )
    if str(name) not in options:
        raise UserError(f"{GROUP}={name}: no such space; {did_you_mean(str(name), options)}")
    return read_space(composer.files.file(GROUP, str(name)), f"{GROUP}={name}"), f"{GROUP}={name}"
