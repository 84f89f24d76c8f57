"""Targets drawn from the distributions that outputs stand for."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from optbench.tasks.base import Uniform


def classes(logits: Tensor, uniform: Uniform) -> Tensor:
    """Return classes [n, ...] with the probabilities that logits [n, ..., classes] give them."""
    heights = logits.detach().float().softmax(dim=-1).cumsum(dim=-1)
    drawn = uniform(logits.shape[:-1])[..., None] * heights[..., -1:]
    return (heights < drawn).sum(dim=-1).clamp_(max=logits.shape[-1] - 1)


def coins(logits: Tensor, uniform: Uniform) -> Tensor:
    """Return 0 and 1, float, each 1 with the probability that its logit gives."""
    chance = logits.detach().float().sigmoid()
    drawn: Tensor = uniform(logits.shape) < chance
    return drawn.float()


def numbers(means: Tensor, uniform: Uniform) -> Tensor:
    """Return numbers from N(mean, 1/2), whose negative log likelihood is the squared error."""
    least = torch.finfo(torch.float32).eps / 2
    normal = torch.special.ndtri(uniform(means.shape).clamp(least, 1 - least))
    found: Tensor = means.detach() + normal.to(means.dtype) * 0.5**0.5
    return found


def squared_error_of_drawn(means: Tensor, uniform: Uniform, reduction: str) -> Tensor:
    """Return the squared error of means against `numbers` around them."""
    return mse_loss(means, numbers(means, uniform), reduction=reduction)
