"""What a command line asks of a study: its own words, and what is of its runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optbench.assemble.create import need
from optbench.compose.composer import Composer
from optbench.config.suggest import did_you_mean
from optbench.errors import UserError
from optbench.search.distribution import CHOICE
from optbench.search.space import Space, read_space
from optbench.tuning.samplers import check_keys, check_names, size_of
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
    "probe",
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
COUNTS = ("trials", "seeds", "folds", "confirm")
WORDS = (GROUP, "search", *COUNTS, "sampler", "pruner", "metric", "against")
CONFIRM = 10
"""Fresh seeds by default, where the best is compared with another optimizer's."""
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
        against: an optimizer that is tuned as much, and compared with; empty for none.
        confirm: fresh seeds of the comparison.
    """

    space: Space
    named: str
    trials: int
    seeds: int
    folds: int
    sampler: str
    pruner: str
    metric: str | None
    against: str = ""
    confirm: int = 0


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
    lists = all(each.kind == CHOICE for each in space.keys.values()) and not space.chosen
    if "sampler" not in said and lists:
        sampler = "grid"
    check_names(sampler, pruner, seeds * max(1, folds))
    check_keys(sampler, space)
    if space.rows and sampler != "grid":
        raise UserError(f"sampler={sampler}: {named} is a list, tried in its order; leave it out")
    trials = counts["trials"]
    if sampler == "grid":
        size = size_of(space)
        if size > MOST["trials"]:
            raise UserError(
                f"sampler=grid: {size:,} points; at most {MOST['trials']:,}, by fewer points: n"
            )
        trials = min(trials or size, size)
    metric, rival = metric_in(said), _rival(said, space)
    confirm = (counts["confirm"] or CONFIRM) if rival else 0
    many = trials or TRIALS
    wanted = Asked(space, named, many, seeds, folds, sampler, pruner, metric, rival, confirm)
    return wanted, rest


def _rival(said: Said, space: Space) -> str:
    """Return the optimizer that the best is compared with; empty for none."""
    if "against" not in said:
        if "confirm" in said:
            raise UserError(f"{said.line('confirm')}: compared with what? add against=adamw")
        return ""
    name, known = said["against"], list(space.chosen.get("optimizer", ()))
    if not known:
        raise UserError(
            f"{said.line('against')}: of a space that chooses the optimizer, as "
            "space=any_optimizer; optbench benchmark compares optimizers"
        )
    if name not in known:
        hint = did_you_mean(str(name), known)
        raise UserError(f"{said.line('against')}: not among those of {space.where}; {hint}")
    need("scipy", "compare", said.line("against"))
    return str(name)


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
    for key in space.every:
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
    return of_file(composer, str(name), named), named


def of_file(composer: Composer, name: str, where: str) -> Space:
    """Return a file of the group `space`.

    Args:
        composer: who knows the files.
        name: its name.
        where: what it is called in messages.

    Raises:
        UserError: it is no space, or searches what the study sets.
    """

    def file_of(group: str, choice: str) -> Any:
        """Return what the space of an optimizer's name searches; nothing of schedules."""
        known = composer.files.options(group)
        if choice not in known:
            raise UserError(f"{where}: {group}={choice}: no such; {did_you_mean(choice, known)}")
        if group != "optimizer":
            return {}
        spaces = composer.files.options(GROUP)
        found = composer.files.file(GROUP, choice if choice in spaces else "lr")
        return found.get("search") if isinstance(found, Mapping) else None

    return refuse_fixed(read_space(composer.files.file(GROUP, name), where, file_of))
