"""A step that is noted once as one graph, and then repeated."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import chain
from typing import Any

from torch import Tensor

from optbench.monitor.activations import ActivationWatch
from optbench.monitor.updates import UpdateWatch
from optbench.training.batches import StepBatch
from optbench.training.graph.graphs import Graphs, Replay
from optbench.training.graph.held import Held
from optbench.training.graph.inputs import Inputs, Kind, kind_of
from optbench.training.train_step import Look, TrainStep

WARM = 3
"""Steps of one kind in pieces before one is noted: state is made in them, and kernels chosen."""

NOTED = 3
"""How often a step is noted at most: one whose operations keep changing is better in pieces."""


class GraphedStep(TrainStep):
    """A `TrainStep` of which the whole is repeated as a graph wherever nobody looks inside.

    The graph holds forward and backward of all micro-batches, clipping, the update and the average
    of the weights. The host copies the examples in, writes the optimizer's numbers where the graph
    looks for them, and counts. Other steps are taken in pieces: those that are measured, the first
    few, those of other sizes, as an epoch's last. They go by the same tensors of numbers, so that
    it makes no difference to the bit which steps they are, and a resumed run is the run itself.

    Args:
        graphs: notes and repeats.
        held: the player's optimizer, with its numbers in tensors.
        told: is called with the reason if it is found out later that there can be no graph.
        wary: others may replace tensors between any two steps, as a callback may.
        parts: as of `TrainStep`.
    """

    def __init__(
        self,
        *,
        graphs: Graphs,
        held: Held,
        told: Callable[[str], None],
        wary: bool = False,
        **parts: Any,
    ) -> None:
        super().__init__(**parts)
        self._graphs, self._held, self._told, self._wary = graphs, held, told, wary
        self._replay: Replay | None = None
        self._kind: Kind | None = None
        self._seen = self._noted = 0
        self._ends = self._done = self._warming = self._wary_now = False
        self.replayed = 0

    def loss_and_gradients(
        self, work: StepBatch, looked: ActivationWatch | None = None, *, unseen: bool = False
    ) -> Tensor:
        """Take the whole step as a graph if it can be; else do forward and backward."""
        self._warming = self._done = False
        if not unseen or self._ends:
            self._wary_now = True
            return super().loss_and_gradients(work, looked)
        work = work.repeatable()
        kind = kind_of(work)
        if kind != self._kind and self._replay is None:
            self._kind, self._seen = kind, 0
        if kind == self._kind and self._can_be_replayed(work):
            return self._replayed(work)
        self._warming, self._wary_now = self._replay is None, True
        with self._aside():
            return super().loss_and_gradients(work, looked)

    def update(self, watch: UpdateWatch | None = None, sample: Look | None = None) -> bool:
        """Go from gradients to new parameters, unless the graph has."""
        if self._done:
            self._done = False
            return True
        with self._aside(), self._held.standing():
            return super().update(watch, sample)

    def _aside(self) -> AbstractContextManager[None]:
        return self._graphs.aside() if self._warming else nullcontext()

    def _can_be_replayed(self, work: StepBatch) -> bool:
        """Return whether there is a graph for this very step, after noting it if it is time."""
        if self._replay is not None and self._wary_now and self._places() != self._at:
            self._forget()
        self._wary_now = self._wary
        if self._replay is None:
            if self._seen < WARM:
                self._seen += 1
                return False
            self._note(work)
        if self._replay is not None and not self._held.is_ready():
            self._forget()
        return self._replay is not None

    def _forget(self) -> None:
        """Leave the graph for one that is noted anew, after some steps in pieces."""
        self._replay, self._seen = None, 0
        if self._noted == NOTED:
            self._end("its operations keep changing")

    def _end(self, reason: str) -> None:
        self._replay, self._ends = None, True
        self._told(reason)

    def _note(self, work: StepBatch) -> None:
        reason = self._graphs.why_no_room()
        if reason is not None:
            self._end(reason)
            return
        self._noted += 1
        self.inputs, self._at = Inputs(work), self._places()
        self._buffers.remember()
        try:
            self._replay = self._graphs.note(self._whole)
        except (RuntimeError, NotImplementedError, TypeError, ValueError) as error:
            first = (str(error).splitlines() or [""])[0]
            self._end(f"a step can't be noted: {type(error).__name__}: {first}"[:200])
        finally:
            self.player.clear_gradients()
            moved = self._places() != self._at
            self._buffers.put_back()  # those that were assigned anew hold nothing yet
        if self._replay is not None and moved:
            self._end("a step puts buffers or state at new places")

    def _whole(self) -> None:
        """Do on the device what a step does."""
        with self._held.standing(noted=True):
            self._loss_of_all = super().loss_and_gradients(self.inputs.work)
            super().update()
        if self.player.ema is not None:
            self.player.ema.update()

    def _replayed(self, work: StepBatch) -> Tensor:
        assert self._replay is not None
        self._held.advance()
        self.inputs.fill(work)
        self._replay()
        self.replayed += 1
        self._done = True
        if self.player.ema is not None:
            self.player.ema.ahead = True
        return self._loss_of_all

    def _places(self) -> list[int]:
        """Return where lies what the graph reads and writes."""
        return [tensor.data_ptr() for tensor in self.standing()]

    def standing(self) -> Iterator[Tensor]:
        """Yield what has to stay where it is: parameters, buffers, state, averages, numbers."""
        modules = list(self.bare.values())
        yield from chain.from_iterable(module.parameters() for module in modules)
        yield from chain.from_iterable(module.buffers() for module in modules)
        yield from self._held.tensors()
        if self.player.ema is not None:
            yield from self.player.ema.averages
