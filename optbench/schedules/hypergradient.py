"""Gradient descent on the learning rate itself."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from optbench.schedules.base import Update
from optbench.schedules.checks import require_choice, require_number

HYPER_LR = {"multiplicative": 0.5, "additive": 0.001}
"""What `hyper_lr` is unless given."""


@dataclass
class Hypergradient:
    """Descends the loss along the learning rate: hypergradient descent, on any optimizer.

    An update x_t = x_(t-1) - alpha u_t makes the loss f a function of the learning rate alpha
    too, whose derivative at x_t is the hypergradient, h = -g . u_t with g the gradient of f at
    x_t. Before the next update

        additive          alpha <- alpha + beta g . u_t
        multiplicative    alpha <- alpha (1 + beta g . u_t / (||g|| ||u_t||))

    by `form`. The direction u_t = (x_(t-1) - x_t) / alpha is taken from the update that was
    made, so that momentum, preconditioning and decoupled weight decay of whatever optimizer are
    in it; g is the gradient of the loss alone, unscaled and before clipping. The additive
    form's steps have the scale of the gradient squared, the multiplicative one's have none.

    It sees every update, whatever `monitor.every` is. It keeps one copy of the parameters,
    and a GPU is waited for once a step. With parameter groups, alpha is the first group's
    learning rate; the others keep their ratio to it. The base learning rate is where alpha
    starts. An optimizer that reads its learning rate before the gradient is there (L-BFGS)
    follows one step later.

    Args:
        form: "multiplicative" or "additive".
        hyper_lr: beta, at least 0, below 1 if multiplicative; None is 0.5 if multiplicative,
            0.001 if additive.
        min_ratio: lower bound of alpha over the base learning rate, in [0, 1].
        max_ratio: upper bound of the same, at least 1.

    Raises:
        ValueError: if a field is out of its range.

    References:
        Baydin et al., Online Learning Rate Adaptation with Hypergradient Descent, ICLR 2018,
        algorithms 4 to 6 (the additive form, for SGD, Nesterov's momentum and Adam; the
        multiplicative one normalises both vectors). https://arxiv.org/abs/1703.04782
    """

    form: Literal["multiplicative", "additive"] = "multiplicative"
    hyper_lr: float | None = None
    min_ratio: float = 0.0001
    max_ratio: float = 1000.0

    _multiplier: float = field(default=1.0, init=False)

    def __post_init__(self) -> None:
        require_choice("form", self.form, HYPER_LR)
        if self.hyper_lr is not None:
            most = 1.0 if self.form == "multiplicative" else math.inf
            require_number("hyper_lr", self.hyper_lr, 0, most, open_high=True)
        require_number("min_ratio", self.min_ratio, 0, 1)
        require_number("max_ratio", self.max_ratio, 1, math.inf, open_high=True)

    def __call__(self, step: int, total_steps: int) -> float:
        return self._multiplier

    def observe_update(self, update: Update) -> None:
        """Take the last update; ignore one that did not move anything."""
        beta = HYPER_LR[self.form] if self.hyper_lr is None else self.hyper_lr
        if update.lr <= 0.0 or update.base_lr <= 0.0:
            return
        if self.form == "additive":
            changed = self._multiplier + beta * (update.dot / update.lr) / update.base_lr
        else:
            norms = update.gradient_norm * update.update_norm
            cosine = min(max(update.dot / norms, -1.0), 1.0) if norms > 0.0 else 0.0
            changed = self._multiplier * (1.0 + beta * cosine)
        self._multiplier = min(max(changed, self.min_ratio), self.max_ratio)

    def state_dict(self) -> dict[str, Any]:
        """Return all that `load_state_dict` needs to go on from here."""
        return {"multiplier": self._multiplier}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from where `state_dict` was taken."""
        self._multiplier = min(max(state["multiplier"], self.min_ratio), self.max_ratio)
