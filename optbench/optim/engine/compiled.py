"""A rule compiled into one kernel that goes through memory once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from types import FunctionType
from typing import Any, NamedTuple

import torch
from torch import Tensor

from optbench.optim.engine.blocks import Slot, memory_order
from optbench.optim.engine.form import Form, apply


def run_compiled(form: Form, slots: Sequence[Slot], gradients: Sequence[Tensor], h: Any) -> None:
    """Updates all slots: one after the other on a CPU, in one graph on a GPU.

    Numbers go in as a tensor: as numbers they would be part of the code, which would be compiled
    anew whenever a schedule changes the learning rate.
    """
    first = slots[0].parameter
    numbers, settings = split(h, form.wide or first.dtype)
    if first.device.type != "cpu":
        states = [list(slot.state.values()) for slot in slots]
        parameters = [slot.parameter.detach() for slot in slots]
        run_lists(form, tuple(slots[0].state), settings)(
            parameters, list(gradients), states, numbers
        )
        return
    run = run_one(form, tuple(slots[0].state), settings)
    for slot, gradient in zip(slots, gradients, strict=True):
        run(*_flattened(slot, gradient), numbers)


def _flattened(slot: Slot, gradient: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
    """As vectors where they lie dense in memory, so that one kernel serves all shapes."""
    parameter, state = slot.parameter.detach(), list(slot.state.values())
    order = memory_order(parameter)
    views = [t.permute(order) for t in (parameter, *state)]
    if not all(view.is_contiguous() for view in views):
        return parameter, gradient, state
    first, *rest = [view.view(-1) for view in views]
    return first, gradient.permute(order).reshape(-1), rest


class Settings(NamedTuple):
    """What is compiled in: the type of the hyperparameters, with None in place of each number."""

    kind: Any
    fixed: tuple[Any, ...]

    def filled(self, numbers: Tensor) -> Any:
        """The hyperparameters, with tensors of one element for numbers."""
        left = iter(numbers.unbind())
        return self.kind(*[next(left) if value is None else value for value in self.fixed])


def split(h: Any, dtype: torch.dtype) -> tuple[Tensor, Settings]:
    """The numbers among the hyperparameters as one tensor, and everything else."""
    changing = [isinstance(v, int | float | Tensor) and not isinstance(v, bool) for v in h]
    numbers = [float(value) for value, changes in zip(h, changing, strict=True) if changes]
    fixed = tuple(None if changes else v for v, changes in zip(h, changing, strict=True))
    return torch.tensor(numbers, dtype=dtype), Settings(type(h), fixed)


@lru_cache
def run_one(form: Form, names: tuple[str, ...], settings: Settings) -> Callable[..., None]:
    """Compiled for one tensor of any length."""

    def run(parameter: Tensor, gradient: Tensor, state: list[Tensor], numbers: Tensor) -> None:
        named = dict(zip(names, state, strict=True))
        apply(form, parameter, gradient, named, settings.filled(numbers))

    return _compile(run, form, dynamic=True)


@lru_cache
def run_lists(form: Form, names: tuple[str, ...], settings: Settings) -> Callable[..., None]:
    """Compiled for lists of tensors: one graph, whose kernels the compiler combines."""

    def run(
        parameters: list[Tensor],
        gradients: list[Tensor],
        states: list[list[Tensor]],
        numbers: Tensor,
    ) -> None:
        h = settings.filled(numbers)
        for parameter, gradient, state in zip(parameters, gradients, states, strict=True):
            apply(form, parameter, gradient, dict(zip(names, state, strict=True)), h)

    return _compile(run, form, dynamic=False, options={"combo_kernels": True})


def _compile(
    run: Callable[..., None], form: Form, dynamic: bool, options: dict[str, Any] | None = None
) -> Callable[..., None]:
    # A code object of its own: the compiler keeps what it made by code, and only so many of them.
    name = f"{form.rule.__qualname__}_{form.decay}_{form.maximize}_{form.wide}"
    code = run.__code__.replace(co_name=name)
    own = FunctionType(code, run.__globals__, name, run.__defaults__, run.__closure__)
    compiled: Callable[..., None] = torch.compile(
        own, dynamic=dynamic, fullgraph=True, options=options
    )
    return compiled
