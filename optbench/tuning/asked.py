"""What a command line asks of a study: its own words, and what is of its runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from optbench.compose.composer import Composer
from optbench.config.suggest import did_you_mean
from optbench.errors import UserError
from optbench.search.distribution import CHOICE
from optbench.search.space import Space, read_space
from optbench.tuning.samplers import check_names, size_of
from optbench.tuning.words import MOST, Said, count, words_of

GROUP = "space"
UNSEARCHED = (
    "seed",
    "epochs",
    "steps",
    "eval",
    "checkpoint",
    "early_stopping",
    "target",
    "monitor",
    "name",
    "tags",
    "notes",
    "resume",
    "data_root",
    "device",
    "threads",
    "sweep",
    "hydra",
    "dataset._target_",
    "dataset.fold",
    "dataset.split_seed",
    "dataset.val_fraction",
)
"""Keys, with all that is below them, that are the same in all trials."""
COUNTS = ("trials", "seeds", "folds")
WORDS = (GROUP, "search", *COUNTS, "sampler", "pruner", "metric")
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
    said, rest = words_of(composer, overrides, WORDS)
    sampler, pruner = _named(said, "sampler", "tpe"), _named(said, "pruner", "none")
    counts = {name: count(said, name) for name in COUNTS}
    seeds, folds = counts["seeds"] or 1, counts["folds"] or 0
    if folds == 1:
        raise UserError("folds=1: expected at least 2; leave it out for the usual split")
    space, named = searched(composer, said, "tune")
    if "sampler" not in said and all(each.kind == CHOICE for each in space.keys.values()):
        sampler = "grid"
    check_names(sampler, pruner, seeds * max(1, folds))
    trials = counts["trials"]
    if sampler == "grid":
        size = size_of(space)
        if size > MOST["trials"]:
            raise UserError(
                f"sampler=grid: {size:,} points; at most {MOST['trials']:,}, by fewer points: n"
            )
        trials = min(trials or size, size)
    metric = metric_in(said)
    return Asked(space, named, trials or TRIALS, seeds, folds, sampler, pruner, metric), rest


def _named(said: Said, word: str, default: str) -> str:
    """Return a word's value, a name."""
    value = said.get(word, default)
    if isinstance(value, bool | list | Mapping):
        raise UserError(f"{said.line(word)}: not valid; expected a name, such as {default}")
    return str(value)


def metric_in(said: Said) -> str | None:
    """Return the metric that was asked for, None for the task's own."""
    metric = said.get("metric")
    if metric is not None and not str(metric).startswith("val/"):
        raise UserError(
            f"{said.line('metric')}: expected such as val/loss; the test set chooses nothing"
        )
    return None if metric is None else str(metric)


def refuse_fixed(space: Space) -> Space:
    """Return a space that searches nothing that the study sets, or that keeps scores apart.

    Raises:
        UserError: such a key is searched.
    """
    for key in space.keys:
        part = next((each for each in UNSEARCHED if f"{key}.".startswith(f"{each}.")), None)
        if part is not None or key.endswith("_target_"):
            raise UserError(f"{space.where}: {key}: not searched, for scores would not compare")
    return space


def searched(composer: Composer, said: Said, verb: str) -> tuple[Space, str]:
    """Return what is searched, and how it was named: a file of the group, or inline.

    Args:
        composer: who knows the files.
        said: the verb's words; `space` or `search` is among them.
        verb: for messages.

    Raises:
        UserError: none of the two, both, or what is no space.
    """
    if "search" in said:
        if GROUP in said:
            raise UserError(f"{said.line(GROUP)}: beside search={{...}}; one of them")
        own = said["search"]
        if not isinstance(own, Mapping):
            expected = "expected such as {optimizer.lr: {log: [1e-4, 1]}}"
            raise UserError(f"{said.line('search')}: not valid; {expected}")
        return refuse_fixed(read_space({"search": own}, "search")), "search"
    options = composer.files.options(GROUP)
    name = said.get(GROUP)
    if name is None:
        raise UserError(
            f"{verb}: which space? {GROUP}=NAME, of the optimizer's name, or {GROUP}=lr; "
            "optbench list space"
        )
    if str(name) not in options:
        raise UserError(f"{said.line(GROUP)}: no such space; {did_you_mean(str(name), options)}")
    named = f"{GROUP}={name}"
    return refuse_fixed(read_space(composer.files.file(GROUP, str(name)), named)), named
