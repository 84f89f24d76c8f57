"""Lion: the sign of an interpolated momentum."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optbench.optim.engine.ops import Operand, ema_, ema_weights, mix
from optbench.optim.engine.ranges import betas_in_range
from optbench.optim.engine.rule_optimizer import RuleOptimizer


class Lion(RuleOptimizer):
    """EvoLved Sign Momentum (Chen et al. 2023, algorithm 2).

        c_t     = beta1 m_{t-1} + (1 - beta1) g_t
        theta_t = theta_{t-1} - lr (sign(c_t) + weight_decay theta_{t-1})
        m_t     = beta2 m_{t-1} + (1 - beta2) g_t

    Every step has the same size in every coordinate, so lr is 3 to 10 times smaller than AdamW's,
    and weight decay as much larger (section 5 of the paper).

    Args:
        params: as in torch.
        lr: learning rate, at least 0.
        betas: of the interpolation and of the momentum, each in [0, 1).
        weight_decay: decoupled.
        maximize, implementation: see `RuleOptimizer`.

    Raises:
        ValueError: a hyperparameter out of range.
    """

    state_names = ("exp_avg",)

    def __init__(
        self,
        params: Any,
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        implementation: str = "foreach",
    ) -> None:
        defaults = {"lr": lr, "betas": betas, "weight_decay": weight_decay}
        super().__init__(params, defaults, maximize=maximize, implementation=implementation)

    @staticmethod
    def rule(parameter: Operand, gradient: Operand, state: Mapping[str, Operand], hp: Any) -> Any:
        """Return the formula above, without the decay."""
        direction = mix(state["exp_avg"], gradient, hp.beta1).sign_()
        ema_(state["exp_avg"], gradient, hp.beta2)
        return direction, hp.lr

    @staticmethod
    def scalars(group: Mapping[str, Any], step: int) -> dict[str, Any]:
        """Return both betas."""
        beta1, beta2 = group["betas"]
        return {"beta1": ema_weights(beta1), "beta2": ema_weights(beta2)}

    @staticmethod
    def check(group: Mapping[str, Any]) -> None:
        """Check betas in [0, 1)."""
        betas_in_range(group["betas"])
