"""A rule compiled into one kernel that goes through memory once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from types import FunctionType
from typing import Any, NamedTuple

import torch
from torch import Tensor

from optbench.optim.engine.foreach import Slot
from optbench.optim.engine.form import Form, apply, finish, measured_operand
from optbench.optim.engine.ops import EmaWeights

KEPT = 1024
"""Compiled functions of each kind; the one used least lately goes first."""


SMALL = 2**14
"""Elements up to which, on a CPU, calling a kernel takes longer than what it saves: 40 us a call,
where a batch of foreach takes 4 us for each tensor. A GPU gets one graph of everything."""


def is_small(parameter: Tensor) -> bool:
    """Return whether foreach shall update the parameter even if the implementation is compiled."""
    return parameter.device.type == "cpu" and parameter.numel() <= SMALL


Kind = tuple[Any, ...]
"""What a function is compiled for; each has its own, for the compiler stops after eight."""


def kind_of(parameter: Tensor, gradient: Tensor) -> Kind:
    """Return sizes and strides; dtypes and devices are looked at once for all. The state lies as
    the parameter does."""
    return parameter.shape, parameter.stride(), gradient.stride()


def run_compiled(form: Form, slots: Sequence[Slot], gradients: Sequence[Tensor], hp: Any) -> None:
    """Update all parameters: one after the other on a CPU, in one graph on a GPU.

    Numbers go in as a tensor: as numbers they would be part of the code, which would be compiled
    anew whenever a schedule changes the learning rate.
    """
    first = slots[0].parameter
    numbers, settings = split(hp, form.wide or first.dtype)
    names = tuple(slots[0].state)
    if first.device.type != "cpu":
        run_together(form, slots, gradients, numbers, settings)
        return
    for slot, gradient in zip(slots, gradients, strict=True):
        parameter, flat, state = _flattened(slot, gradient)
        dense = parameter.ndim == 1 and parameter.is_contiguous() and flat.is_contiguous()
        # The compiler itself has other code for none and for one.
        shapes = (min(parameter.shape[0], 2),) if dense else kind_of(parameter, flat)
        key = (form, names, settings, (parameter.dtype, flat.dtype, *shapes), dense)
        given = (parameter, flat, state, numbers)
        if form.measure is None or not dense:
            run_one(*key)(*given)
            continue
        # Norms by torch: the compiler's sums take longer, and part the graph in more passes.
        if form.norms_first:
            named = dict(zip(names, state, strict=True))
            wide, measured = measured_operand(form, parameter, flat, named, hp)
        else:
            wide = parameter if form.wide is None else parameter.to(form.wide)
            measured = torch.empty_like(parameter, dtype=form.wide)
            measure_one(*key)(*given, measured)
        norms = torch.stack([torch.linalg.vector_norm(t) for t in (wide, measured)])
        finish_one(*key)(*given, norms, measured)


def run_together(
    form: Form,
    slots: Sequence[Slot],
    gradients: Sequence[Tensor],
    numbers: Tensor,
    settings: Settings,
) -> None:
    """Update all slots by one graph, which is compiled for just these shapes."""
    states = [list(slot.state.values()) for slot in slots]
    parameters = [slot.parameter.detach() for slot in slots]
    kinds = map(kind_of, parameters, gradients)
    kind = (parameters[0].dtype, gradients[0].dtype, parameters[0].device, *kinds)
    run = run_lists(form, tuple(slots[0].state), settings, kind)
    run(parameters, list(gradients), states, numbers)


def memory_order(tensor: Tensor) -> tuple[int, ...]:
    """Return the dimensions as they lie in memory, such as (0, 2, 3, 1) for channels_last."""
    return tuple(sorted(range(tensor.ndim), key=tensor.stride, reverse=True))


def _flattened(slot: Slot, gradient: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Return vectors where all lie dense in memory, so that one kernel serves all shapes."""
    parameter, state = slot.parameter.detach(), list(slot.state.values())
    order = memory_order(parameter)
    views = [t.permute(order) for t in (parameter, *state)]
    if not all(view.is_contiguous() for view in views):
        return parameter, gradient, state
    first, *rest = [view.view(-1) for view in views]
    return first, gradient.permute(order).reshape(-1), rest


class Settings(NamedTuple):
    """What is compiled in: the type of the hyperparameters, with `float` in place of each number
    and `EmaWeights` in place of each share."""

    kind: Any
    fixed: tuple[Any, ...]

    def filled(self, numbers: Tensor) -> Any:
        """Return the hyperparameters, with tensors of one element for numbers."""
        left = iter(numbers.unbind())
        values = []
        for value in self.fixed:
            if value is float:
                value = next(left)
            elif value is EmaWeights:
                value = EmaWeights(next(left), next(left))
            values.append(value)
        return self.kind(*values)


def split(hp: Any, dtype: torch.dtype) -> tuple[Tensor, Settings]:
    """Return the numbers among the hyperparameters as one tensor, and everything else."""
    numbers: list[Any] = []
    fixed: list[Any] = []
    for value in hp:
        if isinstance(value, EmaWeights):
            numbers += value
            fixed.append(EmaWeights)
        elif isinstance(value, int | float | Tensor) and not isinstance(value, bool):
            numbers.append(value)
            fixed.append(float)
        else:
            fixed.append(value)
    settings = Settings(type(hp), tuple(fixed))
    if numbers and all(isinstance(number, Tensor) for number in numbers):  # they lie there already
        return torch.stack([number.to(dtype) for number in numbers]), settings
    return torch.tensor(list(map(float, numbers)), dtype=dtype), settings


@lru_cache(KEPT)
def run_one(
    form: Form, names: tuple[str, ...], settings: Settings, kind: Kind, dense: bool
) -> Callable[..., None]:
    """Return the compiled update of one tensor: a dense one of any length, else of its shape."""

    def run(parameter: Tensor, gradient: Tensor, state: list[Tensor], numbers: Tensor) -> None:
        named = dict(zip(names, state, strict=True))
        apply(form, parameter, gradient, named, settings.filled(numbers))

    return _compile(run, form, dynamic=dense)


@lru_cache(KEPT)
def measure_one(
    form: Form, names: tuple[str, ...], settings: Settings, kind: Kind, dense: bool
) -> Callable[..., None]:
    """Return what measures one tensor for a rule, compiled, into memory that is given."""

    def measure(
        parameter: Tensor, gradient: Tensor, state: list[Tensor], numbers: Tensor, into: Tensor
    ) -> None:
        named = dict(zip(names, state, strict=True))
        hp = settings.filled(numbers)
        into.copy_(measured_operand(form, parameter, gradient, named, hp)[1])

    return _compile(measure, form, dynamic=dense)


@lru_cache(KEPT)
def finish_one(
    form: Form, names: tuple[str, ...], settings: Settings, kind: Kind, dense: bool
) -> Callable[..., None]:
    """Return the update of one tensor, compiled, by a rule whose norms are known before it."""

    def update(
        parameter: Tensor,
        gradient: Tensor,
        state: list[Tensor],
        numbers: Tensor,
        norms: Tensor,
        measured: Tensor,
    ) -> None:
        hp = settings.filled(numbers)._replace(norms=tuple(norms.unbind()), measured=measured)
        finish(form, parameter, gradient, dict(zip(names, state, strict=True)), hp)

    return _compile(update, form, dynamic=dense)


@lru_cache(KEPT)
def run_lists(
    form: Form, names: tuple[str, ...], settings: Settings, kind: Kind
) -> Callable[..., None]:
    """Return the update of lists of tensors: one graph, whose kernels the compiler combines."""

    def run(
        parameters: list[Tensor],
        gradients: list[Tensor],
        states: list[list[Tensor]],
        numbers: Tensor,
    ) -> None:
        hp = settings.filled(numbers)
        for parameter, gradient, state in zip(parameters, gradients, states, strict=True):
            apply(form, parameter, gradient, dict(zip(names, state, strict=True)), hp)

    return _compile(run, form, dynamic=False, options={"combo_kernels": True})


def _compile(
    run: Callable[..., Any], form: Form, dynamic: bool, options: dict[str, Any] | None = None
) -> Callable[..., Any]:
    # A code object of its own: the compiler keeps what it made by code, and after eight raises.
    name = f"{run.__name__}_{form.rule.__qualname__}_{form.decay}_{form.maximize}_{form.wide}"
    code = run.__code__.replace(co_name=name)
    own = FunctionType(code, run.__globals__, name, run.__defaults__, run.__closure__)
    if form.wide is not None:
        # A rule that rounds, as the heavy ball's, means it; the compiler would leave it out.
        options = {**(options or {}), "emulate_precision_casts": True}
    compiled: Callable[..., Any] = torch.compile(
        own, dynamic=dynamic, fullgraph=True, options=options
    )
    return compiled
