"""The gradient noise scale: the batch size at which noise is as large as the gradient.

Source: S. McCandlish, J. Kaplan, D. Amodei, "An Empirical Model of Large-Batch Training" (2018):
B_simple = tr(Sigma) / |G|^2 (equation 2.9), by single examples' gradients or by gradients of two
batch sizes (appendix A.1). Far below it a batch twice as large takes half as many steps; far above
it the examples are wasted.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from optbench.errors import UserError
from optbench.instruments.base import Measurement, Progress, unwatched
from optbench.instruments.draws import drawn_batches
from optbench.instruments.look import Look, Mode
from optbench.instruments.per_example import Statistics, dot, said, statistics, why_not
from optbench.training import room
from optbench.training.room import tensor_bytes

NORMAL = 1.959963984540054
"""Of the standard normal distribution, 95 % lie within."""

METHODS = ("auto", "single", "batches")

ROUNDING = 1e-9
"""Of the squared gradient: noise of less is that of adding up."""


class Scale(NamedTuple):
    """What there is to say of the noise.

    Attributes:
        trace: of the covariance of single examples' gradients.
        squared: the squared norm of the gradient itself, of which the noise is taken off; it may
            come out below 0.
        low, high: 95 % interval of their quotient; inf where the gradient is lost in the noise.
    """

    trace: float
    squared: float
    low: float
    high: float

    @property
    def batch(self) -> float:
        """The noise scale; inf where no gradient is to be told from the noise."""
        return self.trace / self.squared if self.squared > 0 else math.inf


def of_examples(found: Statistics) -> Scale:
    """Return the noise scale of single examples' gradients, with a jackknife interval.

    Without example i the mean gradient is (N g - g_i) / (N - 1), whose norm follows from |g_i|^2
    and g_i . g, so that leaving out each costs nothing.
    """
    count, signal = found.examples, found.signal
    trace = found.trace
    squared = signal - trace / count
    _check_noise(trace, signal)
    without = (count**2 * signal - 2 * count * found.dots + found.norms) / (count - 1) ** 2
    traces = (found.norms.sum() - found.norms - (count - 1) * without) / (count - 2)
    squares = without - traces / (count - 1)
    return Scale(trace, squared, *_interval(squares / traces, squared / trace))


def of_batches(norms: Tensor, dots: Tensor, signal: float, size: int) -> Scale:
    """Return the noise scale of K batches' gradients g_k and their mean g, of a batch of all.

    Args:
        norms: |g_k|^2, float64 [K].
        dots: g_k . g, float64 [K].
        signal: |g|^2.
        size: examples in each of the K.
    """
    count = len(norms)
    scale = two_sizes((size, float(norms.mean())), (count * size, signal))
    _check_noise(scale[0], signal)
    without = (count**2 * signal - 2 * count * dots + norms) / (count - 1) ** 2
    others = (norms.sum() - norms) / (count - 1)
    squares = ((count - 1) * without - others) / (count - 2)
    traces = (others - without) / (1 / size - 1 / ((count - 1) * size))
    return Scale(*scale, *_interval(squares / traces, scale[1] / scale[0]))


def two_sizes(small: tuple[int, float], large: tuple[int, float]) -> tuple[float, float]:
    """Return tr(Sigma) and |G|^2 of squared gradient norms at two batch sizes.

    Args:
        small, large: batch size, and the mean squared norm of a batch's gradient.
    """
    (few, noisy), (many, quiet) = small, large
    squared = (many * quiet - few * noisy) / (many - few)
    return (noisy - quiet) / (1 / few - 1 / many), squared


def over_steps(records: Iterable[Mapping[str, Any]], of: str = "probe/noise_scale") -> Scale:
    """Return the noise scale of several steps together: both parts are averaged, then divided.

    The mean of quotients is another thing: a step whose gradient is lost in noise has any.

    Args:
        records: of a run, as in metrics.jsonl; those that lack the tags count nothing.
        of: what the tags begin with.

    Raises:
        UserError: fewer than 2 steps have been measured.

    Example:
        >>> over_steps(run.records()).batch
    """
    tags = (f"{of}/trace", f"{of}/gradient_squared")
    seen = [[float(r[tag]) for tag in tags] for r in records if all(tag in r for tag in tags)]
    if len(seen) < 2:
        raise UserError(f"{of}: {len(seen)} steps of it; an average takes 2")
    both = torch.tensor(seen, dtype=torch.float64)
    trace, squared = both.mean(0).tolist()
    _check_noise(trace, squared)
    left = (both.sum(0) - both) / (len(both) - 1)
    return Scale(trace, squared, *_interval(left[:, 1] / left[:, 0], squared / trace))


def _check_noise(trace: float, signal: float) -> None:
    """Raise UserError where there is no noise but that of rounding, so that its scale is none."""
    if not trace > ROUNDING * abs(signal):
        raise UserError("no noise: the gradients of all examples are alike, or 0")


def _interval(without: Tensor, whole: float) -> tuple[float, float]:
    """Return the interval of the scale by the jackknife of its inverse, which is never infinite."""
    count = len(without)
    deviation = math.sqrt((count - 1) / count * float((without - without.mean()).square().sum()))
    low, high = whole - NORMAL * deviation, whole + NORMAL * deviation
    return (1 / high if high > 0 else math.inf), (1 / low if low > 0 else math.inf)


class NoiseScale:
    """The gradient noise scale, which is the critical batch size, with a 95 % interval.

    Args:
        examples: whose single gradients are taken, evenly over the training set; or
        batches: so many batches of `size` are drawn, where single examples have no gradients.
        size: of these batches.
        method: `single`, `batches`, or `auto`: single where `torch.func.vmap` can.
        mode: of the modules.
        seed: of the draws.
    """

    name = "noise_scale"
    what = "gradient noise scale tr(Sigma) / |G|^2, the critical batch size"

    def __init__(
        self,
        examples: int = 1024,
        batches: int = 64,
        size: int = 16,
        method: str = "auto",
        mode: Mode = "eval",
        seed: int = 0,
    ) -> None:
        if method not in METHODS:
            raise ValueError(f"method={method}: one of {', '.join(METHODS)}")
        if examples < 3 or batches < 3 or size < 1:
            raise ValueError("examples and batches: at least 3; size: at least 1")
        self._examples, self._batches, self._size = examples, batches, size
        self._method, self._mode, self._seed = method, mode, seed

    def lacking(self, look: Look) -> str | None:
        """Return why it can't: a state is carried, too few examples, or `single` can't."""
        if look.trainer.state.task.carries:
            return "task.carry=true: examples in no order have no state to begin with"
        if look.size() < 3:
            return f"{look.size()} training examples: their noise takes 3"
        return why_not(look, self._mode) if self._method == "single" else None

    def measure(self, look: Look, progress: Progress = unwatched) -> Measurement:
        """Measure."""
        reason = None if self._method == "batches" else why_not(look, self._mode)
        if self._method != "batches" and reason is None:
            found = statistics(look, self._examples, self._mode)
            scale, notes = of_examples(found), [said(look, self._examples, found.examples)]
        else:
            scale, notes = self._of_batches(look, progress), [] if reason is None else [reason]
            notes.append(f"of {self._batches} batches of {self._size} drawn examples")
        return self._told(scale, notes, look.batch_size)

    def _of_batches(self, look: Look, progress: Progress) -> Scale:
        """Take each gradient against the mean of all: kept until then, or drawn once more."""
        draw = partial(drawn_batches, look, self._size, self._batches, self._mode, self._seed)
        keeps = self._batches * tensor_bytes(look.parameters) <= room.ROOM
        of = self._batches if keeps else 2 * self._batches
        kept, norms = list[list[Tensor]](), list[float]()
        mean = [torch.zeros_like(p, dtype=torch.float64) for p in look.parameters]
        for number, gradient in enumerate(draw(), 1):
            norms.append(dot(gradient, gradient))
            torch._foreach_add_(mean, [each / self._batches for each in gradient])
            if keeps:
                kept.append(gradient)
            progress(number, of)
        dots = list[float]()
        for number, gradient in enumerate(kept if keeps else draw(), 1):
            dots.append(dot(gradient, mean))
            progress(of - self._batches + number, of)
        signal = dot(mean, mean)
        both = [torch.tensor(each, dtype=torch.float64) for each in (norms, dots)]
        return of_batches(both[0], both[1], signal, self._size)

    def _told(self, scale: Scale, notes: Sequence[str], batch_size: int) -> Measurement:
        values = {
            "noise_scale/critical_batch": scale.batch,
            "noise_scale/low": scale.low,
            "noise_scale/high": scale.high,
            "noise_scale/trace": scale.trace,
            "noise_scale/gradient_squared": scale.squared,
        }
        told = [*notes]
        if math.isinf(scale.batch):
            told.append(f"no gradient is to be told from the noise: at least {scale.low:.3g}")
        else:
            told.append(
                f"batch_size={batch_size} is {batch_size / scale.batch:.2g} of it: far below, a "
                "batch twice as large takes half as many steps; far above, it gains nothing"
            )
        return Measurement(values, notes=told)
