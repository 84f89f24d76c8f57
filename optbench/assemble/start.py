"""The weights that a run starts from where it does not draw them, and which of them stay so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn

from optbench.config.run_config import RunConfig
from optbench.config.suggest import nearest
from optbench.errors import UserError

MOST_NAMES = 8
"""That a message lists."""


def whole(modules: Mapping[str, nn.Module], alone: bool) -> nn.Module:
    """Return the players' modules as one, whose names are those of an exported state dict.

    Args:
        modules: by player.
        alone: whether there is one player, whose names are the bare module's.
    """
    if alone:
        (module,) = modules.values()
        return module
    return nn.ModuleDict(dict(modules))


def start_from(
    config: RunConfig, modules: Mapping[str, nn.Module], state: Mapping[str, Tensor]
) -> str | None:
    """Give the modules the weights and buffers of a state dict.

    Args:
        config: its `weights.strict` and `weights.exclude` say which.
        modules: by player, with parameters of their own draw.
        state: tensors by name.

    Returns:
        What is to be told where most of the model stays as it was drawn; None else.

    Raises:
        UserError: a name that only one of both has, unless `weights.strict=false`; a shape that
            differs; a pattern that matches nothing.
    """
    module, said = whole(modules, not config.player), f"weights={config.weights.path}"
    own: dict[str, Tensor] = {
        name: value
        for name, value in module.state_dict(keep_vars=True).items()
        if isinstance(value, Tensor)
    }
    excluded = matched("weights.exclude", config.weights.exclude, {**own, **state})
    wanted = {name: value for name, value in own.items() if name not in excluded}
    given = {name: value for name, value in state.items() if name not in excluded}
    if not wanted.keys() & given.keys():
        raise UserError(
            f"{said}: nothing in it is of this model; {_nearest(list(given), list(wanted))}"
        )
    _Fit(said, config.weights.exclude, wanted, given).check(config.weights.strict)
    taken = [name for name in wanted if name in given]
    with torch.no_grad():
        for name in taken:
            own[name].copy_(state[name])
    if not _few(len(taken), len(own)):
        return None
    verb = "comes" if len(taken) == 1 else "come"
    of = f"{len(taken)} of the model's {len(own)} tensors"
    return f"{said}: {of} {verb} from it; the others are as drawn"


def _few(fitting: int, all_of_them: int) -> bool:
    """Return whether so few tensors fit that the weights are rather another model's."""
    return 2 * fitting < all_of_them


@dataclass(frozen=True)
class _Fit:
    """How weights fit a model.

    Attributes:
        said: where the weights are from, for messages.
        excluded: patterns that stand in the config already.
        wanted: the model's tensors by name, without what is excluded.
        given: those of the file, without what is excluded.
    """

    said: str
    excluded: Sequence[str]
    wanted: Mapping[str, Tensor]
    given: Mapping[str, Tensor]

    def check(self, strict: bool) -> None:
        """Raise UserError with what fits, the first that does not, and the override that mends all.

        Args:
            strict: whether both have to have the same names.
        """
        unlike = self._unlike_shapes()
        excludes = self._excludes(unlike) if unlike else ""
        what = self._unlike_names() if strict else None
        mend = "weights.strict=false takes what there is"
        if unlike:
            mend = f"weights.strict=false {excludes} takes the rest"
        if what is None and unlike:
            there, here = (list(each[unlike[0]].shape) for each in (self.given, self.wanted))
            others = f" ({len(unlike) - 1} more of other shapes)" if unlike[1:] else ""
            what = f"{unlike[0]} is {there} there and {here} in the model{others}"
            mend = f"{excludes} leaves {'it' if len(unlike) == 1 else 'them'} as drawn"
        if what is None:
            return
        count = sum(name in self.given for name in self.wanted) - len(unlike)
        verb = "fits" if count == 1 else "fit"
        fits = f"{count} of the model's {len(self.wanted)} tensors {verb}"
        hint = "is it of another model?" if _few(count, len(self.wanted)) else mend
        raise UserError(f"{self.said}: {fits}; {what}; {hint}")

    def _unlike_names(self) -> str | None:
        """Return which names the model and the file have not both, None where there are none."""
        lacking = [name for name in self.wanted if name not in self.given]
        besides = [name for name in self.given if name not in self.wanted]
        if lacking:
            like = nearest(lacking[0], besides)
            found = f"; {like} is there" if like else ""
            return f"it has no {lacking[0]}{_more(lacking)}{found}"
        if besides:
            like = nearest(besides[0], self.wanted)
            found = f", which has {like}" if like else ""
            verb = "are" if besides[1:] else "is"
            return f"{besides[0]}{_more(besides)} {verb} not in the model{found}"
        return None

    def _unlike_shapes(self) -> list[str]:
        """Return the names that both have, of different shapes."""
        both = (name for name in self.wanted if name in self.given)
        return [name for name in both if self.wanted[name].shape != self.given[name].shape]

    def _excludes(self, unlike: Sequence[str]) -> str:
        """Return the override that leaves tensors out."""
        short = len(unlike) <= MOST_NAMES
        mended = ",".join([*self.excluded, *unlike]) if short else "PATTERN"
        return f"'weights.exclude=[{mended}]'"


def _more(names: Sequence[str]) -> str:
    return f" (and {len(names) - 1} more)" if len(names) > 1 else ""


def _nearest(given: Sequence[str], wanted: Sequence[str]) -> str:
    """Return a hint: the first name of a file beside the model's nearest."""
    if not given or not wanted:
        return "all is excluded"
    like = nearest(given[0], wanted) or wanted[0]
    return f"it has {given[0]}, the model {like}"


def matched(key: str, patterns: Sequence[str], names: Iterable[str]) -> set[str]:
    """Return the names that shell globs match; raise UserError for a pattern that matches none.

    Args:
        key: of the patterns, for messages.
    """
    names = list(names)
    found: set[str] = set()
    for pattern in patterns:
        of_this = {name for name in names if fnmatchcase(name, pattern)}
        if not of_this:
            like = nearest(pattern, names)
            there = ", ".join(names[:MOST_NAMES]) + (", ..." if len(names) > MOST_NAMES else "")
            hint = f"did you mean {like}?" if like else f"there are {there}"
            raise UserError(f"{key}: {pattern} matches nothing; {hint}")
        found |= of_this
    return found


def freeze(config: RunConfig, modules: Mapping[str, nn.Module]) -> None:
    """Take parameters out of the training: they get no gradient, and no optimizer has them.

    Buffers, such as batch norm's statistics, go on.

    Raises:
        UserError: a pattern that matches nothing, or a player that has nothing left to train.
    """
    if not config.freeze:
        return
    parameters = dict(whole(modules, not config.player).named_parameters())
    for name in matched("freeze", config.freeze, parameters):
        parameters[name].requires_grad_(False)
    for player, module in modules.items():
        if not any(parameter.requires_grad for parameter in module.parameters()):
            of = f" of {player}" if config.player else ""
            raise UserError(f"freeze=[{','.join(config.freeze)}]: nothing{of} is left to train")
