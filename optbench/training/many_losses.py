"""The loss of many parameter vectors at once: by vmap or one after the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from optbench.errors import UserError
from optbench.torch_internals import weights_of_now
from optbench.training import rng
from optbench.training.aside import Aside
from optbench.training.batches import StepBatch
from optbench.training.room import Pass, forward_pass, members_at_once, tensor_bytes

Way = Literal["vmap", "loop"]

LITTLE = {"cpu": 6e5, "cuda": 1e8}
"""Floating-point operations of a layer, by device, up to which one call for all points takes less
time than one for each: `scripts/bench/objective_losses.py`. That of CUDA is reckoned, not measured:
what a GPU does in the time that a call takes."""

NOT_BY_VMAP = (RuntimeError, NotImplementedError, ValueError, TypeError)
"""What torch raises where vmap can't."""


class Plan(NamedTuple):
    """How the losses of many points are best asked for.

    Attributes:
        way: that which should be faster, of those that can.
        chunk: how many points at once fit into memory.
        still: whether a step's forward pass moves nothing: no buffer, no random generator, nothing
            that the task carries on. Then the loss of a point that was evaluated is the step's.
    """

    way: Way
    chunk: int
    still: bool


Values = dict[str, Tensor]


class Points(NamedTuple):
    """Values [K, *shape] of parameters."""

    parameters: list[Tensor]
    stacked: Sequence[Tensor]


class ManyLosses:
    """Losses [K] of K parameter vectors, on the same examples with the same random numbers.

    `vmap` computes all K in one pass, where it can; `loop` one after the other. Which is faster
    depends on the model, on K and on the machine: at the first call with a K both are run, and if
    they agree up to rounding they are timed; under torch's deterministic algorithms vmap is taken,
    untimed. What a plan says no clock decides, but how much the model computes, so that two equal
    runs have the same bits.

    Args:
        aside: whose losses.
    """

    def __init__(self, aside: Aside) -> None:
        self._aside = aside
        self._module = _Loss(aside)
        self._ways: dict[int, Way] = {}

    def __call__(
        self,
        work: StepBatch,
        start: rng.Generators,
        stacked: Sequence[Tensor],
        way: Way | None = None,
        parameters: Sequence[Tensor] | None = None,
    ) -> Tensor:
        """Return this rank's losses; their mean over ranks is the step's.

        Args:
            work: whose micro-batches are at hand.
            start: where the random generators begin.
            stacked: one tensor [K, *shape] for each parameter, in their order.
            way: `vmap` or `loop`; None takes the faster.
            parameters: in whose place; None is the player's.

        Raises:
            ValueError: tensors of other shapes, or parameters that are not the player's.
        """
        wanted = self._wanted(parameters)
        count = _check(stacked, wanted)
        points = Points(wanted, stacked)
        chosen = way or self._ways.get(count)
        with torch.no_grad():
            if chosen is None:
                self._ways[count], losses = self._find_way(work, start, points)
                return losses
            if chosen == "loop":
                return self._loop(work, start, points)
            return self._vmap(work, start, points)

    @torch.no_grad()
    def plan(
        self,
        work: StepBatch,
        start: rng.Generators,
        count: int,
        parameters: Sequence[Tensor] | None = None,
        way: Way | None = None,
    ) -> Plan:
        """Return how so many points are best evaluated, as tried on this rank at the present one.

        By `vmap` where it gives the same up to rounding and layers compute little, `LITTLE`.

        Args:
            work, start, parameters: as in a call.
            count: of points.
            way: that it has to be; None is that which should be faster.

        Raises:
            UserError: the model can't be evaluated by the way that it has to be.
        """
        wanted = self._wanted(parameters)
        own = tensor_bytes(wanted)
        taken, still = self._one_pass(work, start)
        together = min(count, members_at_once(2 * own + taken.bytes))
        alone = Plan("loop", min(count, members_at_once(own)), still)
        if together == 1 or way == "loop":
            return alone
        stacked = [p.detach().unsqueeze(0).repeat(together, *[1] * p.ndim) for p in wanted]
        points = Points(wanted, stacked)
        if way == "vmap":
            self._try_vmap(work, start, points)
            return Plan("vmap", together, still)
        little = taken.layer <= LITTLE.get(self._aside.device.type, LITTLE["cuda"])
        return (
            Plan("vmap", together, still) if little and self._same(work, start, points) else alone
        )

    def _wanted(self, parameters: Sequence[Tensor] | None) -> list[Tensor]:
        """Return the parameters; raise ValueError for some that are not the player's."""
        own = self._aside.player.parameters
        if parameters is None:
            return list(own)
        theirs = {id(each) for each in own}
        if not all(id(each) in theirs for each in parameters):
            raise ValueError("losses: a parameter that is none of the player's")
        return list(parameters)

    def _one_pass(self, work: StepBatch, start: rng.Generators) -> tuple[Pass, bool]:
        """Return what a forward pass of the first micro-batch takes, and whether it moves
        nothing."""
        batch, _ = next(iter(work.micros))
        modules = list(self._aside.modules.values())
        buffers = [buffer for module in modules for buffer in module.buffers()]
        before = [buffer.clone() for buffer in buffers]
        with self._aside.untouched(start):
            taken = forward_pass(modules, lambda: self._aside.loss(batch))
            still = rng.same(start, self._aside.generators()) and not self._aside.task.carries
            now = [buffer for module in modules for buffer in module.buffers()]
            still = still and len(now) == len(before) and all(map(torch.equal, now, before))
        return taken, still

    def _try_vmap(self, work: StepBatch, start: rng.Generators, points: Points) -> None:
        try:
            self._vmap(work, start, points)
        except NOT_BY_VMAP as error:
            why = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
            said = f"way=vmap: this model can't be evaluated at many points at once ({why})"
            raise UserError(f"{said}; way=loop can") from error

    def _same(self, work: StepBatch, start: rng.Generators, points: Points) -> bool:
        """Return whether vmap can, and gives what a loop does."""
        try:
            return self._agree(self._loop(work, start, points), self._vmap(work, start, points))
        except NOT_BY_VMAP:
            return False

    def _find_way(
        self, work: StepBatch, start: rng.Generators, points: Points
    ) -> tuple[Way, Tensor]:
        losses, by_loop = self._timed(lambda: self._loop(work, start, points))
        try:
            others, by_vmap = self._timed(lambda: self._vmap(work, start, points))
        except NOT_BY_VMAP:
            return "loop", losses
        if not self._agree(losses, others):  # as where vmap draws other random numbers
            return "loop", losses
        if torch.are_deterministic_algorithms_enabled():  # no clock decides the bits
            return "vmap", others
        # Each twice: the first time of either makes room, and others may have had the processor.
        by_loop = min(by_loop, self._timed(lambda: self._loop(work, start, points))[1])
        by_vmap = min(by_vmap, self._timed(lambda: self._vmap(work, start, points))[1])
        return ("vmap", others) if by_vmap < by_loop else ("loop", losses)

    def _loop(self, work: StepBatch, start: rng.Generators, points: Points) -> Tensor:
        """Put the parameters at each point in turn, and back: that costs the least of all ways."""
        parameters, losses = points.parameters, []
        kept = [parameter.detach().clone() for parameter in parameters]
        try:
            with self._aside.untouched(start), self._aside.without_statistics() as moves:
                for number, values in enumerate(zip(*points.stacked, strict=True)):
                    if number:
                        self._aside.again(start, moves)
                    torch._foreach_copy_(parameters, list(values))
                    parts = [self._aside.loss(batch) * weight for batch, weight in work.micros]
                    losses.append(torch.stack(parts).sum())
        finally:
            torch._foreach_copy_(parameters, kept)
        return torch.stack(losses)

    def _vmap(self, work: StepBatch, start: rng.Generators, points: Points) -> Tensor:
        from torch.func import vmap

        def together(values: Values, batch: Any) -> Tensor:
            each = vmap(lambda point: self._module.of(point, batch), randomness="same")
            losses: Tensor = each(values)
            return losses

        names = self._module.names_of(points.parameters)
        values = dict(zip(names, points.stacked, strict=True))
        with (
            sdpa_kernel(SDPBackend.MATH),  # vmap knows no other
            self._aside.untouched(start),
            self._aside.without_statistics(),
        ):
            parts = [together(values, batch) * weight for batch, weight in work.micros]
        return torch.stack(parts).sum(dim=0)

    def _agree(self, losses: Tensor, others: Tensor) -> bool:
        """Return whether both agree up to half the digits, of a format autocast makes shorter."""
        narrow = self._aside.precision.autocast
        digits = torch.finfo(losses.dtype if narrow is None else narrow).eps ** 0.5
        return torch.allclose(losses, others.to(losses.dtype), digits, digits, equal_nan=True)

    def _timed(self, compute: Callable[[], Tensor]) -> tuple[Tensor, float]:
        start = time.perf_counter()
        found = compute()
        found.cpu()  # a GPU is waited for
        return found, time.perf_counter() - start


def _check(stacked: Sequence[Tensor], parameters: Sequence[Tensor]) -> int:
    """Return how many parameter vectors there are; raise ValueError for tensors of other shapes."""
    count = len(stacked[0]) if len(stacked) and stacked[0].ndim else 0
    wanted = [[count, *parameter.shape] for parameter in parameters]
    found = [list(tensor.shape) for tensor in stacked]
    if not count or found != wanted:
        shapes = [["K", *parameter.shape] for parameter in parameters]
        raise ValueError(f"losses: tensors of the shapes {found}, not {shapes} with a K above 0")
    return count


class _Loss(nn.Module):
    """The task's loss as a module, in which `functional_call` replaces one player's parameters.

    The players' modules stay modules, so that a task finds their attributes.
    """

    def __init__(self, aside: Aside) -> None:
        super().__init__()
        self._aside = aside
        self.players = nn.ModuleList(aside.modules.values())
        number = list(aside.modules).index(aside.player.name)
        pairs = zip(aside.player.parameters, aside.player.names, strict=True)
        self._names = {id(each): f"players.{number}.{name}" for each, name in pairs}

    def names_of(self, parameters: Sequence[Tensor]) -> list[str]:
        """Return the parameters' names in this module."""
        return [self._names[id(each)] for each in parameters]

    def of(self, values: Values, batch: Any) -> Tensor:
        """Return the mean loss of a micro-batch with these parameters, by name."""
        from torch.func import functional_call  # 10 ms, for which no other run waits

        loss: Tensor = functional_call(self, values, (batch,))
        return loss

    def forward(self, batch: Any) -> Tensor:
        with weights_of_now(self):
            return self._aside.loss(batch)
