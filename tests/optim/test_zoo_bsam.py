"""bSAM, which was made fit for the trainer, against its authors' algorithm."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from optbench.optim.zoo.bsam import BSAM


def bsam_steps(
    w: Tensor, gradient: Callable[[Tensor], Tensor], noises: list[Tensor], adaptive: bool
) -> Tensor:
    """The authors' algorithm for a single tensor, in plain words."""
    n, lr, beta1, beta2, decay, rho, damping = 50, 0.1, 0.8, 0.95, 0.01, 0.2, 0.3
    gm, s = torch.zeros_like(w), torch.ones_like(w)
    for noise in noises:
        g = gradient(w + torch.sqrt(1 / (n * s)) * noise)
        g_perturbed = gradient(w + rho * g * (w**2 if adaptive else 1) / s)
        gm = beta1 * gm + (1 - beta1) * (g_perturbed + decay * w)
        w = w - lr * gm / s
        s = beta2 * s + (1 - beta2) * (torch.sqrt(s * g**2) + decay + damping)
    return w


@pytest.mark.parametrize("adaptive", [False, True])
def test_bsam_is_its_authors(adaptive: bool) -> None:
    torch.manual_seed(1)
    start, target = torch.randn(5, 3).double(), torch.randn(5, 3).double()
    weights = nn.Parameter(start.clone())
    settings = {"lr": 0.1, "betas": (0.8, 0.95), "weight_decay": 0.01, "rho": 0.2}
    optimizer = BSAM([weights], 50, **settings, adaptive=adaptive, damping=0.3)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = (1 + (weights - target) ** 2).sqrt().sum()
        loss.backward()
        return loss

    torch.manual_seed(2)
    for _ in range(50):
        optimizer.step(closure)
    torch.manual_seed(2)
    noises = [torch.randn_like(start) for _ in range(50)]

    def gradient(w: Tensor) -> Tensor:
        return (w - target) / (1 + (w - target) ** 2).sqrt()

    expected = bsam_steps(start, gradient, noises, adaptive)
    torch.testing.assert_close(weights.detach(), expected, rtol=1e-12, atol=1e-12)
    assert torch.dist(expected, target) < torch.dist(start, target)


def test_bsam_takes_its_moves_back_when_the_loss_raises() -> None:
    weights = nn.Parameter(torch.ones(4))
    optimizer = BSAM([weights], 10)
    calls = []

    def closure() -> Tensor:
        calls.append(weights.detach().clone())
        if len(calls) % 2 == 0:
            raise RuntimeError("no loss")
        weights.grad = torch.ones(4)
        return torch.tensor(0.0)

    with pytest.raises(RuntimeError, match="no loss"):
        optimizer.step(closure)
    assert not torch.equal(calls[0], torch.ones(4)) and not torch.equal(calls[1], calls[0])
    assert torch.equal(weights, torch.ones(4))
