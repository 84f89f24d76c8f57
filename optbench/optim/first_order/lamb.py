"""LAMB: layer-wise scaled Adam for large batches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optbench.optim.engine.ops import (
    Operand,
    ema_,
    ema_of_square_,
    ema_weights,
    is_set,
    plus_,
    ratio_or_one,
)
from optbench.optim.engine.ranges import at_least_zero, betas_in_range
from optbench.optim.engine.rule_optimizer import RuleOptimizer


class LAMB(RuleOptimizer):
    """Adam whose update of each tensor has the size of the tensor (You et al. 2020, algorithm 2,
    with phi the identity).

        r_t     = m_t / (1 - beta1^t) / (sqrt(v_t / (1 - beta2^t)) + eps) + weight_decay theta_{t-1}
        theta_t = theta_{t-1} - lr ||theta_{t-1}|| / ||r_t|| r_t

    with m and v as Adam's. The ratio is 1 where either norm is 0.

    Args:
        params: as in torch.
        lr: learning rate, at least 0.
        betas: decay of the first and the second moment, each in [0, 1).
        eps: added to the root, at least 0.
        weight_decay: inside the update, as above.
        maximize, implementation: see `RuleOptimizer`.

    Raises:
        ValueError: a hyperparameter out of range.
    """

    state_names = ("exp_avg", "exp_avg_sq")
    decay = "none"

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        implementation: str = "foreach",
    ) -> None:
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, defaults, maximize=maximize, implementation=implementation)

    @staticmethod
    def measure(
        parameter: Operand, gradient: Operand, state: Mapping[str, Operand], hp: Any
    ) -> Operand:
        """Update the moments; return r without the corrections' scale."""
        ema_(state["exp_avg"], gradient, hp.beta1)
        ema_of_square_(state["exp_avg_sq"], gradient, hp.beta2)
        root = state["exp_avg_sq"].sqrt().add_(hp.eps * hp.root2)
        adam = state["exp_avg"] / root
        return plus_(adam, parameter, hp.weight_decay / hp.scale) if hp.decays else adam

    @staticmethod
    def rule(parameter: Operand, gradient: Operand, state: Mapping[str, Operand], hp: Any) -> Any:
        """Return the formula above."""
        weights, update = hp.norms
        trust = ratio_or_one(weights, update * hp.scale)
        return hp.measured, trust * (hp.lr * hp.scale)

    @staticmethod
    def scalars(group: Mapping[str, Any], step: int) -> dict[str, Any]:
        """Return betas, their corrections, eps, and whether there is decay."""
        beta1, beta2 = group["betas"]
        found = {"beta1": ema_weights(beta1), "beta2": ema_weights(beta2), "eps": group["eps"]}
        root2 = (1 - beta2**step) ** 0.5
        found |= {"root2": root2, "scale": root2 / (1 - beta1**step)}
        return found | {"decays": is_set(group["weight_decay"])}

    @staticmethod
    def check(group: Mapping[str, Any]) -> None:
        """Check betas in [0, 1) and eps at least 0."""
        betas_in_range(group["betas"])
        at_least_zero(group, "eps")
