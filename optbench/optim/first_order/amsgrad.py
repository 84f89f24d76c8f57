"""AMSGrad with the maximum over the corrected second moment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optbench.optim.engine.ops import (
    Operand,
    Quotient,
    ema_,
    ema_of_square_,
    ema_weights,
    maximum_,
)
from optbench.optim.engine.ranges import at_least_zero, betas_in_range
from optbench.optim.engine.rule_optimizer import RuleOptimizer


class AMSGrad(RuleOptimizer):
    """Adam whose second moment never falls (Reddi et al. 2018, algorithm 2), with Adam's bias
    correction inside the maximum, as textbooks have it.

        m_t     = beta1 m_{t-1} + (1 - beta1) g_t
        v_t     = beta2 v_{t-1} + (1 - beta2) g_t^2
        w_t     = max(w_{t-1}, v_t / (1 - beta2^t))
        theta_t = theta_{t-1} - lr m_t / (1 - beta1^t) / (sqrt(w_t) + eps)

    torch's `Adam(amsgrad=True)` takes the maximum over the uncorrected v and corrects afterwards;
    the paper corrects neither.

    Args:
        params: as in torch.
        lr: learning rate, at least 0.
        betas: decay of the first and the second moment, each in [0, 1).
        eps: added to the root, at least 0.
        weight_decay: decoupled, as in AdamW.
        maximize, implementation: see `RuleOptimizer`.

    Raises:
        ValueError: a hyperparameter out of range.
    """

    state_names = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        implementation: str = "foreach",
    ) -> None:
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, defaults, maximize=maximize, implementation=implementation)

    @staticmethod
    def rule(parameter: Operand, gradient: Operand, state: Mapping[str, Operand], hp: Any) -> Any:
        """Return the formula above."""
        m = ema_(state["exp_avg"], gradient, hp.beta1)
        v = ema_of_square_(state["exp_avg_sq"], gradient, hp.beta2)
        largest = maximum_(state["max_exp_avg_sq"], v / hp.correction2)
        return Quotient(m, largest.sqrt().add_(hp.eps)), hp.lr / hp.correction1

    @staticmethod
    def scalars(group: Mapping[str, Any], step: int) -> dict[str, Any]:
        """Return betas, their corrections, eps."""
        beta1, beta2 = group["betas"]
        corrections = {"correction1": 1 - beta1**step, "correction2": 1 - beta2**step}
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
