"""An optimizer's whole state as plain data, and loading it without a bit of it changing."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any

import torch

from optbench.optim.groups import every_group
from optbench.optim.plain_state import CODE, WITHIN, holds_objects, plain, unplain
from optbench.torch_internals import past_the_compiler

Attributes = list[dict[str, Any]]


def attributes(optimizer: torch.optim.Optimizer) -> Attributes:
    """Return public attributes that are plain data, of the optimizer and of those inside it.

    Some of pytorch-optimizer's keep there what belongs into the state dict.
    """
    return [
        {k: copy.deepcopy(plain(v)) for k, v in vars(each).items() if _counts(k, v)}
        for each in _all(optimizer)
    ]


def changed(now: Attributes, fresh: Attributes) -> Attributes:
    """Return those of the attributes that differ from what they were in a new optimizer."""
    return [
        {k: v for k, v in one.items() if k not in other or not _same(v, other[k])}
        for one, other in zip(now, fresh, strict=True)
    ]


def set_attributes(optimizer: torch.optim.Optimizer, values: Attributes) -> None:
    """Put attributes back, their tensors on the devices of those that they replace.

    Raises:
        ValueError: one has the name of something that is no data.
    """
    for each, own in zip(_all(optimizer), values, strict=True):
        for key, value in own.items():
            now = getattr(each, key, None)
            if not _counts(key, value) or isinstance(now, CODE):
                raise ValueError(f"{key} is not an attribute of {type(each).__name__}")
            setattr(each, key, _beside(now, unplain(copy.deepcopy(value), now)))


@past_the_compiler()
def exact_state(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Return `optimizer.state_dict()` as plain data and tensors.

    Queues and objects in the state become dictionaries; what of the groups is no data, such as a
    function, is left out.
    """
    state: dict[str, Any] = plain(optimizer.state_dict())
    return state


def state_bytes(state: Any) -> int:
    """Return the bytes of the tensors in plain data, each tensor once."""
    found: dict[int, torch.Tensor] = {}
    _gather_tensors(state, found)
    return sum(tensor.numel() * tensor.element_size() for tensor in found.values())


def _gather_tensors(value: Any, found: dict[int, torch.Tensor]) -> None:
    if torch.is_tensor(value):
        found[id(value)] = value
    elif isinstance(value, Mapping | list | tuple):
        for item in value.values() if isinstance(value, Mapping) else value:
            _gather_tensors(item, found)


@past_the_compiler()
def load_exactly(optimizer: torch.optim.Optimizer, state_dict: dict[str, Any]) -> None:
    """Do `optimizer.load_state_dict`, but keep the dtype of every state tensor.

    torch casts floating-point state to its parameter's dtype. NAdam's `mu_product` is float32
    beside float64 parameters, so after a plain load its product goes on in another precision.

    Args:
        optimizer: over the same parameters, in the same order, as the one saved.
        state_dict: what `exact_state` gave, or its `state_dict()`.
    """
    before = [dict(group) for group in every_group(optimizer)]
    if holds_objects(state_dict):
        _make_objects(optimizer)
    decoded = unplain(state_dict, optimizer.state_dict())
    optimizer.load_state_dict(decoded)
    _restore_types(optimizer, decoded)
    _refuse_misshapen(optimizer)
    for group, own in zip(every_group(optimizer), before, strict=True):
        for key, value in own.items():
            group.setdefault(key, value)


def _refuse_misshapen(optimizer: torch.optim.Optimizer) -> None:
    """Raise ValueError for state that a fused kernel, which looks at no shape, would read beyond.

    A fused optimizer's state has its parameter's shape and dtype, but for the step.
    """
    for each in _all(optimizer):
        for group in each.param_groups:
            for parameter in group["params"] if group.get("fused") else ():
                for key, value in each.state.get(parameter, {}).items():
                    if key != "step" and isinstance(value, torch.Tensor):
                        _refuse_unlike_parameter(key, value, parameter)


def _refuse_unlike_parameter(key: str, value: torch.Tensor, parameter: torch.Tensor) -> None:
    overlaps = any(s == 0 and n > 1 for s, n in zip(value.stride(), value.shape, strict=True))
    if value.shape != parameter.shape or value.dtype != parameter.dtype or overlaps:
        raise ValueError(f"{key} does not have the shape of its parameter")


def _all(optimizer: Any) -> Iterator[Any]:
    yield optimizer
    for member in getattr(optimizer, "members", ()):
        yield from _all(member)


def _counts(key: str, value: Any) -> bool:
    known = ("param_groups", "state", "defaults", "members", "needs", "timed")
    if key in known or key.startswith("_") or isinstance(value, Enum):
        return False
    return isinstance(value, WITHIN) and not _holds_weights(value)


def _holds_weights(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_holds_weights, value.values()))
    if isinstance(value, list | tuple | deque):
        return any(map(_holds_weights, value))
    return isinstance(value, torch.nn.Parameter)


def _beside(now: Any, value: Any) -> Any:
    """Return the value, with its tensors on the devices of those that they replace."""
    if torch.is_tensor(value):
        return value.to(now.device) if torch.is_tensor(now) else value
    if isinstance(value, dict) and isinstance(now, Mapping):
        return {key: _beside(now.get(key), item) for key, item in value.items()}
    if isinstance(value, list | tuple) and isinstance(now, list | tuple):
        there = [*now, *[None] * (len(value) - len(now))]
        return type(value)(map(_beside, there, value))
    return value


def _same(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    if torch.is_tensor(one):
        return one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, Mapping):
        return one.keys() == other.keys() and all(_same(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)


def _make_objects(optimizer: torch.optim.Optimizer) -> None:
    """Take a dummy step, which makes the objects of a state that has some, to be filled."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    kept = [p.detach().clone() for p in parameters]
    for parameter in parameters:
        parameter.grad = torch.zeros_like(parameter)
    for each in _all(optimizer):
        if not hasattr(each, "members"):  # what is around others may want a closure
            each.step()
    with torch.no_grad():
        for parameter, old in zip(parameters, kept, strict=True):
            parameter.copy_(old)
            parameter.grad = None


def _restore_types(optimizer: torch.optim.Optimizer, state_dict: dict[str, Any]) -> None:
    if hasattr(optimizer, "members"):
        for member, saved in zip(optimizer.members, state_dict["members"], strict=True):
            _restore_types(member, saved)
        return
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for index, saved in state_dict.get("state", {}).items():
        if isinstance(index, int):
            state = optimizer.state[parameters[index]]
            for key, value in saved.items():
                state[key] = _as_saved(state.get(key), value)


def _as_saved(loaded: Any, saved: Any) -> Any:
    """Return what was loaded, in the types of what was saved."""
    if torch.is_tensor(saved):
        if torch.is_tensor(loaded) and loaded.dtype == saved.dtype:
            return loaded
        return saved.clone().to(loaded.device if torch.is_tensor(loaded) else saved.device)
    if isinstance(saved, Mapping) and isinstance(loaded, Mapping):
        return {key: _as_saved(loaded.get(key), value) for key, value in saved.items()}
    if isinstance(saved, deque):
        return deque(map(_as_saved, loaded, saved), maxlen=saved.maxlen)
    if isinstance(saved, list | tuple) and isinstance(loaded, list | tuple | deque):
        return type(saved)(map(_as_saved, loaded, saved))
    return loaded
