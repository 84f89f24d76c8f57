"""Gradient norms and true update ratios."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor


class UpdateWatch:
    """Measures one step: gradients before clipping, and what the step did to the parameters.

    The update ratio of a parameter is `||new - old|| / ||old||`, with the update that was made, not
    `lr * gradient`. It is left out where `||old||` is 0. All norms are Euclidean, and come from
    a GPU in one transfer.

    Args:
        names: of the parameters.
        parameters: as the optimizer changes them.
        per_parameter: whether to report each parameter besides the total.
    """

    def __init__(
        self, names: Sequence[str], parameters: Sequence[Tensor], per_parameter: bool = True
    ) -> None:
        self._names = names
        self._parameters = [p.detach() for p in parameters]
        self._owners = parameters
        self._per_parameter = per_parameter
        self._old: list[Tensor] | None = None
        self._norms: list[Tensor] = []
        self._updates: list[Tensor] = []
        self.fresh = False

    @torch.no_grad()
    def see_gradients(self) -> None:
        """After backward (and unscaling), before clipping and before the step."""
        zero = None
        gradients = []
        for parameter in self._owners:
            gradient = parameter.grad
            if gradient is None:
                zero = parameter.new_zeros(1) if zero is None else zero
                gradient = zero
            elif gradient.is_sparse:
                gradient = gradient.coalesce().values()
            gradients.append(gradient)
        self._norms = list(torch._foreach_norm([*gradients, *self._parameters]))

    def see_before(self) -> None:
        """Right before the step."""
        if self._old is None:
            self._old = [torch.empty_like(p) for p in self._parameters]
        torch._foreach_copy_(self._old, self._parameters)

    def see_after(self) -> None:
        """Right after the step."""
        assert self._old is not None
        torch._foreach_sub_(self._old, self._parameters)
        self._updates = list(torch._foreach_norm(self._old))
        self.fresh = True

    def read(self) -> dict[str, float]:
        """The norms and ratios by TensorBoard tag."""
        self.fresh = False
        norms = _numbers(self._norms + self._updates)
        n = len(self._names)
        gradients, weights, updates = norms[:n], norms[n : 2 * n], norms[2 * n :]
        total = math.hypot(*weights)
        values = {"grad_norm/total": math.hypot(*gradients), "param_norm/total": total}
        if total > 0:
            values["update_ratio/total"] = math.hypot(*updates) / total
        if self._per_parameter:
            for name, g, w, u in zip(self._names, gradients, weights, updates, strict=True):
                values[f"grad_norm/{name}"] = g
                values[f"param_norm/{name}"] = w
                if w > 0:
                    values[f"update_ratio/{name}"] = u / w
        return values


def _numbers(scalars: Sequence[Tensor]) -> list[float]:
    """One transfer from a GPU; on a CPU, reading each is a quarter of the work of stacking them."""
    if scalars[0].is_cuda:
        found: list[float] = torch.stack(list(scalars)).tolist()
        return found
    return [scalar.item() for scalar in scalars]
