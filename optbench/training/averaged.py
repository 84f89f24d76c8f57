"""Optimizers that train at some weights and are meant to be judged at others.

Their sign is the pair of methods `train()` and `eval()` (schedule-free's, SPlus's), which exchange
the model's weights. Nothing else here knows such an optimizer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from optbench.tasks.base import Modules, Task
from optbench.torch_internals import BatchNormBase
from optbench.training import rng
from optbench.training.batches import BatchStream
from optbench.training.buffers import Buffers
from optbench.training.precision import Precision

RECALIBRATION_BATCHES = 20
"""Training batches that batch norm's statistics are taken from before an evaluation."""


def with_modes(optimizer: Any) -> list[Any]:
    """Return those of an optimizer and the ones inside it that have both methods."""
    inside = [found for each in getattr(optimizer, "members", ()) for found in with_modes(each)]
    both = all(callable(getattr(optimizer, name, None)) for name in ("train", "eval"))
    return [optimizer, *inside] if both else inside


@contextmanager
def evaluation_weights(switched: Sequence[Any], parameters: Sequence[Tensor]) -> Iterator[None]:
    """Have the weights to evaluate stand in the model; put all back afterwards, bit for bit.

    Args:
        switched: the optimizers with modes, in training mode.
        parameters: the model's.
    """
    weights = [p.detach().clone() for p in parameters]
    states = [{p: dict(state) for p, state in o.state.items()} for o in switched]
    groups = [[dict(group) for group in o.param_groups] for o in switched]
    for optimizer in switched:
        optimizer.eval()
    try:
        yield
    finally:
        # Their own way back adds a rounding error.
        for optimizer, state, own in zip(switched, states, groups, strict=True):
            optimizer.train()
            for parameter, values in state.items():
                optimizer.state[parameter] = values
            for group, before in zip(optimizer.param_groups, own, strict=True):
                group.update(before)
        with torch.no_grad():
            for parameter, kept in zip(parameters, weights, strict=True):
                parameter.copy_(kept)


def scored_state(
    module: nn.Module, parameters: Sequence[Tensor], averages: Sequence[Tensor]
) -> dict[str, Any]:
    """Return the module's state dict with averages in the place of some of its parameters."""
    own = {id(p): average for p, average in zip(parameters, averages, strict=True)}
    return {  # by identity, for a tied parameter has two names
        name: own.get(id(value), value.detach()) if torch.is_tensor(value) else value
        for name, value in module.state_dict(keep_vars=True).items()
    }


def _norms(module: nn.Module) -> dict[str, BatchNormBase]:
    """Return the batch norms that keep statistics, by name."""
    return {
        name: each
        for name, each in module.named_modules()
        if isinstance(each, BatchNormBase) and each.track_running_stats
    }


def statistics(module: nn.Module) -> dict[str, Tensor]:
    """Return batch norm's statistics by their names in the state dict."""
    return {
        f"{at}.{name}" if at else name: buffer
        for at, norm in _norms(module).items()
        for name, buffer in norm.named_buffers()
    }


def recalibrate_batch_norm(
    feed: BatchStream, task: Task, modules: Modules, name: str, precision: Precision
) -> None:
    """Pass the first training batches through a player's module, for its batch norms.

    Random generators, and what the task carries from step to step, are left as they were.
    """
    state, carried = rng.capture(), task.state_dict()
    for work in islice(feed.epoch(0), RECALIBRATION_BATCHES):
        for batch, _ in work.micros:
            with precision.forward():
                task.loss(modules, batch, name)
    rng.restore(state)
    task.load_state_dict(carried)


@contextmanager
def recalibrated(module: nn.Module, forward: Callable[[], None]) -> Iterator[None]:
    """Have batch norm's statistics be those of the weights that stand in the model.

    Only the batch norms are in training mode meanwhile, so nothing draws a random number;
    afterwards statistics are as before.

    Args:
        module: in evaluation mode.
        forward: passes training batches through it.
    """
    norms = list(_norms(module).values())
    buffers, momenta = Buffers(norms), [norm.momentum for norm in norms]
    buffers.remember()
    if norms:
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # the plain mean over all batches
            norm.train()
        with torch.no_grad():
            forward()
        for norm in norms:
            norm.eval()
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        buffers.put_back()
