"""Gradients of single examples by a loop, in float64."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor
from training.experiments import experiment

from optbench.instruments.look import Look
from optbench.instruments.per_example import chosen
from optbench.training.trainer import Trainer


@cache
def digits(*more: str) -> Trainer:
    return experiment(
        "dataset=digits", "model.hidden=[8]", "model.activation=tanh", *more
    ).trainer()


def dense(look: Look, examples: int | None = None) -> tuple[Tensor, Tensor]:
    """Losses [N] and gradients [N, P] of single examples, one after the other, in float64."""
    losses, rows = [], []
    task, modules = look.trainer.state.task, look.modules
    kept = [p.detach().clone() for p in look.parameters]
    look.module.double()
    with look.still("eval"):
        for batch, _ in chosen(look, examples).micros:
            for number in range(task.size(batch)):
                one = tuple(t[number : number + 1] for t in batch)
                one = tuple(t.double() if t.is_floating_point() else t for t in one)
                loss = task.loss(modules, one, look.player.name)
                slopes = torch.autograd.grad(loss, look.parameters)
                losses.append(loss.detach())
                rows.append(torch.cat([each.reshape(-1) for each in slopes]))
    look.module.float()
    with torch.no_grad():
        for parameter, value in zip(look.parameters, kept, strict=True):
            parameter.copy_(value)
    return torch.stack(losses), torch.stack(rows)
