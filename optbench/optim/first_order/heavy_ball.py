"""Polyak's heavy ball, in its literal form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from optbench.optim.engine.ops import Operand, becomes_, plus
from optbench.optim.engine.ranges import in_unit_interval
from optbench.optim.engine.rule_optimizer import RuleOptimizer


class HeavyBall(RuleOptimizer):
    """Gradient descent with a memory of the last displacement (Polyak 1964, equation 9).

        theta_t = theta_{t-1} - lr g(theta_{t-1}) + momentum (theta_{t-1} - theta_{t-2})

    With theta_{-1} = theta_0. At a constant lr it equals `momentum` and torch's SGD with momentum;
    under a schedule the displacement keeps the lr that it was made with, as in `momentum`, and the
    present momentum acts on the weights as they are, whoever changed them.

    Weights in fp16 and bf16 are rounded after every step, by more than a small step is. `previous`
    then is theta_t less the step as it was before rounding, so the displacement keeps what the
    weights have lost.

    Args:
        params: as in torch.
        lr: learning rate, at least 0.
        momentum: in [0, 1).
        weight_decay: L2 regularisation, added to the gradient.
        maximize, implementation: see `RuleOptimizer`.

    Raises:
        ValueError: a hyperparameter out of range.
    """

    state_names = ("previous",)
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
        displacement = parameter - state["previous"]
        step = plus(gradient * hp.lr, displacement, -hp.momentum)
        if hp.narrow is None:
            becomes_(state["previous"], parameter)
        else:
            state["previous"].copy_((parameter - step).to(hp.narrow)).add_(step)
        return step, 1.0

    @staticmethod
    def scalars(group: Mapping[str, Any], step: int) -> dict[str, Any]:
        """Return the momentum."""
        return {"momentum": group["momentum"]}

    @staticmethod
    def check(group: Mapping[str, Any]) -> None:
        """Check momentum in [0, 1)."""
        in_unit_interval(group, "momentum")

    @staticmethod
    def initial_state(name: str, parameter: Tensor, group: Mapping[str, Any]) -> Tensor:
        """Return theta_{-1} = theta_0."""
        return parameter.clone()
