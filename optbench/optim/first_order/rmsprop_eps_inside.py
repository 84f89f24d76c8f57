"""RMSprop with eps inside the square root."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optbench.optim.engine.ops import Operand, Product, ema_of_square_, ema_weights
from optbench.optim.engine.ranges import at_least_zero, in_unit_interval
from optbench.optim.engine.rule_optimizer import RuleOptimizer


class RMSpropEpsInside(RuleOptimizer):
    """RMSprop (Tieleman & Hinton 2012, lecture 6e) in the form of many textbooks.

        G_t     = alpha G_{t-1} + (1 - alpha) g_t^2
        theta_t = theta_{t-1} - lr / sqrt(G_t + eps) g_t

    torch's has eps outside the root: `sqrt(G) + eps`.

    Args:
        params: as in torch.
        lr: learning rate, at least 0.
        alpha: decay of the mean of squares, in [0, 1).
        eps: added to G, at least 0.
        weight_decay: L2 regularisation, added to the gradient.
        maximize, implementation: see `RuleOptimizer`.

    Raises:
        ValueError: a hyperparameter out of range.
    """

    state_names = ("square_avg",)
    decay = "coupled"

    def __init__(
        self,
        params: Any,
        lr: float = 0.001,
        alpha: float = 0.9,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        implementation: str = "foreach",
    ) -> None:
        defaults = {"lr": lr, "alpha": alpha, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, defaults, maximize=maximize, implementation=implementation)

    @staticmethod
    def rule(parameter: Operand, gradient: Operand, state: Mapping[str, Operand], hp: Any) -> Any:
        """Return the formula above."""
        mean = ema_of_square_(state["square_avg"], gradient, hp.alpha)
        return Product(gradient, (mean + hp.eps).rsqrt_()), hp.lr

    @staticmethod
    def scalars(group: Mapping[str, Any], step: int) -> dict[str, Any]:
        """Return alpha and eps."""
        return {"alpha": ema_weights(group["alpha"]), "eps": group["eps"]}

    @staticmethod
    def check(group: Mapping[str, Any]) -> None:
        """Check alpha in [0, 1) and eps at least 0."""
        in_unit_interval(group, "alpha")
        at_least_zero(group, "eps")
