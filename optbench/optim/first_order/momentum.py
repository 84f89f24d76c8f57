"""Momentum with the learning rate inside the velocity."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optbench.optim.engine.ops import Operand, plus_
from optbench.optim.engine.ranges import in_unit_interval
from optbench.optim.engine.rule_optimizer import RuleOptimizer


class Momentum(RuleOptimizer):
    """Classical momentum as the textbooks write it (Sutskever et al. 2013, equations 1 and 2).

        v_t     = momentum v_{t-1} + lr g_t
        theta_t = theta_{t-1} - v_t

    torch's SGD keeps lr outside: its velocity is rescaled at once when a schedule changes lr. At a
    constant lr the two are the same.

    Args:
        params: as in torch.
        lr: learning rate, at least 0.
        momentum: in [0, 1).
        weight_decay: L2 regularisation, added to the gradient.
        maximize, implementation: see `RuleOptimizer`.

    Raises:
        ValueError: a hyperparameter out of range.
    """

    state_names = ("velocity",)
    decay = "coupled"

    def __init__(
        self,
        params: Any,
        lr: float = 0.01,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        implementation: str = "foreach",
    ) -> None:
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}
        super().__init__(params, defaults, maximize=maximize, implementation=implementation)

    @staticmethod
    def rule(parameter: Operand, gradient: Operand, state: Mapping[str, Operand], hp: Any) -> Any:
        """Return the formula above."""
        return plus_(state["velocity"].mul_(hp.momentum), gradient, hp.lr), 1.0

    @staticmethod
    def scalars(group: Mapping[str, Any], step: int) -> dict[str, Any]:
        """Return the momentum."""
        return {"momentum": group["momentum"]}

    @staticmethod
    def check(group: Mapping[str, Any]) -> None:
        """Check momentum in [0, 1)."""
        in_unit_interval(group, "momentum")
