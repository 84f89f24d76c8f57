"""Gradient norms and true update ratios."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from time import perf_counter

import torch
from torch import Tensor

from optbench.monitor.activations import ActivationWatch
from optbench.monitor.norms import Norms, snapshot
from optbench.monitor.watching import Watching


class UpdateWatch:
    """Measures one step: gradients before clipping, and what the step did to the parameters.

    The update ratio of a parameter is `||new - old|| / ||old||`, with the update that was made, not
    `lr * gradient`. It is left out where `||old||` is 0, and gradient norms are where nobody asked
    for gradients. All norms are Euclidean, and come from a GPU in one transfer.

    Args:
        names: of the parameters.
        parameters: as the optimizer changes them.
        per_parameter: whether to report each parameter besides the total.
        watching: takes in what it costs.
        activations: looked at in some of the steps, if anybody does.
        across: adds up squares over ranks that have other parts of the parameters, in place.
    """

    def __init__(
        self,
        names: Sequence[str],
        parameters: Sequence[Tensor],
        per_parameter: bool = True,
        watching: Watching | None = None,
        activations: ActivationWatch | None = None,
        across: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self._across = across
        self._watching = Watching() if watching is None else watching
        self.activations = activations
        self._parameters = parameters
        own = names if per_parameter else []
        self._tags = [(f"grad_norm/{n}", f"param_norm/{n}", f"update_ratio/{n}") for n in own]
        self._snapshot = snapshot(parameters)
        self._gradients: Norms = []
        self._weights: Norms = []
        self._updates: Norms = []
        self.fresh = False

    def forward(self, step: int) -> ActivationWatch | None:
        """Return who looks at this step's forward pass, None if nobody does."""
        watch = self.activations
        return watch if watch is not None and watch.due(step) else None

    def see_gradients(self) -> None:
        """Look after backward (and unscaling), before clipping and before the step."""
        begun = perf_counter()
        zero = None
        gradients = []
        for parameter in self._parameters:
            gradient = parameter.grad
            if gradient is None:
                zero = parameter.new_zeros(1) if zero is None else zero
                gradient = zero
            elif gradient.is_sparse:
                gradient = gradient.coalesce().values()
            gradients.append(gradient)
        self._gradients = self._snapshot.norms(gradients)
        self._watching.add("gradient_norms", perf_counter() - begun, inside=True)

    def see_before(self) -> None:
        """Look right before the step."""
        with self._watching.of("update_ratios", inside=True):
            self._weights = self._snapshot.take(self._parameters)

    def see_after(self) -> None:
        """Look right after the step."""
        with self._watching.of("update_ratios", inside=True):
            self._updates = self._snapshot.moved(self._parameters)
        self.fresh = True

    def take(
        self, gradients: Sequence[float], weights: Sequence[float], updates: Sequence[float]
    ) -> None:
        """Take the norms of a step that somebody else has measured, by parameter."""
        self._gradients, self._weights, self._updates = [*gradients], [*weights], [*updates]
        self.fresh = True

    def read(self) -> dict[str, float]:
        """Return the norms and ratios by TensorBoard tag."""
        self.fresh = False
        numbers = _numbers([*self._gradients, *self._weights, *self._updates])
        if self._across is not None:  # every rank has watched this step
            squares = torch.tensor(numbers, dtype=torch.float64).square_()
            numbers = self._across(squares).sqrt_().tolist()
        n = len(self._parameters)
        gradients, weights, updates = numbers[: -2 * n], numbers[-2 * n : -n], numbers[-n:]
        total = math.hypot(*weights)
        values = {"grad_norm/total": math.hypot(*gradients)} if gradients else {}
        values["param_norm/total"] = total
        if total > 0:
            values["update_ratio/total"] = math.hypot(*updates) / total
        for tags, g in zip(self._tags, gradients, strict=False):
            values[tags[0]] = g
        for (_, weight, ratio), w, u in zip(self._tags, weights, updates, strict=False):
            values[weight] = w
            if w > 0:
                values[ratio] = u / w
        if self.activations is not None and self.activations.fresh:
            values |= self.activations.read()
        return values


def _numbers(found: Sequence[Tensor | float]) -> list[float]:
    """Read the norms as numbers, in one transfer from a GPU."""
    tensors = [norm for norm in found if isinstance(norm, Tensor)]
    if not tensors:
        return [float(norm) for norm in found]
    numbers: list[float] = torch.stack(tensors).tolist()
    return numbers
