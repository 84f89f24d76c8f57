"""Sophia: momentum, divided by a diagonal of the Hessian and clipped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from optbench.optim.engine.ops import Operand, at_least_, clamp_, ema_, ema_weights, per_member
from optbench.optim.engine.ranges import above_zero, betas_in_range
from optbench.optim.engine.rule_optimizer import RuleOptimizer
from optbench.optim.needs import Needs


class Sophia(RuleOptimizer):
    """Second-order Clipped Stochastic Optimization with Hutchinson's estimator (Liu et al. 2023,
    algorithms 1 and 3).

        m_t     = beta1 m_{t-1} + (1 - beta1) g_t
        h_t     = beta2 h_{t-1} + (1 - beta2) u * (H u) every `hessian_every` steps, else h_{t-1}
        theta_t = theta_{t-1} - lr weight_decay theta_{t-1}
                              - lr clip(m_t / max(gamma h_t, eps), -1, 1)

    u is standard normal, drawn from a generator seeded by the number of the step, so that all ranks
    and a resumed run draw the same. Where h is not positive the step is lr in size, as Lion's.

    `step` needs an objective: the closure, with a method `hvp(parameters, vectors)` that gives H u
    of the same examples, and leaves gradients as they are. An estimate costs about two more.

    Args:
        params: as in torch.
        lr: learning rate, at least 0.
        betas: of the momentum and of the Hessian's diagonal, each in [0, 1).
        gamma: how much of the diagonal counts, above 0: larger clips fewer coordinates.
        eps: the least divisor, above 0.
        hessian_every: steps, at least 1; each group's own.
        weight_decay: decoupled.
        maximize, implementation: see `RuleOptimizer`; the Hessian is of what is minimised.

    Raises:
        ValueError: a hyperparameter out of range.
    """

    needs = Needs(objective="once", hvp=True)
    state_names = ("exp_avg", "hessian")

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.96, 0.99),
        gamma: float = 0.01,
        eps: float = 1e-12,
        hessian_every: int = 10,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        implementation: str = "foreach",
    ) -> None:
        defaults = {"lr": lr, "betas": betas, "gamma": gamma, "eps": eps}
        defaults |= {"hessian_every": hessian_every, "weight_decay": weight_decay}
        super().__init__(params, defaults, maximize=maximize, implementation=implementation)

    def step(self, closure: Any) -> Any:  # type: ignore[override]
        """Take one update by an objective; return the loss."""
        with torch.enable_grad():
            loss = closure()
        self._estimate(closure)
        self._apply_updates()
        return loss

    def _taken(self) -> int:
        used = [p for g in self.param_groups for p in g["params"] if p.grad is not None]
        return max((int(self.state[p]["step"]) for p in used if self.state[p]), default=0)

    @torch.no_grad()
    def _estimate(self, objective: Any) -> None:
        """Move the diagonals of the groups whose turn it is."""
        taken = self._taken()
        due = [group for group in self.param_groups if taken % group["hessian_every"] == 0]
        pairs = [(p, group) for group in due for p in group["params"] if p.grad is not None]
        if not pairs:
            return
        parameters = [parameter for parameter, _ in pairs]
        generator = torch.Generator(parameters[0].device).manual_seed(taken)
        vectors = [
            torch.randn(p.shape, generator=generator, dtype=p.dtype, device=p.device)
            for p in parameters
        ]
        with torch.enable_grad():
            products = objective.hvp(parameters, vectors)
        for (parameter, group), vector, product in zip(pairs, vectors, products, strict=True):
            if not self.state[parameter]:
                self.start_state(parameter, group)
            diagonal = self.state[parameter]["hessian"]
            found = vector * product.to(diagonal.dtype)
            beta = per_member(ema_weights(group["betas"][1]), parameter.ndim)
            ema_(diagonal, -found if group["maximize"] else found, beta)

    @staticmethod
    def rule(parameter: Operand, gradient: Operand, state: Mapping[str, Operand], hp: Any) -> Any:
        """Return the formula above, without the decay."""
        m = ema_(state["exp_avg"], gradient, hp.beta1)
        return clamp_(m / at_least_(state["hessian"] * hp.gamma, hp.eps), -1.0, 1.0), hp.lr

    @staticmethod
    def scalars(group: Mapping[str, Any], step: int) -> dict[str, Any]:
        """Return beta1, gamma and eps."""
        return {
            "beta1": ema_weights(group["betas"][0]),
            "gamma": group["gamma"],
            "eps": group["eps"],
        }

    @staticmethod
    def check(group: Mapping[str, Any]) -> None:
        """Check betas in [0, 1), gamma and eps above 0, hessian_every at least 1."""
        betas_in_range(group["betas"])
        above_zero(group, "gamma", "eps", "hessian_every")
