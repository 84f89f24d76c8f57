"""The weights that a run starts from where it does not draw them, and which of them stay so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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
) -> None:
    """Give the modules the weights and buffers of a state dict.

    Args:
        config: its `weights.strict` and `weights.exclude` say which.
        modules: by player, with parameters of their own draw.
        state: tensors by name.

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
    wanted = [name for name in own if name not in excluded]
    given = [name for name in state if name not in excluded]
    if config.weights.strict:
        _refuse_unlike(said, wanted, given)
    taken = [name for name in wanted if name in state]
    if not taken:
        raise UserError(f"{said}: nothing in it is of this model; {_nearest(given, wanted)}")
    _refuse_other_shapes(said, config.weights.exclude, {n: (state[n], own[n]) for n in taken})
    with torch.no_grad():
        for name in taken:
            own[name].copy_(state[name])


def _refuse_unlike(said: str, wanted: Sequence[str], given: Sequence[str]) -> None:
    """Raise UserError where the model and the file have not the same names."""
    lacking = [name for name in wanted if name not in given]
    besides = [name for name in given if name not in wanted]
    hint = "weights.strict=false takes what there is"
    if lacking:
        like = nearest(lacking[0], besides)
        found = f"; {like} is there" if like else ""
        raise UserError(f"{said}: it has no {lacking[0]}{_more(lacking)}{found}; {hint}")
    if besides:
        like = nearest(besides[0], wanted)
        found = f", which has {like}" if like else ""
        raise UserError(f"{said}: {besides[0]}{_more(besides)} is not in the model{found}; {hint}")


def _refuse_other_shapes(
    said: str, excluded: Sequence[str], pairs: Mapping[str, tuple[Tensor, Tensor]]
) -> None:
    """Raise UserError with the first tensor of another shape, and the override that mends all.

    Args:
        excluded: patterns that stand in the config already.
        pairs: by name, of the file and of the model.
    """
    unlike = [name for name, (there, here) in pairs.items() if there.shape != here.shape]
    if not unlike:
        return
    there, here = [list(each.shape) for each in pairs[unlike[0]]]
    mended = ",".join([*excluded, *unlike]) if len(unlike) <= MOST_NAMES else "PATTERN"
    raise UserError(
        f"{said}: {unlike[0]}{_more(unlike)} is {there} there and {here} in the model; "
        f"'weights.exclude=[{mended}]' leaves {'it' if len(unlike) == 1 else 'them'} as drawn"
    )


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
