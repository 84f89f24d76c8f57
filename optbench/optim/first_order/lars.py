"""LARS: layer-wise learning rates for large batches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optbench.optim.engine.ops import Operand, is_set, plus, plus_, ratio_or_one, subtract_
from optbench.optim.engine.ranges import above_zero, in_unit_interval
from optbench.optim.engine.rule_optimizer import RuleOptimizer


class LARS(RuleOptimizer):
    """Momentum with a learning rate for each tensor from its norms (You et al. 2017, algorithm 1).

        local_t = trust_coefficient ||theta_{t-1}|| / (||g_t|| + weight_decay ||theta_{t-1}||)
        v_t     = momentum v_{t-1} + lr local_t (g_t + weight_decay theta_{t-1})
        theta_t = theta_{t-1} - v_t

    `local` is 1 where a norm is 0. As in all implementations, tensors of fewer than two dimensions,
    such as biases, have `local` 1 and no decay: they start at 0 and would not move.

    Args:
        params: as in torch.
        lr: learning rate, at least 0.
        momentum: in [0, 1).
        trust_coefficient: above 0.
        weight_decay: as above.
        maximize, implementation: see `RuleOptimizer`.

    Raises:
        ValueError: a hyperparameter out of range.
    """

    state_names = ("velocity",)
    decay = "none"
    norms_first = True
    separate_vectors = True

    def __init__(
        self,
        params: Any,
        lr: float = 0.1,
        momentum: float = 0.9,
        trust_coefficient: float = 0.001,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        implementation: str = "foreach",
    ) -> None:
        defaults = {"lr": lr, "momentum": momentum, "trust_coefficient": trust_coefficient}
        defaults["weight_decay"] = weight_decay
        super().__init__(params, defaults, maximize=maximize, implementation=implementation)

    @staticmethod
    def measure(
        parameter: Operand, gradient: Operand, state: Mapping[str, Operand], hp: Any
    ) -> Operand:
        """Return g, whose norm is wanted."""
        return gradient

    @staticmethod
    def rule(parameter: Operand, gradient: Operand, state: Mapping[str, Operand], hp: Any) -> Any:
        """Return the formula above."""
        velocity = state["velocity"].mul_(hp.momentum)
        if hp.vector:
            return plus_(velocity, gradient, hp.lr), 1.0
        weights, slope = hp.norms
        local = ratio_or_one(weights * hp.trust_coefficient, slope + weights * hp.weight_decay)
        decayed = plus(gradient, parameter, hp.weight_decay) if hp.decays else gradient
        return subtract_(velocity, decayed, local * -hp.lr), 1.0

    @staticmethod
    def scalars(group: Mapping[str, Any], step: int) -> dict[str, Any]:
        """Return momentum, trust coefficient, and whether there is decay."""
        found = {name: group[name] for name in ("momentum", "trust_coefficient")}
        return found | {"decays": is_set(group["weight_decay"])}

    @staticmethod
    def check(group: Mapping[str, Any]) -> None:
        """Check momentum in [0, 1) and the trust coefficient above 0."""
        in_unit_interval(group, "momentum")
        above_zero(group, "trust_coefficient")
