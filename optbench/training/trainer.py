"""The one training loop."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

import torch
from torch import Tensor

from optbench.data.dataset import Source
from optbench.monitor.histograms import histograms
from optbench.monitor.memory import peak_mib, reset_peak
from optbench.monitor.record import Record, Recorder
from optbench.monitor.updates import UpdateWatch
from optbench.tasks.base import Task
from optbench.training.distributed import Agreement, World
from optbench.training.evaluate import evaluate
from optbench.training.feed import Feed, Work
from optbench.training.keeper import Keeper, RunState
from optbench.training.loss_reader import LossReader
from optbench.training.nonfinite import NonFinite
from optbench.training.signals import Interruption
from optbench.training.step import Step

NEVER = 2**62
MOST_SKIPPED = 100
"""Steps left out in a row after which a run counts as diverged."""


@dataclass(frozen=True)
class Cadence:
    """Every how many steps something is done; 0 is never."""

    evaluate: int = 0
    save: int = 0
    monitor: int = 0
    histograms: int = 0


@dataclass(frozen=True)
class Settings:
    """What the loop needs to know besides its parts.

    Attributes:
        total_steps: the run's length.
        cadence: how often what is done.
        nonfinite: `stop`, `skip` or `raise`.
        patience: evaluations without improvement before the run stops; 0 is off.
        eval_batch_size: examples in a forward pass of an evaluation.
        per_parameter: whether norms are reported by parameter.
        save_final: whether the last step is saved.
        save_best: whether a step is saved that scores best so far.
    """

    total_steps: int
    cadence: Cadence = Cadence()
    nonfinite: str = "stop"
    patience: int = 0
    eval_batch_size: int = 1000
    per_parameter: bool = True
    save_final: bool = True
    save_best: bool = True


@dataclass(frozen=True)
class EvaluationSet:
    """Some examples of a source, scored as `name`: `val` or `test`."""

    name: str
    source: Source
    indices: Tensor


@dataclass
class Outcome:
    """How a run ended.

    Attributes:
        state: one of `rundir.STATES`.
        message: why, if there is something to say.
        metrics: the last value of each metric.
        signal: the signal that stopped it, or 0.
    """

    state: str = "running"
    message: str = ""
    metrics: dict[str, float] = field(default_factory=dict)
    signal: int = 0


class Trainer:
    """Trains players on a task, from where `state` is to the end.

    Args:
        state: players, precision, progress and what else changes; see `RunState`.
        steps: one for each player, in their order.
        task: gives losses and scores.
        feed: the training examples.
        validation: scored as the run goes on, if there is one.
        test: scored once, at the end, if there is one.
        world: the ranks.
        settings: the numbers.
        recorder: takes the measurements.
        keeper: saves the state; None for a run without checkpoints.
        interruption: whether the run has been asked to stop.
    """

    def __init__(
        self,
        state: RunState,
        steps: list[Step],
        task: Task,
        feed: Feed,
        validation: EvaluationSet | None,
        test: EvaluationSet | None,
        world: World,
        settings: Settings,
        recorder: Recorder,
        keeper: Keeper | None,
        interruption: Interruption,
    ) -> None:
        self.state, self.steps, self.task, self.feed = state, steps, task, feed
        self.validation, self.test, self.world = validation, test, world
        self.settings, self.recorder, self.keeper = settings, recorder, keeper
        self.interruption = interruption
        self.progress, self.players = state.progress, state.players
        self.outcome = Outcome()
        scaled = state.precision.scaler is not None
        self._nonfinite = NonFinite(settings.nonfinite, steps, scaled)
        self._reader = LossReader(late=world.device.type == "cuda")
        self._agreement = Agreement(world, 2)
        self._watches = [
            UpdateWatch(p.names, p.parameters, settings.per_parameter) for p in self.players
        ]
        self._at_once = world.size == 1 and world.device.type == "cpu"
        self._several = len(self.players) > 1
        self._clock = 0.0
        self._marks = (0.0, 0)

    def fit(self) -> Outcome:
        """Trains to the end, or until something ends the run sooner."""
        reset_peak(self.world.device)
        for player in self.players:
            player.forward.train()
        self._marks = (self.progress.seconds, self.progress.examples)
        self._plan()
        self._check_patience()
        self._clock = time.perf_counter()
        while self._goes_on():
            self._epoch()
        self._pause()
        self._settle()
        self._finish()
        return self.outcome

    def _goes_on(self) -> bool:
        within = self.progress.step < self.settings.total_steps
        return within and self.outcome.state == "running"

    def _epoch(self) -> None:
        """What is left of the present pass over the training set."""
        for work in self.feed.epoch(self.progress.epoch, self.progress.index):
            self._step(work.repeatable() if self._several else work)
            self._heed(self._agreement.exchange([self.interruption.number, self._nonfinite.at]))
            if self.progress.step >= self._next:
                self._events()
            self.recorder.tick(self.progress.step)
            if not self._goes_on():
                return

    def _step(self, work: Work) -> None:
        """One step of every player; then the position moves on."""
        progress = self.progress
        number = progress.step + 1
        watched = number >= self._next_watch
        taken = True
        for player, step, watch in zip(self.players, self.steps, self._watches, strict=True):
            seen = watch if watched else None
            if player.needs_closure:
                loss = step.with_closure(work, seen)
                self._see_loss(number, loss)
            else:
                loss = step.loss_and_gradients(work)
                self._see_loss(number, loss)
                if self._nonfinite.at and self._at_once:
                    return
                if number >= self._next_histograms:
                    self._sample(player.names, [p.grad for p in player.parameters], "gradients")
                taken = step.update(seen) and taken
        progress.index += 1
        progress.examples += work.examples
        if progress.index == self.feed.steps_per_epoch:
            progress.epoch, progress.index = progress.epoch + 1, 0
        if taken:
            progress.step = number
            progress.skipped_in_a_row = 0
            for player in self.players:
                player.advance()
        else:
            self._skipped(number)

    def _see_loss(self, number: int, loss: Tensor) -> None:
        ready = self._reader.push(number, loss)
        if ready is not None and self._nonfinite.check("loss", *ready):
            self.state.loss.add(ready[1])

    def _settle(self) -> None:
        """Takes in the loss that is still on its way from the GPU."""
        ready = self._reader.settle()
        if ready is not None and self._nonfinite.check("loss", *ready):
            self.state.loss.add(ready[1])

    def _skipped(self, number: int) -> None:
        self.progress.skipped += 1
        self.progress.skipped_in_a_row += 1
        if self.progress.skipped_in_a_row == MOST_SKIPPED:
            self._nonfinite.end(number, f"no finite gradient in {MOST_SKIPPED} batches")

    def _heed(self, flags: list[int]) -> None:
        """Ends the run when the ranks agree that it has to."""
        signal, bad_step = flags
        if bad_step:
            message = self._nonfinite.message or f"another rank's loss at step {bad_step}"
            self.outcome.state, self.outcome.message = "diverged", message
        elif signal:
            self.outcome.state, self.outcome.signal = "preempted", signal

    def _plan(self) -> None:
        """When something is due next, so that a step asks one question only."""
        step, cadence = self.progress.step, self.settings.cadence

        def after(every: int) -> int:
            return (step // every + 1) * every if every else NEVER

        self._next_histograms = after(cadence.histograms)
        self._next_watch = after(cadence.monitor)
        self._next = min(
            self._next_watch,
            self._next_histograms,
            after(cadence.evaluate),
            after(cadence.save),
        )

    def _events(self) -> None:
        """What is due at this step: measurements, an evaluation, a checkpoint, in this order."""
        self._pause()
        self._settle()
        step, cadence = self.progress.step, self.settings.cadence
        if cadence.histograms and step % cadence.histograms == 0:
            for player in self.players:
                self._sample(player.names, player.parameters, "parameters")
        if cadence.monitor and step % cadence.monitor == 0:
            self._report()
        if cadence.evaluate and step % cadence.evaluate == 0 and self.outcome.state != "diverged":
            self._validate()
        if cadence.save and step % cadence.save == 0 and self.outcome.state != "diverged":
            self._save()
        self._plan()
        self._clock = time.perf_counter()

    def _pause(self) -> None:
        now = time.perf_counter()
        self.progress.seconds += now - self._clock
        self._clock = now

    def _report(self) -> None:
        """The training's numbers at a monitored step."""
        norms: dict[str, float] = {}
        for player, watch in zip(self.players, self._watches, strict=True):
            seen = watch.read()
            self._nonfinite.check("gradient norm", self.progress.step, seen["grad_norm/total"])
            prefix = f"{player.name}/" if self._several else ""
            norms |= {_prefixed(tag, prefix): value for tag, value in seen.items()}
        self._write("train", self._train_values())
        self._write("monitor", norms)

    def _train_values(self) -> dict[str, float]:
        values = {f"lr/{player.name}": player.lr for player in self.players}
        loss, count = self.state.loss.total, self.state.loss.count
        if self.world.size > 1:
            loss = self.world.sum(torch.tensor([loss], dtype=torch.float64)).item()
            loss /= self.world.size
        if count:
            values["train/loss"] = loss / count
            self.state.loss.total, self.state.loss.count = 0.0, 0
        seconds = self.progress.seconds - self._marks[0]
        if seconds > 0:
            examples = self.progress.examples - self._marks[1]
            values["throughput/examples_per_second"] = examples / seconds
        values["memory/peak_mib"] = peak_mib(self.world.device)
        if self.state.precision.scaler is not None:
            values["precision/loss_scale"] = self.state.precision.scaler.get_scale()
            values["precision/skipped_steps"] = float(self.progress.skipped)
        self._marks = (self.progress.seconds, self.progress.examples)
        return values

    def _validate(self) -> None:
        """Scores the validation set; schedules, the best step and early stopping react."""
        if self.validation is None or self.progress.evaluated == self.progress.step:
            return
        if self.state.loss.count:
            self._write("train", self._train_values())
        self.progress.evaluated = self.progress.step
        metrics = self._score(self.validation)
        improved = self.state.best.update(metrics, self.progress.step)
        if self.settings.patience:
            self.state.stopping.update(metrics, self.progress.step)
            self._check_patience()
        if improved and self.settings.save_best:
            self._save()

    def _check_patience(self) -> None:
        stopping, patience = self.state.stopping, self.settings.patience
        if patience and stopping.since >= patience and self.outcome.state == "running":
            self.outcome.state = "stopped_early"
            best = "any value" if stopping.value is None else f"{stopping.value:.6g}"
            self.outcome.message = (
                f"{stopping.metric} has not improved on {best} since step {stopping.step}"
            )

    def _score(self, what: EvaluationSet) -> dict[str, float]:
        modules = {player.name: player.module for player in self.players}
        with ExitStack() as stack:
            for player in self.players:
                player.module.eval()
                stack.callback(player.module.train)
                if player.ema is not None:
                    stack.enter_context(player.ema.applied())
            scores = evaluate(
                self.task,
                modules,
                what.source,
                what.indices,
                self.settings.eval_batch_size,
                self.state.precision,
                self.world,
            )
        metrics = {f"{what.name}/{metric}": value for metric, value in scores.items()}
        self._write(what.name, metrics)
        return metrics

    def _save(self) -> None:
        if self.keeper is not None:
            self.recorder.flush()
            self.keeper.save()

    def _sample(self, names: list[str], tensors: Sequence[Tensor | None], kind: str) -> None:
        if self.world.is_main:
            tags = [f"{kind}/{name}" for name in names]
            self.recorder.histograms(self.progress.step, histograms(tags, tensors))

    def _write(self, kind: str, values: dict[str, float]) -> None:
        progress = self.progress
        epoch = progress.epoch + progress.index / self.feed.steps_per_epoch
        record = Record(kind, progress.step, epoch, progress.examples, progress.seconds, values)
        self.outcome.metrics.update(values)
        self.recorder.write(record)
        for player in self.players:
            player.observe(values)

    def _finish(self) -> None:
        """The last evaluation, checkpoint and test, as far as the run's end asks for them."""
        self._agreement.settle()
        if self.outcome.state == "running" and self._nonfinite.at:
            self._heed([0, self._nonfinite.at])
        if self.outcome.state in ("running", "stopped_early"):
            self._validate()
            if self.settings.save_final:
                self._save()
            if self.test is not None:
                self._score(self.test)
            if self.outcome.state == "running":
                self.outcome.state = "finished"
        elif self.outcome.state == "preempted":
            self._save()
        if self.keeper is not None:
            self.keeper.wait()


def _prefixed(tag: str, prefix: str) -> str:
    group, _, name = tag.partition("/")
    return f"{group}/{prefix}{name}"
