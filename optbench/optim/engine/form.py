"""One update of one operand, however it is run."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch

from optbench.optim.engine.ops import Operand, norm, subtract_

Rule = Callable[[Operand, Operand, Mapping[str, Operand], Any], tuple[Operand, Any]]
"""`(parameter, gradient, state, hp) -> (direction, size)`: `size * direction` is subtracted from
the parameter. It changes the state in place."""

Measure = Callable[[Operand, Operand, Mapping[str, Operand], Any], Operand]
"""With the same arguments, before the rule: an operand which the rule finds in `hp.measured`; the
norms of the parameter and of it are in `hp.norms`. It may change the state."""


class Form(NamedTuple):
    """What does not change from step to step.

    Attributes:
        rule: of the optimizer.
        measure: what a layer-wise rule needs the norms of; None for one that is element-wise.
        maximize: whether the objective is to grow.
        decay: how weight decay enters: `coupled` adds `weight_decay * parameter` to the gradient
            (L2 regularisation), `decoupled` shrinks the parameter by `lr * weight_decay` first
            (Loshchilov & Hutter 2019), `none` leaves it to the rule.
        wide: the dtype that is computed in, where the parameter's own is too narrow.
        norms_first: whether `measure` gives what is there already, and the rule wants its norm
            only.
    """

    rule: Rule
    measure: Measure | None
    maximize: bool
    decay: str
    wide: torch.dtype | None
    norms_first: bool = False


_KINDS: dict[tuple[str, ...], Any] = {}


def hyperparameters(values: Mapping[str, Any]) -> Any:
    """Return a named tuple, of the same type for the same names: cheap, and the compiler can look
    into it."""
    names = tuple(values)
    if names not in _KINDS:
        _KINDS[names] = namedtuple("Hyperparameters", names)
    return _KINDS[names](*values.values())


def apply(
    form: Form, parameter: Operand, gradient: Operand, state: Mapping[str, Operand], hp: Any
) -> None:
    """Update a parameter and its state in place.

    Args:
        form: the optimizer's.
        parameter, gradient: tensors or lists of tensors.
        state: of the same shape as the parameter, by name.
        hp: the hyperparameters by attribute, `lr` and `weight_decay` among them.
    """
    if form.measure is not None:
        wide, measured = measured_operand(form, parameter, gradient, state, hp)
        norms = (norm(wide, hp.population), norm(measured, hp.population))
        hp = hp._replace(norms=norms, measured=measured)
    finish(form, parameter, gradient, state, hp)


def measured_operand(
    form: Form, parameter: Operand, gradient: Operand, state: Mapping[str, Operand], hp: Any
) -> tuple[Operand, Operand]:
    """Return what the rule needs the norms of: the parameter, and what is measured."""
    assert form.measure is not None
    parameter, gradient = _widened(form, parameter, gradient)
    return parameter, form.measure(parameter, gradient, state, hp)


def finish(
    form: Form, parameter: Operand, gradient: Operand, state: Mapping[str, Operand], hp: Any
) -> None:
    """Do the update, element-wise, with the norms in `hp`."""
    narrow = parameter
    parameter, gradient = _widened(form, parameter, gradient)
    if form.decay == "coupled":
        gradient = gradient + parameter * hp.weight_decay
    elif form.decay == "decoupled":
        parameter.mul_(1 - hp.lr * hp.weight_decay)
    subtract_(parameter, *form.rule(parameter, gradient, state, hp))
    if form.wide is not None:
        narrow.copy_(parameter)


def _widened(form: Form, parameter: Operand, gradient: Operand) -> tuple[Operand, Operand]:
    if form.wide is not None:
        parameter, gradient = parameter.to(form.wide), gradient.to(form.wide)
    return parameter, -gradient if form.maximize else gradient
