"""AdaBelief: steps by how far the gradient is from what was expected."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optbench.optim.engine.ops import Operand, Quotient, ema_, ema_of_square_, ema_weights
from optbench.optim.engine.ranges import at_least_zero, betas_in_range
from optbench.optim.engine.rule_optimizer import RuleOptimizer


class AdaBelief(RuleOptimizer):
    """Adam with the variance around the mean in place of the second moment (Zhuang et al. 2020,
    algorithm 2).

        m_t     = beta1 m_{t-1} + (1 - beta1) g_t
        s_t     = beta2 s_{t-1} + (1 - beta2) (g_t - m_t)^2 + eps
        theta_t = theta_{t-1} - lr m_t / (1 - beta1^t) / (sqrt(s_t / (1 - beta2^t)) + eps)

    Args:
        params: as in torch.
        lr: learning rate, at least 0.
        betas: decay of the first and the second moment, each in [0, 1).
        eps: added to s at every step, and to the root, at least 0.
        weight_decay: decoupled, as in AdamW.
        maximize, implementation: see `RuleOptimizer`.

    Raises:
        ValueError: a hyperparameter out of range.
    """

    state_names = ("exp_avg", "exp_avg_var")

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-16,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        implementation: str = "foreach",
    ) -> None:
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, defaults, maximize=maximize, implementation=implementation)

    @staticmethod
    def rule(parameter: Operand, gradient: Operand, state: Mapping[str, Operand], hp: Any) -> Any:
        """Return the formula above, fraction expanded by the root of the correction."""
        m = ema_(state["exp_avg"], gradient, hp.beta1)
        s = ema_of_square_(state["exp_avg_var"], gradient - m, hp.beta2).add_(hp.eps)
        return Quotient(m, s.sqrt().add_(hp.eps * hp.root2)), hp.lr * hp.root2 / hp.correction1

    @staticmethod
    def scalars(group: Mapping[str, Any], step: int) -> dict[str, Any]:
        """Return betas, their corrections, eps."""
        beta1, beta2 = group["betas"]
        corrections = {"correction1": 1 - beta1**step, "root2": (1 - beta2**step) ** 0.5}
        return {
            "beta1": ema_weights(beta1),
            "beta2": ema_weights(beta2),
            "eps": group["eps"],
            **corrections,
        }

    @staticmethod
    def check(group: Mapping[str, Any]) -> None:
        """Check betas in [0, 1) and eps at least 0."""
        betas_in_range(group["betas"])
        at_least_zero(group, "eps")
