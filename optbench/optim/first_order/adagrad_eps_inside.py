"""Adagrad with eps inside the square root."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from optbench.optim.engine.ops import Operand, Product, add_square_, per_member
from optbench.optim.engine.ranges import at_least_zero
from optbench.optim.engine.rule_optimizer import RuleOptimizer


class AdagradEpsInside(RuleOptimizer):
    """Adagrad (Duchi et al. 2011, algorithm 1, diagonal) in the form of many textbooks.

        G_t     = G_{t-1} + g_t^2
        theta_t = theta_{t-1} - lr / sqrt(G_t + eps) g_t

    torch's has eps outside the root: `sqrt(G) + eps`. Where gradients are about as small as
    `sqrt(eps)`, here 1e-4, this form takes far smaller steps.

    Args:
        params: as in torch.
        lr: learning rate, at least 0.
        eps: added to G, at least 0.
        initial_accumulator_value: G_0, at least 0.
        weight_decay: L2 regularisation, added to the gradient.
        maximize, implementation: see `RuleOptimizer`.

    Raises:
        ValueError: a hyperparameter out of range.
    """

    state_names = ("sum",)
    decay = "coupled"

    def __init__(
        self,
        params: Any,
        lr: float = 0.01,
        eps: float = 1e-8,
        initial_accumulator_value: float = 0.0,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        implementation: str = "foreach",
    ) -> None:
        defaults = {"lr": lr, "eps": eps, "weight_decay": weight_decay}
        defaults["initial_accumulator_value"] = initial_accumulator_value
        super().__init__(params, defaults, maximize=maximize, implementation=implementation)

    @staticmethod
    def rule(parameter: Operand, gradient: Operand, state: Mapping[str, Operand], hp: Any) -> Any:
        """Return the formula above."""
        total = add_square_(state["sum"], gradient)
        return Product(gradient, (total + hp.eps).rsqrt_()), hp.lr

    @staticmethod
    def scalars(group: Mapping[str, Any], step: int) -> dict[str, Any]:
        """Return eps."""
        return {"eps": group["eps"]}

    @staticmethod
    def initial_state(name: str, parameter: Tensor, group: Mapping[str, Any]) -> Tensor:
        """Return G_0."""
        value = per_member(group["initial_accumulator_value"], parameter.ndim)
        return torch.zeros_like(parameter).add_(value)

    @staticmethod
    def check(group: Mapping[str, Any]) -> None:
        """Check eps and the initial value, at least 0."""
        at_least_zero(group, "eps", "initial_accumulator_value")
