"""The words in which rules are written: they take tensors and lists of tensors alike.

A hyperparameter is a number, a tensor of one element, or, where one rule steps a whole population,
a tensor with one value for each member. Functions whose name ends in `_` change their first
argument in place and return it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from optbench.optim.engine.number_list import NumberList
from optbench.optim.engine.tensor_list import TensorList

Operand = Any
"""A tensor or a `TensorList`."""

Number = Any
"""A hyperparameter."""


class Quotient(NamedTuple):
    """A direction that is `over / under`: divided and subtracted in one pass."""

    over: Operand
    under: Operand

    def value(self) -> Operand:
        """Return the quotient, by a pass of its own."""
        return self.over / self.under


class Product(NamedTuple):
    """The same for `left * right`."""

    left: Operand
    right: Operand

    def value(self) -> Operand:
        """Return the product, by a pass of its own."""
        return self.left * self.right


FRACTIONS = (Quotient, Product)

SEVERAL = (Tensor, TensorList, NumberList)
"""Sizes that are more than a number."""


class EmaWeights(NamedTuple):
    """How much of an average stays, `beta`, and how much of the new goes in, `1 - beta`.

    Both are numbers of their own: in the float32 of a compiled kernel 1 - 0.999 is off by 1.3e-5,
    and so would be the average, for ever.
    """

    kept: Number
    new: Number


class TensorEmaWeights(EmaWeights):
    """A share of tensors, so that a look at the type tells."""


def ema_weights(beta: Number) -> EmaWeights:
    """Return the share of a decay in [0, 1); what `numbers` gives for a beta."""
    return (TensorEmaWeights if isinstance(beta, Tensor) else EmaWeights)(beta, 1 - beta)


def ema_(average: Operand, value: Operand, beta: Number | EmaWeights) -> Operand:
    """Do `average <- beta average + (1 - beta) value`."""
    kept, new = beta if isinstance(beta, EmaWeights) else ema_weights(beta)
    if isinstance(kept, Tensor):
        return average.mul_(kept).add_(value * new)
    return average.lerp_(value, new)


def ema_of_square_(average: Operand, value: Operand, beta: Number | EmaWeights) -> Operand:
    """Do `average <- beta average + (1 - beta) value^2`."""
    kept, new = beta if isinstance(beta, EmaWeights) else ema_weights(beta)
    if isinstance(kept, Tensor):
        return average.mul_(kept).add_((value * value).mul_(new))
    return average.mul_(kept).addcmul_(value, value, value=new)


def add_square_(total: Operand, value: Operand) -> Operand:
    """Do `total <- total + value^2`."""
    return total.addcmul_(value, value)


def mix(first: Operand, second: Operand, beta: Number | EmaWeights) -> Operand:
    """Return `beta first + (1 - beta) second`."""
    kept, new = beta if isinstance(beta, EmaWeights) else ema_weights(beta)
    if isinstance(kept, Tensor):
        return (first * kept).add_(second * new)
    return first.lerp(second, new)


def per_member(number: Number | EmaWeights, ndim: int) -> Any:
    """Return one value for each member, `[members]` or `[members, 1, ...]`, as `[members, 1, ...]`
    of as many dimensions as a population's stack; anything else as it is."""
    if isinstance(number, EmaWeights):
        return type(number)(per_member(number.kept, ndim), per_member(number.new, ndim))
    if isinstance(number, Tensor) and number.numel() > 1:
        return number.reshape(-1, *[1] * (ndim - 1))
    return number


def is_set(number: Number) -> bool:
    """Return whether a number is not 0; a tensor counts, for looking would wait for the GPU."""
    return isinstance(number, Tensor) or number != 0


def plus(first: Operand, second: Operand, factor: Number) -> Operand:
    """Return `first + factor second`."""
    if isinstance(factor, Tensor):
        return first + second * factor
    return first.add(second, alpha=factor)


def plus_(first: Operand, second: Operand, factor: Number) -> Operand:
    """Do `first <- first + factor second`."""
    if isinstance(factor, Tensor):
        return first.add_(second * factor)
    return first.add_(second, alpha=factor)


def subtract_(
    value: Operand, direction: Operand | Quotient | Product, size: Number | Operand
) -> Operand:
    """Do `value <- value - size direction`; a list of sizes has one for each tensor."""
    several = isinstance(size, SEVERAL)
    if isinstance(direction, FRACTIONS):
        if several:
            direction = direction.value()
        elif isinstance(direction, Quotient):
            return value.addcdiv_(*direction, value=-size)
        else:
            return value.addcmul_(*direction, value=-size)
    if several:
        return value.sub_(direction * size)
    return value.sub_(direction) if size == 1 else value.add_(direction, alpha=-size)


def becomes_(kept: Operand, value: Operand) -> Operand:
    """Do `kept <- value`, of a value that is changed in place afterwards.

    torch 2.14's compiler copies a plain one only after that change; not one that is computed.
    """
    compiling = isinstance(value, Tensor) and torch.compiler.is_compiling()
    return kept.copy_(value * 1.0 if compiling else value)


def maximum_(kept: Operand, value: Operand) -> Operand:
    """Do `kept <- max(kept, value)`, element by element."""
    if isinstance(kept, TensorList):
        return kept.maximum_(value)
    return kept.copy_(torch.maximum(kept, value))


def at_least_(value: Operand, low: Number) -> Operand:
    """Do `value <- max(value, low)`."""
    if isinstance(low, Tensor) and not isinstance(value, TensorList):
        return value.copy_(torch.maximum(value, low))
    return value.clamp_min_(low)


def clamp_(value: Operand, low: Number, high: Number) -> Operand:
    """Do `value <- min(max(value, low), high)`."""
    if isinstance(value, TensorList):
        return value.clamp_(low, high)
    if isinstance(low, Tensor) or isinstance(high, Tensor):
        return value.copy_(
            torch.minimum(torch.maximum(value, _like(low, value)), _like(high, value))
        )
    return value.clamp_(low, high)


def norm(value: Operand, population: bool = False) -> Operand:
    """Return the Euclidean norm of each whole tensor; of each member's part in a population."""
    if isinstance(value, TensorList):
        return value.norm()
    if population:
        members = value.flatten(1) if value.ndim > 1 else value.unsqueeze(1)
        return members.norm(dim=1).reshape(-1, *[1] * (value.ndim - 1))
    return torch.linalg.vector_norm(value)


def ratio_or_one(over: Operand, under: Operand) -> Operand:
    """Return `over / under` where both are positive, else 1: the trust ratio of layer-wise methods.

    Both are norms: a number, several, or a tensor with an element for each tensor or member.
    """
    if isinstance(over, NumberList):
        return over.over_or_one(under)
    if not isinstance(over, Tensor):
        return over / under if over > 0 and under > 0 else 1.0
    return torch.where((over > 0) & (under > 0), over / under, torch.ones_like(over))


def _like(number: Number, value: Tensor) -> Tensor:
    return number if isinstance(number, Tensor) else torch.full_like(value, number)
