"""A player's loss looked at beside the training, which goes on as if nobody had looked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from optbench.errors import UserError
from optbench.tasks.base import Outputs, Task, Uniform
from optbench.training import rng
from optbench.training.buffers import Buffers
from optbench.training.distributed import World
from optbench.training.player import Player
from optbench.training.precision import Precision

_BATCH_NORMS = {nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d}
"""None of a class derived from these, which may look at its running statistics."""


class Aside:
    """Losses of one player's micro-batches, by bare modules, that leave no trace.

    Bare, for DistributedDataParallel exchanges the gradients of a backward pass, and nothing else.

    Args:
        player: whose.
        modules: all players' bare modules.
        task: gives the loss.
        precision: autocast.
        world: the ranks.
    """

    def __init__(
        self,
        player: Player,
        modules: Mapping[str, nn.Module],
        task: Task,
        precision: Precision,
        world: World,
    ) -> None:
        self.player, self.task, self.precision, self.world = player, task, precision, world
        self.modules = {**modules, player.name: player.module}
        self.device = world.device
        self._buffers = Buffers.of_all(self.modules.values())
        self._parameters = [p for module in self.modules.values() for p in module.parameters()]
        inside = [each for module in self.modules.values() for each in module.modules()]
        self._norms: list[Any] = [e for e in dict.fromkeys(inside) if type(e) in _BATCH_NORMS]
        self._recurrent = any(isinstance(each, nn.RNNBase) for each in inside)
        self._compiled = any(getattr(each, "_compiled_call_impl", None) for each in inside)

    def generators(self) -> rng.Generators:
        """Return where torch's generators stand."""
        return rng.generators(self.device)

    def loss(self, batch: Any) -> Tensor:
        """Return the mean loss of a micro-batch."""
        with self.precision.forward():
            return self.task.loss(self.modules, batch, self.player.name)

    def outputs(self, batch: Any) -> Outputs:
        """Return what the player's module gives for a micro-batch."""
        with self.precision.forward():
            return self.task.predict(self.modules, batch, self.player.name)

    def criterion(self, outputs: Outputs, batch: Any) -> Tensor:
        """Return the mean loss of outputs."""
        with self.precision.forward():
            return self.task.criterion(outputs, batch)

    def drawn_loss(self, batch: Any, uniform: Uniform) -> Tensor:
        """Return the mean loss of a micro-batch against targets drawn by what is predicted."""
        with self.precision.forward():
            outputs = self.task.predict(self.modules, batch, self.player.name)
            return self.task.drawn_loss(outputs, batch, uniform)

    @contextmanager
    def untouched(self, start: rng.Generators) -> Iterator[None]:
        """Have torch's generators go on from `start` in the block, and gradients be this player's.

        After it generators, buffers, what the task carries from step to step, and which parameters
        want gradients are as before.
        """
        before = self.generators()
        wanted = [parameter.requires_grad for parameter in self._parameters]
        own = set(self.player.parameters)
        self._buffers.remember()
        try:
            for parameter in self._parameters:
                parameter.requires_grad_(parameter in own)
            rng.set_generators(start)
            with self.task.untouched(), self._as_written():
                yield
        finally:
            rng.set_generators(before)
            self._buffers.put_back()
            for parameter, wants in zip(self._parameters, wanted, strict=True):
                parameter.requires_grad_(wants)

    @contextmanager
    def without_statistics(self) -> Iterator[bool]:
        """Have batch norm in training keep no running statistics; give whether buffers may move.

        Such a layer does not look at its running statistics, so its output is the same. What keeps
        none can be mapped over by vmap, and has nothing to be put back.
        """
        silent = [each for each in self._norms if each.training and each.track_running_stats]
        own = {id(buffer) for each in silent for buffer in each.buffers(recurse=False)}
        all_own = all(id(b) in own for module in self.modules.values() for b in module.buffers())
        for each in silent:
            each.track_running_stats = False
        try:
            yield not all_own
        finally:
            for each in silent:
                each.track_running_stats = True

    def again(self, start: rng.Generators, buffers: bool = True) -> None:
        """Within `untouched`, have the next loss begin as the first did.

        Args:
            start: where the first one's random generators began.
            buffers: whether any may have moved.
        """
        rng.set_generators(start)
        if buffers:
            self._buffers.put_back()

    def mark(self) -> Callable[[], None]:
        """Return what has the next loss begin as one that is computed now."""
        start, buffers = self.generators(), Buffers.of_all(self.modules.values())
        buffers.remember()

        def back() -> None:
            rng.set_generators(start)
            buffers.put_back()

        return back

    def _as_written(self) -> AbstractContextManager[Any]:
        """Run what was compiled as it was written: vmap and second derivatives want that."""
        if not self._compiled:
            return nullcontext()
        stance: AbstractContextManager[Any] = torch.compiler.set_stance("force_eager")
        return stance

    @contextmanager
    def twice_differentiable(self, start: rng.Generators) -> Iterator[None]:
        """Do as `untouched`, with gradients, and by kernels whose backward can be differentiated.

        Raises:
            UserError: the model has something that can't.
        """
        with ExitStack() as stack:
            stack.enter_context(self.untouched(start))
            stack.enter_context(torch.enable_grad())
            stack.enter_context(sdpa_kernel(SDPBackend.MATH))
            if self._recurrent and self.device.type == "cuda":
                flags = torch.backends.cudnn.flags  # cuDNN's recurrent layers can't
                stack.enter_context(flags(enabled=False))
            try:
                yield
            except RuntimeError as error:
                if "is not implemented" not in str(error):
                    raise
                said = f"model: its gradients can't be differentiated: torch says {error}"
                raise UserError(said) from error
