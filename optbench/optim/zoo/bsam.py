"""bSAM as its authors have it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytorch_optimizer
import torch
from torch import Tensor


class BSAM(pytorch_optimizer.BSAM):
    """Sharpness-aware minimisation with a variance for each weight (Möllenhoff & Khan 2023, bSAM).

        g       = gradient at m + e,  e ~ N(0, 1 / (N s))
        g_p     = gradient at m + rho g / s
        g_m    <- beta1 g_m + (1 - beta1) (g_p + weight_decay m)
        m      <- m - lr g_m / s
        s      <- beta2 s + (1 - beta2) (sqrt(s) |g| + weight_decay + damping)

    `adaptive` multiplies the way to the second point by m^2. s starts at 1. The library (4.1.0)
    takes neither move back, multiplies the gradient by the weight decay where that should be added,
    and squares what s approaches; of it the arguments and their checks are left.

    Args:
        params: as in torch.
        num_data: N, the number of training examples.
        lr: learning rate.
        betas: of the momentum, and of s.
        weight_decay: the prior's precision, divided by N.
        rho: size of the neighbourhood.
        adaptive: see above.
        damping: the least that s approaches.
    """

    def __init__(
        self,
        params: Any,
        num_data: int,
        lr: float = 0.5,
        betas: tuple[float, float] = (0.9, 0.999),
        weight_decay: float = 1e-4,
        rho: float = 0.05,
        adaptive: bool = False,
        damping: float = 0.1,
    ) -> None:
        super().__init__(params, num_data, lr, betas, weight_decay, rho, adaptive, damping)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any]) -> Any:  # type: ignore[override]
        """Take one update, of two gradients; return the loss at the first point."""
        given = [(p, g) for g in self.param_groups for p in g["params"] if p.requires_grad]
        for parameter, _ in given:
            state = self.state[parameter]
            if not state:
                state["s"] = torch.ones_like(parameter)
                state["momentum"] = torch.zeros_like(parameter)
        parameters = [parameter for parameter, _ in given]
        with _put_back(parameters):
            for parameter in parameters:
                deviation = (self.num_data * self.state[parameter]["s"]).rsqrt()
                parameter.addcmul_(torch.randn_like(parameter), deviation)
            with torch.enable_grad():
                loss = closure()
            first = [None if p.grad is None else p.grad.clone() for p in parameters]
        with _put_back(parameters):
            for (parameter, group), gradient in zip(given, first, strict=True):
                if gradient is not None:
                    way = gradient * parameter.square() if group["adaptive"] else gradient
                    parameter.addcdiv_(way, self.state[parameter]["s"], value=group["rho"])
            with torch.enable_grad():
                closure()
        for (parameter, group), gradient in zip(given, first, strict=True):
            if gradient is not None and parameter.grad is not None:
                self._update(parameter, group, gradient, parameter.grad)
        return loss

    def _update(
        self, parameter: Tensor, group: dict[str, Any], noisy: Tensor, perturbed: Tensor
    ) -> None:
        momentum, s = self.state[parameter]["momentum"], self.state[parameter]["s"]
        (beta1, beta2), decay = group["betas"], group["weight_decay"]
        momentum.lerp_(perturbed + decay * parameter, 1 - beta1)
        parameter.addcdiv_(momentum, s, value=-group["lr"])
        s.lerp_(s.sqrt().mul_(noisy.abs()).add_(decay + self.damping), 1 - beta2)


@contextmanager
def _put_back(parameters: list[Tensor]) -> Iterator[None]:
    """Give the parameters back their values after the block, to the bit."""
    kept = [parameter.clone() for parameter in parameters]
    try:
        yield
    finally:
        torch._foreach_copy_(parameters, kept)
