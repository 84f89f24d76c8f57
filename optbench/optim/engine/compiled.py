"""A rule compiled into one kernel that goes through memory once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from types import FunctionType
from typing import Any

import torch
from torch import Tensor

from optbench.optim.engine.blocks import Slot, memory_order
from optbench.optim.engine.form import Form, apply


def run_compiled(form: Form, slots: Sequence[Slot], gradients: Sequence[Tensor], h: Any) -> None:
    """Updates all slots: one after the other on a CPU, in one graph on a GPU.

    Numbers go in as tensors of one element: as numbers they would be part of the code, which would
    be compiled anew whenever a schedule changes the learning rate.
    """
    device = slots[0].parameter.device
    h = as_tensors(h, form.wide or slots[0].parameter.dtype)
    if device.type != "cpu":
        names = slots[0].state
        states = {name: [slot.state[name] for slot in slots] for name in names}
        of_lists(form)([s.parameter.detach() for s in slots], list(gradients), states, h)
        return
    run = of_one(form)
    for slot, gradient in zip(slots, gradients, strict=True):
        run(*_flattened(slot, gradient), h)


def _flattened(slot: Slot, gradient: Tensor) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """As vectors where they lie dense in memory, so that one kernel serves all shapes."""
    parameter, state = slot.parameter.detach(), dict(slot.state)
    order = memory_order(parameter)
    views = [t.permute(order) for t in (parameter, *state.values())]
    if not all(view.is_contiguous() for view in views):
        return parameter, gradient, state
    first, *rest = [view.view(-1) for view in views]
    return first, gradient.permute(order).reshape(-1), dict(zip(state, rest, strict=True))


def as_tensors(h: Any, dtype: torch.dtype) -> Any:
    """The hyperparameters with tensors for numbers; what is true or false stays so."""

    def turned(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(turned(item) for item in value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return value
        return torch.tensor(value, dtype=dtype)

    return type(h)(*[turned(value) for value in h])


@lru_cache
def of_one(form: Form) -> Callable[..., None]:
    """Compiled for one tensor of any length."""

    def run(parameter: Tensor, gradient: Tensor, state: Mapping[str, Tensor], h: Any) -> None:
        apply(form, parameter, gradient, state, h)

    return _compile(run, form, dynamic=True)


@lru_cache
def of_lists(form: Form) -> Callable[..., None]:
    """Compiled for lists of tensors: one graph, whose kernels the compiler combines."""

    def run(
        parameters: list[Tensor], gradients: list[Tensor], states: dict[str, list[Tensor]], h: Any
    ) -> None:
        for number, (parameter, gradient) in enumerate(zip(parameters, gradients, strict=True)):
            state = {name: tensors[number] for name, tensors in states.items()}
            apply(form, parameter, gradient, state, h)

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
