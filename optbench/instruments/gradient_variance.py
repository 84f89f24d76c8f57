"""The variance of a batch's gradient at several batch sizes, held against sigma^2 / B.

Batches of independent examples have it by theory; where a model makes an example's gradient depend
on the others of its batch, as batch norm in train mode does, it need not be so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from optbench.instruments.base import Measurement, Progress, unwatched
from optbench.instruments.draws import drawn_batches
from optbench.instruments.look import Look, Mode
from optbench.instruments.noise_scale import NORMAL
from optbench.instruments.per_example import dot

SIZES = (1, 2, 4, 8, 16, 32, 64, 128)


class Variance(NamedTuple):
    """The total variance of a batch's gradient: the trace of its covariance.

    Attributes:
        size: of the batch.
        value: estimated of some batches, without bias.
        error: its standard error over its value, which is that of its logarithm.
    """

    size: int
    value: float
    error: float


class Fit(NamedTuple):
    """log variance = log(at_one) + exponent log B, by least squares.

    Attributes:
        low, high: 95 % interval of the exponent.
        at_one: at batch size 1: sigma^2.
    """

    exponent: float
    low: float
    high: float
    at_one: float


def fit(variances: Sequence[Variance]) -> Fit:
    """Return the power of the batch size that fits best, each variance by its own error."""
    x = torch.tensor([math.log(v.size) for v in variances], dtype=torch.float64)
    y = torch.tensor([math.log(v.value) for v in variances], dtype=torch.float64)
    weights = 1 / torch.tensor([v.error for v in variances], dtype=torch.float64).square()
    weights /= weights.sum()
    middle = float(weights @ x)
    spread = float(weights @ (x - middle).square())
    slope = float(weights @ ((x - middle) * y)) / spread
    errors = torch.tensor([v.error for v in variances], dtype=torch.float64)
    # Of the weighted sum of independent logarithms, whatever the weights are.
    deviation = float((weights * (x - middle) / spread * errors).square().sum().sqrt())
    at_one = math.exp(float(weights @ y) - slope * middle)
    reach = NORMAL * deviation
    return Fit(slope, slope - reach, slope + reach, at_one)


class GradientVariance:
    """Variance of a batch's gradient by batch size, with the exponent that fits it and 95 % of it.

    Args:
        sizes: of batches, at least two.
        batches: drawn of each size, with replacement.
        examples: that they are drawn from, evenly over the training set.
        mode: of the modules.
        seed: of the draws.
    """

    name = "gradient_variance"
    what = "variance of gradients at several batch sizes against sigma^2 / B"

    def __init__(
        self,
        sizes: Sequence[int] = SIZES,
        batches: int = 64,
        examples: int = 2048,
        mode: Mode = "eval",
        seed: int = 0,
    ) -> None:
        if len(set(sizes)) < 2 or min(sizes) < 1:
            raise ValueError(f"sizes={list(sizes)}: at least two, each at least 1")
        if batches < 8:
            raise ValueError(f"batches={batches}: at least 8")
        self._sizes, self._batches = sorted(set(sizes)), batches
        self._examples, self._mode, self._seed = examples, mode, seed

    def lacking(self, look: Look) -> str | None:
        """Return why it can't: a state is carried, or there are too few examples."""
        if look.trainer.state.task.carries:
            return "task.carry=true: examples in no order have no state to begin with"
        if look.size() < 2:
            return f"{look.size()} training example: gradients of batches are all alike"
        return None

    def measure(self, look: Look, progress: Progress = unwatched) -> Measurement:
        """Measure."""
        done, of = 0, len(self._sizes) * self._batches
        with look.objective(self._examples, mode=self._mode) as objective:
            _, origin = objective.gradients(look.parameters)
        variances = []
        for size in self._sizes:
            told = partial(_shifted, progress, done, of)
            variances.append(self._variance(look, size, origin, told))
            done += self._batches
        values = {f"gradient_variance/b{v.size}": v.value for v in variances}
        rows = [{"size": v.size, "value": v.value, "error": v.error} for v in variances]
        among = min(self._examples, look.size())
        drawn = f"drawn from {among} of {look.size()} training examples"
        notes = [f"{self._batches} batches of each size, {drawn}"]
        if not all(v.value > 0 and math.isfinite(v.value) for v in variances):
            notes.append("no fit: gradients are all alike, or not finite")
            return Measurement(values, {"gradient_variance": rows}, notes)
        found = fit(variances)
        values |= {
            "gradient_variance/exponent": found.exponent,
            "gradient_variance/exponent_low": found.low,
            "gradient_variance/exponent_high": found.high,
            "gradient_variance/sigma_squared": found.at_one,
        }
        holds = "holds" if found.low <= -1 <= found.high else "does not hold"
        notes.append(
            f"variance falls as B^{found.exponent:.3f} (95 %: {found.low:.3f} to {found.high:.3f})"
            f": sigma^2 / B {holds}"
        )
        pictures = {"gradient_variance": partial(_draw, variances, found)}
        return Measurement(values, {"gradient_variance": rows}, notes, pictures)

    def _variance(
        self, look: Look, size: int, origin: Sequence[Tensor], progress: Progress
    ) -> Variance:
        """Return the variance at a batch size, by distances from the mean of all examples."""
        total = [torch.zeros_like(each) for each in origin]
        squares = []
        drawn = drawn_batches(
            look, size, self._batches, mode=self._mode, seed=self._seed, among=self._examples
        )
        for number, gradient in enumerate(drawn, 1):
            torch._foreach_sub_(gradient, list(origin))
            torch._foreach_add_(total, gradient)
            squares.append(dot(gradient, gradient))
            progress(number, self._batches)
        return of_distances(size, squares, dot(total, total))


def of_distances(size: int, squares: Sequence[float], whole: float) -> Variance:
    """Return the variance of points by their distances from any one place near their mean.

    Args:
        size: of the batches.
        squares: the points' squared distances.
        whole: the squared length of the sum of what lies between.
    """
    every, count = torch.tensor(squares, dtype=torch.float64), len(squares)
    value = (float(every.sum()) - whole / count) / (count - 1)
    error = float(every.std()) / math.sqrt(count) / value if value > 0 else math.inf
    return Variance(size, value, error)


def _shifted(progress: Progress, before: int, of: int, done: int, part: int) -> None:
    progress(before + done, of)


def _draw(variances: Sequence[Variance], found: Fit, axes: Any) -> None:
    sizes, values = [v.size for v in variances], [v.value for v in variances]
    reach = [NORMAL * v.error * v.value for v in variances]
    axes.errorbar(sizes, values, reach, fmt="o", label="measured, 95 %")
    axes.plot(
        sizes,
        [found.at_one * size**found.exponent for size in sizes],
        label=f"B^{found.exponent:.3f} ({found.low:.3f} to {found.high:.3f})",
    )
    at_one = found.at_one
    axes.plot(sizes, [at_one / size for size in sizes], "--", color="0.5", label="sigma^2 / B")
    axes.set(xscale="log", yscale="log", xlabel="batch size B", ylabel="variance of the gradient")
    axes.legend()
