"""Studies whose trials choose files: the optimizer, the schedule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from optbench.compose.composer import Composer, keys_of
from optbench.config.run_spec import RunSpec
from optbench.errors import UserError
from optbench.runs.built import built
from optbench.runs.log import Log
from optbench.search.space import Space, refuse_strangers
from optbench.search.space import overrides as lines_of

if TYPE_CHECKING:
    from optbench.assemble.experiment import Experiment

NO_TEST = "eval.test=false"
"""The test set is not looked at: it chooses nothing."""


def lines_for(
    composer: Composer,
    overrides: Sequence[str],
    space: Space,
    values: Mapping[str, Any],
    base: RunSpec,
) -> list[str]:
    """Return the overrides that give a run a trial's values.

    Args:
        composer: of the runs.
        overrides: of every run.
        space: what is searched.
        values: the trial's, by key.
        base: a run without any values.
    """
    choices = space.choices(values)
    plain = base.plain
    if choices:
        plain = composer.variant([*overrides, *_said(choices), NO_TEST]).plain
    return lines_of(space, values, plain)


def _said(choices: Mapping[str, str]) -> list[str]:
    return [f"{group}={name}" for group, name in choices.items()]


def fitting(
    composer: Composer, overrides: Sequence[str], space: Space, base: RunSpec, log: Log
) -> Space:
    """Return a space without what can't be chosen, which is told; refuse what fits nowhere.

    Args:
        composer: of the runs.
        overrides: of every run.
        space: what is searched.
        base: a run without any values.
        log: whom to tell.

    Raises:
        UserError: a key that there is not, or that can't take its values; a choice that the
            overrides have made; nothing is left to choose from.
    """
    if not space.chosen:
        _refuse_set(composer, overrides, space)
        refuse_strangers(space, base.plain, base.choices["optimizer"])
        return space
    for line, key in zip(overrides, keys_of(overrides), strict=True):
        group = key.partition("@")[0].partition(".")[0]
        if group in space.chosen:
            raise UserError(f"{line}: {space.where} chooses the {group}; leave it out")
    _refuse_set(composer, overrides, space)
    found = {}
    for group, by in space.chosen.items():
        found[group] = dict(by)
        for name in by:
            choices = {group: name}
            own = replace(space.given(choices), where=f"{space.where}: {group}={name}")
            own = replace(own, keys={k: d for k, d in own.keys.items() if k not in space.chosen})
            try:
                spec = composer.variant([*overrides, *_said(choices), NO_TEST])
                refuse_without_lr(own, built(spec)[0])
            except UserError as error:
                log.tell(f"{group}={name} is left out: {error}")
                del found[group][name]
                continue
            refuse_strangers(own, spec.plain, spec.choices["optimizer"])
        if not found[group]:
            raise UserError(f"{space.where}: {group}: none of {', '.join(by)} fits this run")
    keys = {
        key: replace(each, choices=tuple(found[key])) if key in found else each
        for key, each in space.keys.items()
    }
    return replace(space, keys=keys, chosen=found)


def refuse_without_lr(space: Space, experiment: Experiment) -> None:
    """Raise UserError for the learning rate of a player whose optimizer has none.

    Args:
        space: what is searched.
        experiment: a run, built.
    """
    for player in experiment.state.players:
        key = f"{experiment.config.players[player.name].at}optimizer.lr"
        if key in space.keys and not player.needs.lr:
            name = type(player.optimizer).__name__
            raise UserError(f"{space.where}: {key}: {name} has no learning rate")


def _refuse_set(composer: Composer, overrides: Sequence[str], space: Space) -> None:
    """Refuse a key that is set and searched: its value would be ignored."""
    for line, key in zip(overrides, keys_of(overrides), strict=True):
        for searched in space.every:
            if f"{searched}.".startswith(f"{key}.") and not composer.files.is_group(key):
                raise UserError(f"{line}: {space.where} searches {searched}; leave one of them out")


def check_ends(
    composer: Composer, overrides: Sequence[str], one: Sequence[str], space: Space, base: RunSpec
) -> None:
    """Compose a run at either end of a space, with each choice, so that what can't be is said.

    Args:
        composer: of the runs.
        overrides: of every run.
        one: of one of them, more.
        space: what is searched.
        base: a run without any of its values.
    """
    first = {group: next(iter(by)) for group, by in space.chosen.items()}
    each = [first | {group: name} for group, by in space.chosen.items() for name in by]
    for choices in each or [{}]:
        for end in (0.0, 1.0):
            values = {key: at.value(end) for key, at in space.given(choices).keys.items()} | choices
            lines = lines_for(composer, overrides, space, values, base)
            composer.variant([*overrides, *lines, *one])
