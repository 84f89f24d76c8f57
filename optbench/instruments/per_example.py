"""Gradients of single examples, by `torch.func.vmap`, in chunks that memory has room for.

What instruments want of them are sums: over examples of numbers for each parameter, and over
parameters of numbers for each example. So a chunk's gradients are seen once and let go. They are
taken in the parameters' own precision, without autocast: the noise that is measured is that of
examples, not of rounding.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from optbench.instruments.look import Look, Mode
from optbench.torch_internals import BatchNormBase
from optbench.training import rng
from optbench.training.aside import Aside
from optbench.training.batches import StepBatch
from optbench.training.many_losses import NOT_BY_VMAP
from optbench.training.room import members_at_once, tensor_bytes

Values = dict[str, Tensor]
See = Callable[[Tensor, list[Tensor]], None]
"""Takes a chunk's losses [n] and gradients, [n, *shape] for each parameter."""

AT_ONCE = 256
"""Examples in a chunk at most, for what their forward passes hold is not reckoned."""

_reasons: WeakKeyDictionary[nn.Module, dict[str, str | None]] = WeakKeyDictionary()
_known: WeakKeyDictionary[Look, tuple[Any, Any]] = WeakKeyDictionary()


class Statistics(NamedTuple):
    """What most instruments ask of N examples' gradients g_i, whose mean is g.

    Attributes:
        losses: float64 [N].
        norms: |g_i|^2, float64 [N].
        dots: g_i . g, float64 [N].
        mean: g, a tensor for each parameter.
        squares: the mean of the squares of g_i's entries, a tensor for each parameter.
    """

    losses: Tensor
    norms: Tensor
    dots: Tensor
    mean: list[Tensor]
    squares: list[Tensor]

    @property
    def examples(self) -> int:
        """N."""
        return len(self.losses)

    @property
    def signal(self) -> float:
        """|g|^2."""
        return dot(self.mean, self.mean)

    @property
    def trace(self) -> float:
        """The trace of the gradients' sample covariance, by N - 1."""
        count = self.examples
        return max(0.0, (float(self.norms.sum()) - count * self.signal) / (count - 1))


def dot(one: Sequence[Tensor], other: Sequence[Tensor]) -> float:
    """Return the inner product of two lists of tensors, added up in double precision."""
    pairs = zip(one, other, strict=True)
    return float(sum((a.double() * b.double()).sum() for a, b in pairs))


def why_not(look: Look, mode: Mode = "eval") -> str | None:
    """Return why single examples have no gradients here, in a line; None where they have.

    Args:
        mode: of the modules; in `train` batch norm makes each example's loss one of all.
    """
    known = _reasons.setdefault(look.module, {})
    if mode not in known:
        known[mode] = _why_not(look, mode)
    return known[mode]


def _why_not(look: Look, mode: Mode) -> str | None:
    if look.trainer.state.task.carries:
        return "task.carry=true: examples in no order have no state to begin with"
    parts = [part for module in look.modules.values() for part in module.modules()]
    for part in parts:
        if isinstance(part, nn.RNNBase):
            kind = type(part).__name__
            return (
                f"{kind}: torch.func.vmap can't differentiate recurrent layers example by example"
            )
        if isinstance(part, BatchNormBase) and (mode == "train" or part.running_mean is None):
            which = "in train mode" if mode == "train" else "without running statistics"
            return f"BatchNorm {which}: an example's loss depends on the others of its batch"
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            each_chunk(look, look.batch(min(2, look.size())), lambda losses, gradients: None, mode)
    except NOT_BY_VMAP as error:
        why = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        return f"model: torch.func.vmap can't differentiate it example by example ({why[:120]})"
    slow = [str(each.message) for each in said if "batching rule" in str(each.message)]
    if slow:
        return f"model: torch.func.vmap has no rule for a part of it ({slow[0][:120]})"
    return None


def chosen(look: Look, examples: int | None) -> StepBatch:
    """Return the examples to measure: so many, evenly over the training set, or the next step's.

    The whole of the step, on every rank: what is measured of it is the same on all.
    """
    return following(look) if examples is None else look.batch(examples)


def following(look: Look, steps: int = 0) -> StepBatch:
    """Return the whole batch of the run's next step, or of one so many steps later."""
    feed, progress = look.trainer.feed, look.trainer.progress
    whole = feed.whole()
    epoch, index = divmod(progress.index + steps, whole.steps_per_epoch)
    return whole.step_at(progress.epoch + epoch, index)


def said(look: Look, examples: int | None, count: int) -> str:
    """Return the note that says of which examples a measurement is."""
    if examples is None:
        return f"of the {count} examples of the next step"
    return f"of {count} of {look.size()} training examples"


def statistics(look: Look, examples: int | None = None, mode: Mode = "eval") -> Statistics:
    """Return what instruments share; it is reckoned once at a point.

    Args:
        examples: see `chosen`.
        mode: of the modules.
    """
    norms = torch.stack(torch._foreach_norm(look.parameters)).tolist()
    key = (look.step, examples, mode, tuple(norms))
    known = _known.get(look)
    if known is None or known[0] != key:
        known = (key, _statistics(look, chosen(look, examples), mode))
        _known[look] = known
    found: Statistics = known[1]
    return found


def _statistics(look: Look, work: StepBatch, mode: Mode) -> Statistics:
    mean = mean_gradient(look, work, mode)
    squares = [torch.zeros_like(p) for p in mean]
    losses, norms, dots = list[Tensor](), list[Tensor](), list[Tensor]()

    def see(found: Tensor, gradients: list[Tensor]) -> None:
        losses.append(found.double())
        norms.append(row_dots(gradients, gradients))
        dots.append(along(gradients, mean))
        for total, each in zip(squares, gradients, strict=True):
            total += each.square().sum(0)

    each_chunk(look, work, see, mode)
    count = sum(map(len, losses))
    torch._foreach_div_(squares, count)
    return Statistics(torch.cat(losses), torch.cat(norms), torch.cat(dots), mean, squares)


def row_dots(one: Sequence[Tensor], other: Sequence[Tensor]) -> Tensor:
    """Return the inner products [n] of lists of tensors [n, ...], row by row, in float64."""
    pairs = zip(one, other, strict=True)
    parts = [(a * b).flatten(1).sum(1).double() for a, b in pairs]
    return torch.stack(parts).sum(0)


def along(gradients: Sequence[Tensor], direction: Sequence[Tensor]) -> Tensor:
    """Return the inner products [n] of gradients [n, *shape] with one direction, in float64."""
    pairs = zip(gradients, direction, strict=True)
    return torch.stack([(g.flatten(1) @ d.flatten()).double() for g, d in pairs]).sum(0)


def mean_gradient(look: Look, work: StepBatch, mode: Mode) -> list[Tensor]:
    """Return the mean of the examples' gradients.

    A loss that draws, as with dropout, draws for each example alone: its mean comes of the same
    draws as the examples', which is another pass over them.
    """
    total = [torch.zeros_like(p) for p in look.parameters]
    aside, modules = _aside(look), look.modules
    start = aside.generators()
    with look.still(mode), aside.untouched(start), torch.enable_grad():
        for batch, weight in work.micros:
            loss = aside.task.loss(modules, batch, look.player.name) * weight
            slopes = torch.autograd.grad(loss, look.parameters, materialize_grads=True)
            torch._foreach_add_(total, list(slopes))
        draws = not rng.same(start, aside.generators())
    if draws:
        torch._foreach_zero_(total)

        def see(losses: Tensor, gradients: list[Tensor]) -> None:
            torch._foreach_add_(total, [each.sum(0) for each in gradients])

        each_chunk(look, work, see, mode)
        torch._foreach_div_(total, work.examples)
    return total


def each_chunk(look: Look, work: StepBatch, see: See, mode: Mode = "eval") -> None:
    """Show the losses and gradients of all examples, chunk by chunk.

    Dropout, in mode `train`, draws for each example alone, and the same at each call.

    Args:
        work: whose micro-batches are at hand.
        see: what is done with them.
        mode: of the modules.
    """
    from torch.func import grad_and_value

    loss = OfOneExample(
        look, lambda aside, batch: aside.task.loss(aside.modules, batch, look.player.name)
    )

    def show(values: Values, batch: Any) -> None:
        found = loss.each(grad_and_value(loss.of), values, batch)
        see(found[1].detach(), [found[0][name].detach() for name in values])

    loss.over(work, mode, show)


class OfOneExample(nn.Module):
    """A function of one example's, in which the player's parameters are replaced.

    Args:
        look: at the run.
        compute: gives a tensor of a batch, which then holds one example.
    """

    def __init__(self, look: Look, compute: Callable[[Aside, Any], Tensor]) -> None:
        super().__init__()
        self._look, self._aside, self._compute = look, _aside(look), compute
        self.players = nn.ModuleList(look.modules.values())
        number = list(look.modules).index(look.player.name)
        self._names = [f"players.{number}.{name}" for name in look.player.names]

    def over(self, work: StepBatch, mode: Mode, show: Callable[[Values, Any], None]) -> None:
        """Call `show` with the parameters and each chunk of examples in turn."""
        values = [parameter.detach() for parameter in self._look.parameters]
        named = dict(zip(self._names, values, strict=True))
        at_once = min(AT_ONCE, members_at_once(3 * tensor_bytes(values)))
        with ExitStack() as stack:
            stack.enter_context(self._look.still(mode))
            stack.enter_context(self._aside.untouched(self._aside.generators()))
            stack.enter_context(sdpa_kernel(SDPBackend.MATH))  # vmap knows no other
            for batch, _ in work.micros:
                count = self._aside.task.size(batch)
                for first in range(0, count, at_once):
                    show(named, _each(batch, lambda t, low=first: t[low : low + at_once]))  # type: ignore[misc]

    def each(self, function: Callable[..., Any], values: Values, batch: Any, *more: Any) -> Any:
        """Return a function of (parameters, example, more) of every example of a chunk."""
        from torch.func import vmap

        in_dims = (None, 0, *[0 for _ in more])
        return vmap(function, in_dims, randomness="different")(values, batch, *more)

    def of(self, values: Values, example: Any) -> Tensor:
        """Return what is computed of an example with these parameters, by name."""
        from torch.func import functional_call

        found: Tensor = functional_call(self, values, (single(example),))
        return found

    def forward(self, batch: Any) -> Tensor:
        return self._compute(self._aside, batch)


def _aside(look: Look) -> Aside:
    state = look.trainer.state
    return Aside(look.player, look.modules, state.task, state.precision, state.world)


def single(example: Any) -> Any:
    """Return an example as a batch of one."""
    return _each(example, lambda tensor: tensor.unsqueeze(0))


def _each(batch: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """Return a batch with each of its tensors changed."""
    inside = partial(_each, change=change)
    if isinstance(batch, Tensor):
        return change(batch)
    if isinstance(batch, Mapping):
        return {name: inside(part) for name, part in batch.items()}
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*map(inside, batch))
    return type(batch)(map(inside, batch))
