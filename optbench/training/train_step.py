"""One optimizer step of one player: forward, backward, clipping, update."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from functools import cached_property
from time import perf_counter

import torch
from torch import Tensor, nn

from optbench.errors import UserError
from optbench.monitor.activations import ActivationWatch
from optbench.monitor.updates import UpdateWatch
from optbench.optim.progressive.progressive import NoRateError
from optbench.tasks.base import Task
from optbench.training.aside import Aside
from optbench.training.batches import StepBatch
from optbench.training.buffers import Buffers
from optbench.training.clipping import Clipping
from optbench.training.distributed import World
from optbench.training.many_losses import ManyLosses
from optbench.training.objective import Check, Evaluate, Forward, Objective
from optbench.training.player import Player
from optbench.training.position import Progress
from optbench.training.precision import Precision
from optbench.training.strategy import Strategy

Look = Callable[[], None]


class _LeaveOut(Exception):
    """Ends an optimizer's step from inside its closure."""


class TrainStep:
    """Forward and backward over the micro-batches, unscale, measure, clip, update, measure.

    Args:
        player: whose step it is.
        modules: all players' modules; the others' are left alone while it is this one's turn.
        task: gives the loss.
        precision: autocast and scaler.
        clipping: of the unscaled gradients.
        world: the ranks, whose losses a closure averages.
        strategy: how they train.
        skip_nonfinite: leave out an update whose gradients are not finite.
        stop_nonfinite: leave out an update whose loss is not finite, for the run ends then. Asked
            of an optimizer that evaluates the loss itself, and on a CPU, where it costs nothing.
        progress: takes in what the optimizer's steps take.
    """

    def __init__(
        self,
        player: Player,
        modules: Mapping[str, nn.Module],
        task: Task,
        precision: Precision,
        clipping: Clipping,
        world: World,
        strategy: Strategy,
        skip_nonfinite: bool = False,
        stop_nonfinite: bool = False,
        progress: Progress | None = None,
    ) -> None:
        self.player, self.task = player, task
        self.modules = {**modules, player.name: player.forward}
        others = [m for name, m in modules.items() if name != player.name]
        self._others = [p for m in others for p in m.parameters()]
        self._leaves_out = skip_nonfinite or precision.scaler is not None
        self.bare = dict(modules)  # batch norm changes its buffers in whoever's turn
        self._buffers = Buffers.of_all(self.bare.values())
        self.progress = Progress() if progress is None else progress
        self.precision, self.clipping, self.world = precision, clipping, world
        self._skip_nonfinite, self._stop_nonfinite = skip_nonfinite, stop_nonfinite
        # What needs no look at a step is found out once: at each it would cost ten calls.
        self._autocast = precision.forward if precision.autocast is not None else None
        watches = player.hyperparameters.watches_updates
        self._some_rest = hasattr(player.optimizer, "resting")
        self._prepares = self._leaves_out or watches or self._some_rest
        self._no_sync = strategy.before_last(player.forward)
        self._around_update = strategy.around_update(player) or nullcontext
        self._after_backward = strategy.after_backward(player)
        self._any, self._across = strategy.any, strategy.across()

    def loss_and_gradients(
        self, work: StepBatch, looked: ActivationWatch | None = None, *, unseen: bool = False
    ) -> Tensor:
        """Do forward and backward over all micro-batches; return the loss of this rank's examples,
        scaled so that its mean over ranks is the batch's.

        Args:
            work: the examples.
            looked: sees the first forward pass.
            unseen: nobody looks at the step before its update is taken, so a step that is one graph
                (`graph/graphed_step.py`) may take it here; one in pieces does nothing else for it.
        """
        if self._leaves_out:  # batch statistics move in the forward pass
            self._buffers.remember()
        if looked is not None:
            with looked.looking():
                return self._loss_and_gradients(work)
        return self._loss_and_gradients(work)

    def _loss_and_gradients(self, work: StepBatch) -> Tensor:
        if self._others:
            self._take_turn()
        total: Tensor | None = None
        for number, (batch, weight) in enumerate(work.micros, start=1):
            if self._no_sync is None or number == work.parts:
                loss = self._backward(batch, weight)
            else:  # ranks exchange gradients with the last micro-batch only
                with self._no_sync():
                    loss = self._backward(batch, weight)
            total = loss if total is None else total + loss
        if self._after_backward is not None:
            self._after_backward()
        assert total is not None
        return total

    def _take_turn(self) -> None:
        """Have the gradients be this player's alone."""
        for parameter in self._others:
            parameter.requires_grad_(False)
        for parameter in self.player.parameters:
            parameter.requires_grad_(True)

    def _loss(self, batch: object) -> Tensor:
        if self._autocast is None:
            return self.task.loss(self.modules, batch, self.player.name)
        with self._autocast():
            return self.task.loss(self.modules, batch, self.player.name)

    def _backward(self, batch: object, weight: float) -> Tensor:
        loss = self._loss(batch)
        if weight != 1.0:
            loss = loss * weight
        if self.precision.scaler is None:
            loss.backward(create_graph=self.player.needs.create_graph)
        else:
            self.precision.scaler.scale(loss).backward()
        return loss.detach()

    def update(self, watch: UpdateWatch | None = None, sample: Look | None = None) -> bool:
        """Go from gradients to new parameters; return False if the update was left out.

        `watch` measures, and `sample` looks at, the gradients when they are unscaled.

        Raises:
            UserError: a stage of the optimizer is over, and the next has no learning rate.
        """
        taken = True
        if self._prepares or self.clipping.acts or watch is not None or sample is not None:
            taken = self._prepare_gradients(watch, sample)
        if taken:
            if watch is not None:
                watch.see_before()
            with self._around_update():
                begun = perf_counter()
                try:
                    taken = self.precision.step(self.player.optimizer)
                except NoRateError as error:
                    raise UserError(f"optimizer.stages: {error}") from None
                self.progress.optimizer_seconds += perf_counter() - begun
        if taken and watch is not None:
            watch.see_after()
        if not taken and self._leaves_out:  # what is not finite would stay in a mean
            self._buffers.put_back()
        self.player.clear_gradients()
        return taken

    def with_closure(
        self, work: StepBatch, watch: UpdateWatch | None = None, sample: Look | None = None
    ) -> tuple[Tensor, bool]:
        """Take a whole step of an optimizer that evaluates the loss as often as it likes.

        Every evaluation sees the same examples. The gradients measured are the first's. Return the
        first loss, and whether the update was taken: one that met a gradient, or product with the
        Hessian, that is not finite is undone if such steps are to be left out. If the run is to end
        at a loss that is not finite, the first ends the step before anything is updated.
        """
        first: list[Tensor] = []

        def evaluate(again: StepBatch) -> Tensor:
            loss = self._mean_loss_and_gradients(again)
            if not first and self._ends_run(loss):
                first.append(loss)
                raise _LeaveOut
            looks = (None, None) if first else (watch, sample)
            finite = self._prepare_gradients(*looks, first=not first)
            first.append(loss)
            if not finite:
                raise _LeaveOut
            return loss

        def forward(again: StepBatch, known: Tensor | None) -> Tensor:
            loss = self._forward(again, known)
            first.append(loss)
            if len(first) == 1 and (self._ends_run(loss) or self._is_left_out(loss)):
                raise _LeaveOut
            return loss

        objective = self._objective(work, evaluate, forward, self._check_products)
        undo = None
        if self._skip_nonfinite:
            undo = self.player.remembered()
            self._buffers.remember()
        if watch is not None:
            watch.see_before()
        begun = perf_counter()
        try:
            self.player.optimizer.step(objective)  # type: ignore[arg-type]
        except _LeaveOut:
            if undo is None:
                return first[0], False  # the gradients stay, so that one can be named
            self.player.go_back(undo)
            self._buffers.put_back()
        else:
            undo = None
        finally:
            self.progress.thirds += objective.meter.thirds
            own = perf_counter() - begun - objective.meter.seconds
            self.progress.optimizer_seconds += max(0.0, own)
        if watch is not None:
            watch.see_after()
        self.player.clear_gradients()
        return first[0], undo is None

    def _ends_run(self, loss: Tensor) -> bool:
        return self._stop_nonfinite and loss.device.type == "cpu" and not bool(loss.isfinite())

    def _is_left_out(self, loss: Tensor) -> bool:
        """Return whether a step that has no gradients to tell is left out for its loss."""
        return self._skip_nonfinite and not bool(loss.isfinite())

    def _check_products(self, products: Sequence[Tensor]) -> None:
        """End the step at a product that is not finite, if such steps are left out."""
        if self._skip_nonfinite and not all(bool(each.isfinite().all()) for each in products):
            raise _LeaveOut

    def objective(self, work: StepBatch) -> Objective:
        """Return the loss of a step's examples as a function of the player's parameters.

        Called, it leaves gradients as this step would have them, but counts as no step.
        """

        def evaluate(again: StepBatch) -> Tensor:
            loss = self._mean_loss_and_gradients(again)
            scaler = self.precision.scaler
            if scaler is not None:  # by hand, for the scaler lets it be done once a step
                for parameter in self.player.parameters:
                    if parameter.grad is not None:
                        parameter.grad.mul_(1 / scaler.get_scale())
            self._leave_resting()
            self._clip()
            return loss

        return self._objective(work, evaluate, self._forward)

    def _objective(
        self, work: StepBatch, evaluate: Evaluate, forward: Forward, check: Check | None = None
    ) -> Objective:
        aside, losses = self._asides
        return Objective(aside, losses, work.repeatable(), evaluate, forward, check)

    @cached_property
    def _asides(self) -> tuple[Aside, ManyLosses]:
        aside = Aside(self.player, self.bare, self.task, self.precision, self.world)
        return aside, ManyLosses(aside)

    def _forward(self, work: StepBatch, known: Tensor | None) -> Tensor:
        """Return the step's loss by its forward pass alone, or the one that is known."""
        if known is not None:
            return known
        total = [self._loss(batch) * weight for batch, weight in work.micros]
        return self.world.mean(torch.stack(total).sum())

    def _mean_loss_and_gradients(self, work: StepBatch) -> Tensor:
        with torch.enable_grad():  # some optimizers call the closure without
            return self.world.mean(self._loss_and_gradients(work))

    def _prepare_gradients(
        self, watch: UpdateWatch | None, sample: Look | None, first: bool = True
    ) -> bool:
        """Unscale, measure and clip; return False if the update is to be left out.

        `first`: the gradients are those at the point that the last update led to.
        """
        self._leave_resting()
        if self.precision.scaler is not None:
            self.precision.scaler.unscale_(self.player.optimizer)
        if watch is not None:
            watch.see_gradients()
        if sample is not None:
            sample()
        looks = self._skip_nonfinite and self.precision.scaler is None
        if looks and self._any(self.first_nonfinite_gradient() is not None):
            return False
        if first:
            self.player.hyperparameters.see_gradients(self.world)
        self._clip()
        return True

    def _leave_resting(self) -> None:
        """Clear the gradients of what the optimizer does not train at present."""
        if self._some_rest:
            for parameter in self.player.optimizer.resting:  # type: ignore[attr-defined]
                parameter.grad = None

    def _clip(self) -> None:
        if self.clipping.acts:
            groups = [group["params"] for group in self.player.optimizer.param_groups]
            self.clipping.apply(self.player.parameters, groups, self._across)

    def first_nonfinite_gradient(self) -> str | None:
        """Return the first parameter, in the model's order, whose gradient is not finite."""
        return _first_nonfinite(self.player.names, [p.grad for p in self.player.parameters])

    def weights_are_finite(self) -> bool:
        """Return whether the parameters and their averages are finite; every rank calls it."""
        return not self._any(self.first_nonfinite_parameter() is not None)

    def first_nonfinite_parameter(self) -> str | None:
        """Return the first parameter that is not finite itself, or whose average is not."""
        names, weights = self.player.names, [p.detach() for p in self.player.parameters]
        if self.player.ema is None:
            return _first_nonfinite(names, weights)
        names = [*names, *(f"{name} (its average)" for name in names)]
        return _first_nonfinite(names, [*weights, *self.player.ema.averages])


def _first_nonfinite(names: Sequence[str], tensors: Sequence[Tensor | None]) -> str | None:
    pairs = [(n, t) for n, t in zip(names, tensors, strict=True) if t is not None]
    if not pairs:
        return None
    sums = torch.stack(
        [t.to_dense().isfinite().all() if t.is_sparse else t.isfinite().all() for _, t in pairs]
    ).tolist()
    return next((name for (name, _), finite in zip(pairs, sums, strict=True) if not finite), None)
