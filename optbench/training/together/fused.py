"""Updates of members by torch's fused kernels: one pass over memory, with the bits that the same
kernel gives a run alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from optbench.torch_internals import fused_adagrad, fused_adam, fused_adamw, fused_sgd
from optbench.training.together.settings import MemberSettings

LEAST = 512
"""Numbers of a member from which a call of a kernel for few members takes less time than the rule
for all of them."""

Group = Mapping[str, Any]
Columns = tuple[list[Tensor], list[Tensor], Mapping[str, list[Tensor]], list[Tensor]]
"""Rows of weights, of gradients, of each state, and the number of the update."""


class FusedUpdate:
    """Updates rows of parameters, with one call for all members of the same settings.

    Args:
        kernel: of the optimizers' class; see `kernel_of`.
        groups: of each member, the optimizer's group, which schedules change.
        settings: their numbers.
        weights: [members, numbers].
        gradients: the same.
        states: the same, by name.

    Attributes:
        moved: whether somebody's settings have changed since the last update.
    """

    def __init__(
        self,
        kernel: Callable[[Group, Columns], None],
        groups: Sequence[Group],
        settings: MemberSettings,
        weights: Tensor,
        gradients: Tensor,
        states: Mapping[str, Tensor],
    ) -> None:
        self._kernel, self._groups, self._settings = kernel, groups, settings
        self._weights, self._gradients = weights.unbind(0), gradients.unbind(0)
        self._states = {name: flat.unbind(0) for name, flat in states.items()}
        self._updates = torch.zeros(len(groups), device=weights.device)
        self._steps = self._updates.unbind(0)
        self._calls: list[tuple[Group, Columns]] = []
        self.moved = True

    def _of(self, places: Sequence[int]) -> Columns:
        def picked(rows: Sequence[Tensor]) -> list[Tensor]:
            return [rows[place] for place in places]

        states = {name: picked(rows) for name, rows in self._states.items()}
        return picked(self._weights), picked(self._gradients), states, picked(self._steps)

    def step(self, number: int) -> None:
        """Update all members; `number`: of the update, from 1."""
        if self.moved:
            alike = self._settings.alike()
            self._calls = [(self._groups[places[0]], self._of(places)) for places in alike]
            self.moved = False
        self._updates.fill_(number)
        for group, columns in self._calls:
            self._kernel(group, columns)


def kernel_of(
    optimizer: torch.optim.Optimizer, group: Group, numbers: int
) -> Callable[[Group, Columns], None] | None:
    """Return the kernel that updates rows of so many numbers as this optimizer's group is updated.

    None where it is updated by another implementation, or that takes less time. What else a
    population consists of decides nothing: a run that goes on in a smaller one keeps its bits.
    """
    if not group.get("fused") or numbers < LEAST:
        return None
    if group.get("dampening"):  # which begins with another first step
        return None
    return KERNELS.get(type(optimizer))


def _sgd(group: Group, columns: Columns) -> None:
    weights, gradients, states, _ = columns
    momenta = states.get("momentum_buffer", [])
    names = ("weight_decay", "momentum", "lr", "dampening", "nesterov", "maximize")
    settings = {name: group[name] for name in names}
    fused_sgd(weights, gradients, momenta, **settings, is_first_step=False)


def _adam(group: Group, columns: Columns) -> None:
    weights, gradients, states, steps = columns
    beta1, beta2 = group["betas"]
    names = ("lr", "weight_decay", "eps", "maximize", "amsgrad")
    decoupled = group.get("decoupled_weight_decay")
    kernel = fused_adamw if decoupled else fused_adam
    kernel(
        weights,
        gradients,
        states["exp_avg"],
        states["exp_avg_sq"],
        states.get("max_exp_avg_sq", []),
        steps,
        beta1=beta1,
        beta2=beta2,
        **{name: group[name] for name in names},
    )


def _adagrad(group: Group, columns: Columns) -> None:
    weights, gradients, states, steps = columns
    names = ("lr", "weight_decay", "lr_decay", "eps", "maximize")
    settings = {name: group[name] for name in names}
    fused_adagrad(weights, gradients, states["sum"], steps, **settings)


KERNELS: Mapping[type, Callable[[Group, Columns], None]] = {
    torch.optim.SGD: _sgd,
    torch.optim.Adam: _adam,
    torch.optim.AdamW: _adam,
    torch.optim.Adagrad: _adagrad,
}
"""By the class of the optimizer, exactly."""
