"""Update rules of torch's optimizers, in the words of ours, for stacks of members' parameters.

Their state has torch's names and shapes, so a member's is that of torch's optimizer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from optbench.optim.engine.ops import (
    Operand,
    Quotient,
    add_square_,
    ema_,
    ema_of_square_,
    ema_weights,
    maximum_,
)


@dataclass(frozen=True)
class TorchRule:
    """What torch's optimizer of a class does with a group that has these settings.

    Attributes:
        group: of one member; settings that are the same for all are read from it.
    """

    group: Mapping[str, Any]
    structure: ClassVar[tuple[str, ...]] = ("maximize",)
    """Settings that have to be the same for all members."""

    @property
    def state_names(self) -> tuple[str, ...]:
        """Names of the state that has the parameter's shape."""
        return ()

    counts: ClassVar[bool] = True
    """Whether there is a `step` in the state."""

    @property
    def decay(self) -> str:
        """How weight decay enters; see `Form`."""
        return "coupled"

    def scalars(self, group: Mapping[str, Any], step: int) -> dict[str, Any]:
        """Return the hyperparameters that the rule looks at, as `RuleOptimizer.scalars` does."""
        raise NotImplementedError

    def rule(
        self, parameter: Operand, gradient: Operand, state: Mapping[str, Operand], hp: Any
    ) -> Any:
        """Return direction and size of what is subtracted; change the state."""
        raise NotImplementedError


class Sgd(TorchRule):
    """`torch.optim.SGD`; its first gradient is not dampened."""

    structure = ("maximize", "nesterov", "momentum_is_0")
    counts = False

    @property
    def state_names(self) -> tuple[str, ...]:
        """Return the momentum's, where there is momentum."""
        return ("momentum_buffer",) if self.group["momentum"] else ()

    def scalars(self, group: Mapping[str, Any], step: int) -> dict[str, Any]:
        """Return momentum and what of the gradient goes into it."""
        fresh = 0 if step == 1 else 1
        return {"momentum": group["momentum"], "taken": 1 - fresh * group["dampening"]}

    def rule(
        self, parameter: Operand, gradient: Operand, state: Mapping[str, Operand], hp: Any
    ) -> Any:
        """Return the momentum, or a step beyond it."""
        if not state:
            return gradient, hp.lr
        momentum = state["momentum_buffer"].mul_(hp.momentum).add_(gradient * hp.taken)
        if self.group["nesterov"]:
            return gradient + momentum * hp.momentum, hp.lr
        return momentum, hp.lr


class Adam(TorchRule):
    """`torch.optim.Adam` and `AdamW`."""

    structure = ("maximize", "amsgrad", "decoupled_weight_decay")

    @property
    def state_names(self) -> tuple[str, ...]:
        """Return the two averages, with amsgrad the largest second one too."""
        largest = ("max_exp_avg_sq",) if self.group["amsgrad"] else ()
        return ("exp_avg", "exp_avg_sq", *largest)

    @property
    def decay(self) -> str:
        """Return Adam's or AdamW's."""
        return "decoupled" if self.group.get("decoupled_weight_decay") else "coupled"

    def scalars(self, group: Mapping[str, Any], step: int) -> dict[str, Any]:
        """Return betas with their corrections."""
        beta1, beta2 = group["betas"]
        root = (1 - beta2**step) ** 0.5
        size = group["lr"] * root / (1 - beta1**step)
        return {
            **{"beta1": ema_weights(beta1), "beta2": ema_weights(beta2)},
            **{"size": size, "eps": group["eps"] * root},
        }

    def rule(
        self, parameter: Operand, gradient: Operand, state: Mapping[str, Operand], hp: Any
    ) -> Any:
        """Return the formula with both corrections in size and eps."""
        average = ema_(state["exp_avg"], gradient, hp.beta1)
        squares = ema_of_square_(state["exp_avg_sq"], gradient, hp.beta2)
        if self.group["amsgrad"]:
            squares = maximum_(state["max_exp_avg_sq"], squares)
        return Quotient(average, squares.sqrt().add_(hp.eps)), hp.size


class RmsProp(TorchRule):
    """`torch.optim.RMSprop`."""

    structure = ("maximize", "centered", "momentum_is_0")

    @property
    def state_names(self) -> tuple[str, ...]:
        """Return the squares', and those of momentum and centre where there are such."""
        momentum = ("momentum_buffer",) if self.group["momentum"] else ()
        return ("square_avg", *momentum, *(("grad_avg",) if self.group["centered"] else ()))

    def scalars(self, group: Mapping[str, Any], step: int) -> dict[str, Any]:
        """Return decay of the squares, eps and momentum."""
        found = {"alpha": ema_weights(group["alpha"]), "eps": group["eps"]}
        return found | {"momentum": group["momentum"]}

    def rule(
        self, parameter: Operand, gradient: Operand, state: Mapping[str, Operand], hp: Any
    ) -> Any:
        """Return the gradient over the root of its squares, with momentum."""
        squares = ema_of_square_(state["square_avg"], gradient, hp.alpha)
        if self.group["centered"]:
            centre = ema_(state["grad_avg"], gradient, hp.alpha)
            squares = squares - centre * centre
        direction = Quotient(gradient, squares.sqrt().add_(hp.eps))
        if "momentum_buffer" not in state:
            return direction, hp.lr
        return state["momentum_buffer"].mul_(hp.momentum).add_(direction.value()), hp.lr


class Adagrad(TorchRule):
    """`torch.optim.Adagrad`."""

    @property
    def state_names(self) -> tuple[str, ...]:
        """Return the sum of squares'."""
        return ("sum",)

    def scalars(self, group: Mapping[str, Any], step: int) -> dict[str, Any]:
        """Return eps and the rate that falls with the steps."""
        size = group["lr"] / (1 + (step - 1) * group["lr_decay"])
        return {"eps": group["eps"], "size": size}

    def rule(
        self, parameter: Operand, gradient: Operand, state: Mapping[str, Operand], hp: Any
    ) -> Any:
        """Return the gradient over the root of the sum of its squares."""
        total = add_square_(state["sum"], gradient)
        return Quotient(gradient, total.sqrt().add_(hp.eps)), hp.size


class Adadelta(TorchRule):
    """`torch.optim.Adadelta`."""

    @property
    def state_names(self) -> tuple[str, ...]:
        """Return those of squared gradients and squared updates."""
        return ("square_avg", "acc_delta")

    def scalars(self, group: Mapping[str, Any], step: int) -> dict[str, Any]:
        """Return the averages' decay and eps."""
        return {"rho": ema_weights(group["rho"]), "eps": group["eps"]}

    def rule(
        self, parameter: Operand, gradient: Operand, state: Mapping[str, Operand], hp: Any
    ) -> Any:
        """Return the gradient times the ratio of both roots."""
        squares = ema_of_square_(state["square_avg"], gradient, hp.rho)
        ratio = (state["acc_delta"] + hp.eps).sqrt_().div_((squares + hp.eps).sqrt_())
        delta = ratio.mul_(gradient)
        ema_of_square_(state["acc_delta"], delta, hp.rho)
        return delta, hp.lr


class Adamax(TorchRule):
    """`torch.optim.Adamax`."""

    @property
    def state_names(self) -> tuple[str, ...]:
        """Return those of the average and the largest gradient."""
        return ("exp_avg", "exp_inf")

    def scalars(self, group: Mapping[str, Any], step: int) -> dict[str, Any]:
        """Return betas, eps and the corrected rate."""
        beta1, beta2 = group["betas"]
        size = group["lr"] / (1 - beta1**step)
        return {"beta1": ema_weights(beta1), "beta2": beta2, "eps": group["eps"], "size": size}

    def rule(
        self, parameter: Operand, gradient: Operand, state: Mapping[str, Operand], hp: Any
    ) -> Any:
        """Return the average over the largest decayed gradient."""
        average = ema_(state["exp_avg"], gradient, hp.beta1)
        largest: Tensor = state["exp_inf"].mul_(hp.beta2)
        maximum_(largest, gradient.abs().add_(hp.eps))
        return Quotient(average, largest), hp.size


RULES: Mapping[type, type[TorchRule]] = {
    torch.optim.SGD: Sgd,
    torch.optim.Adam: Adam,
    torch.optim.AdamW: Adam,
    torch.optim.RMSprop: RmsProp,
    torch.optim.Adagrad: Adagrad,
    torch.optim.Adadelta: Adadelta,
    torch.optim.Adamax: Adamax,
}
"""By the class of the optimizer, exactly: a class of its own may do anything."""
