"""The one training loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import isfinite

from optbench.data.dataset import end_all
from optbench.monitor.record import Recorder
from optbench.optim.needs import together
from optbench.training.batches import BatchStream, StepBatch
from optbench.training.callback import Callback, overrides_step_end, tell_due
from optbench.training.checkpointer import Checkpointer, RunState
from optbench.training.ddp_warmup import rebuild_buckets
from optbench.training.efficiency import Efficiency
from optbench.training.evaluations import Evaluations
from optbench.training.loss_reader import LossReader
from optbench.training.nonfinite import NonFinite
from optbench.training.objective import Objective
from optbench.training.player import Player
from optbench.training.position import GRADIENT
from optbench.training.reporter import Reporter
from optbench.training.scoring import Scorer, doubts, scored_weights
from optbench.training.settings import EvaluationSet, Outcome, Settings, due, is_due
from optbench.training.signals import Interruption
from optbench.training.stops import Stops
from optbench.training.train_step import TrainStep

Turn = tuple[int, int, int, int]
"""What a loss is of: the step, so many examples, the pass over the training set."""

MOST_SKIPPED = 100
"""Steps left out in a row after which a run counts as diverged."""


class Trainer:
    """Trains players on a task, from where `state` is to the end.

    Args:
        state: players, precision, progress and what else changes; see `RunState`.
        steps: one for each player, in their order.
        feed: the training examples.
        validation: scored as the run goes on, if there is one.
        test: scored once, at the end, if there is one.
        settings: the numbers.
        recorder: takes the measurements.
        keeper: saves the state; None for a run without checkpoints.
        interruption: whether the run has been asked to stop by a signal.
        callbacks: told of steps, evaluations and checkpoints, in this order.

    Attributes:
        clock: gives the seconds by which training is timed.
        scorer: makes scores.
    """

    def __init__(
        self,
        state: RunState,
        steps: list[TrainStep],
        feed: BatchStream,
        validation: EvaluationSet | None,
        test: EvaluationSet | None,
        settings: Settings,
        recorder: Recorder,
        keeper: Checkpointer | None,
        interruption: Interruption,
        callbacks: Sequence[Callback] = (),
    ) -> None:
        self.state, self.steps, self.feed, self.world = state, steps, feed, state.world
        self.settings, self.recorder, self.keeper = settings, recorder, keeper
        self.interruption = interruption
        self.progress, self.players = state.progress, state.players
        self.progress.timed &= self.world.device.type == "cpu"
        self.outcome = Outcome()
        scaled = state.precision.scaler is not None
        self._nonfinite = NonFinite(settings.nonfinite, steps, scaled)
        late = self.world.device.type != "cpu"
        self._readers: list[LossReader[Turn]] = [LossReader(late) for _ in self.players]
        self._stops = Stops(self.world, interruption, self._nonfinite, self.outcome)
        self.efficiency = Efficiency(state, steps) if settings.flops else None
        self.reporter = Reporter(state, feed.steps_per_epoch, recorder, settings, self.efficiency)
        self.scorer = Scorer(state, feed, self.reporter, settings.eval_batch_size, interruption)
        self.evaluations = Evaluations(
            state,
            validation=validation,
            test=test,
            scorer=self.scorer,
            reporter=self.reporter,
            recorder=recorder,
            settings=settings,
            outcome=self.outcome,
            told=self._evaluated,
        )
        self._at_once = self.world.size == 1 and not late
        self._several = len(self.players) > 1
        self.clock: Callable[[], float] = time.perf_counter
        self._clock = 0.0
        self._until = settings.total_steps
        self._begun = self._finished = False
        self.callbacks = list(callbacks)
        self._at_times = [c for c in callbacks if c.every]
        self._on_step_end = [c.on_step_end for c in callbacks if overrides_step_end(c)]

    def fit(self) -> Outcome:
        """Train to the end, or until something ends the run sooner, and finish it."""
        self.run()
        return self.finish()

    def run(self, until: int | None = None) -> Outcome:
        """Train up to a step, or until something ends the run sooner.

        Evaluations and checkpoints come when they are due; the last ones, and the test set, are
        `finish`'s. A run that is trained in pieces is to the bit the run that is not.

        Args:
            until: the step to stop at; default and at most `settings.total_steps`.

        Returns:
            The outcome so far; its state stays `running` at `until`.

        Raises:
            RuntimeError: the run is finished.
        """
        self.begin(until)
        while self.goes_on:
            self._epoch()
        self.rest()
        return self.outcome

    def begin(self, until: int | None = None) -> None:
        """Do what comes before the first step of `run`.

        Whoever takes the steps instead calls `after_step` where something is due, then `rest`.
        """
        if self._finished:
            raise RuntimeError("the run is finished")
        total = self.settings.total_steps
        self._until = total if until is None else min(until, total)
        for player in self.players:
            player.forward.train()
            player.clear_gradients()  # an objective's
        closures = [player.needs.closure for player in self.players]
        own = (self.players, self.steps, closures, self.reporter.watches, self._readers)
        self._own = list(zip(*own, strict=True))
        self._plan()
        self.evaluations.check_patience()
        if not self._begun and self.world.size > 1 and self.goes_on:
            work = self.feed.step_at(self.progress.epoch, self.progress.index)
            for step in self.steps:
                rebuild_buckets(step, work)
        self._clock = self.clock()
        if not self._begun:
            self._scores_and_save()  # of the step that the run goes on from, if abandoned then
            for callback in self.callbacks:
                callback.on_start(self)
            self._stops.check_own()
        self._begun = True

    def rest(self) -> None:
        """Bring time and losses up to the last step."""
        self._pause()
        self._drain_losses()

    def finish(self) -> Outcome:
        """Do what a run's end asks for, once: last evaluation, checkpoint, test set.

        A run that is finished before its last step counts as `finished` all the same.

        Raises:
            RuntimeError: the run is finished already.
        """
        if self._finished:
            raise RuntimeError("the run is finished")
        self._finished = True
        self._finish()
        self.outcome.metrics = {**self.reporter.metrics, **self.reporter.losses_of_the_epoch()}
        self.outcome.texts = self.reporter.texts
        if self.efficiency is not None:
            self.outcome.efficiency = self.efficiency.told()
        self.outcome.scored = scored_weights(self.players)
        return self.outcome

    def objective(self, player: str = "model") -> Objective:
        """Return the loss of the next step's examples as a function of a player's parameters.

        The run goes on as if nobody had looked, unless the objective is called, as a closure is:
        that moves random generators and buffers as a step does.

        Raises:
            ValueError: there is no such player.
        """
        steps = {step.player.name: step for step in self.steps}
        if player not in steps:
            raise ValueError(f"no player {player}; there is {' and '.join(steps)}")
        for each in self.players:
            each.forward.train()
        work = self.feed.step_at(self.progress.epoch, self.progress.index)
        return steps[player].objective(work)

    def request_stop(self, reason: str) -> None:
        """End the run after the present step as `stopped_early`, for a reason that is its message.

        Any rank may ask, and all stop: of several, a step later.
        """
        if self._stops.reason is None:
            self._stops.reason = reason

    @property
    def goes_on(self) -> bool:
        """Whether there is another step to take."""
        within = self.progress.step < self._until
        return within and self.outcome.state == "running"

    @property
    def next_due(self) -> int:
        """The next step in which, or after which, there is more to do than to train."""
        return min(self._next, self._until)

    def looks_at(self, number: int) -> tuple[bool, bool]:
        """Return whether the first player is measured at a step, and its gradients sampled."""
        return number == self._turns[0][5], number == self._turns[0][6]

    def _epoch(self) -> None:
        """Train on what is left of the present pass over the training set."""
        progress, outcome = self.progress, self.outcome
        for work in self.feed.epoch(progress.epoch, progress.index):
            self._step(work.repeatable() if self._several else work)
            self.after_step()
            if outcome.state != "running" or progress.step >= self._until:
                return

    def after_step(self) -> None:
        """Look whether the run ends here; do what is due."""
        step = self.progress.step
        for told in self._on_step_end:
            told(self, step)
        self._stops.check()
        if step >= self._next:
            self._run_due()
        self.recorder.tick(step)

    def _step(self, work: StepBatch) -> None:
        """Take one step of every player; then move the position on."""
        progress = self.progress
        number = progress.step + 1
        turn = (number, work.examples, progress.epoch, progress.index)
        taken = False
        for player, step, closure, watch, reader, watched, sampled in self._turns:
            if number % player.every:
                continue
            seen = watch if number == watched else None
            sample = self.reporter.sampler(player, number) if number == sampled else None
            if closure:
                loss, done = step.with_closure(work, seen, sample)
            else:
                looked = seen.forward(number) if seen else None
                loss = step.loss_and_gradients(work, looked, unseen=not (seen or sample))
                progress.thirds += GRADIENT
            ready = reader.push(turn, loss)
            if ready is not None:
                self.record_loss(player, *ready)
            if self._nonfinite.at and self._at_once:
                return
            if not closure:
                done = step.update(seen, sample)
            if done:
                player.advance()
            taken = done or taken
        progress.advance(work.examples, self.feed.steps_per_epoch)
        if taken:
            progress.step = number
            progress.skipped_in_a_row = 0
        else:
            self._skipped(number)

    def record_loss(self, player: Player, turn: Turn, loss: float) -> None:
        """Take a player's loss in; one that is not finite may end the run."""
        step, examples, epoch, index = turn
        if isfinite(loss):
            player.loss.add(loss, examples, epoch)
        else:
            self._nonfinite.check("loss", step, loss, partial(self.feed.step_at, epoch, index))

    def _drain_losses(self) -> None:
        """Take in the losses that are still on their way from the GPU."""
        for player, reader in zip(self.players, self._readers, strict=True):
            ready = reader.settle()
            if ready is not None:
                self.record_loss(player, *ready)

    def _skipped(self, number: int) -> None:
        self.progress.skipped += 1
        self.progress.skipped_in_a_row += 1
        if self.progress.skipped_in_a_row == MOST_SKIPPED:
            wanting = together(player.needs for player in self.players)
            what = "gradient" if wanting.gradients else "loss"
            self._nonfinite.end(number, f"no finite {what} in {MOST_SKIPPED} batches")

    def _plan(self) -> None:
        """Find when something is due next, so that a step asks one question only."""
        step, cadence = self.progress.step, self.settings.cadence
        watch, histograms = due(cadence.monitor, step), due(cadence.histograms, step)
        others = [cadence.evaluate, cadence.save, *(c.every for c in self._at_times)]
        self._next = min(watch, histograms, *(due(every, step) for every in others))
        self._turns = []
        for own in self._own:
            watched, sampled = own[0].last_turn(watch), own[0].last_turn(histograms)
            self._turns.append((*own, watched, sampled))
            if step < watched < self._next:
                self._next = watched

    def _run_due(self) -> None:
        """Do what is due at this step: measurements, an evaluation, a checkpoint, in this order."""
        self.rest()
        step, cadence = self.progress.step, self.settings.cadence
        if cadence.histograms and step % cadence.histograms == 0:
            for player in self.players:
                self.reporter.sample(step, "parameters", player, player.parameters)
        self._report(training=bool(cadence.monitor) and step % cadence.monitor == 0)
        self._stops.settle()
        if self.outcome.state != "diverged":
            tell_due(self._at_times, self)
            self._scores_and_save()
        self._plan()
        self._stops.check_own()  # a callback may just have asked to stop
        self._clock = self.clock()

    def _scores_and_save(self) -> None:
        """Do the evaluation and the checkpoint of this step, if they are due and not done."""
        step, cadence = self.progress.step, self.settings.cadence
        if is_due(cadence.evaluate, step):
            self._validate()
        if is_due(cadence.save, step):
            self._save()

    def _pause(self) -> None:
        now = self.clock()
        self.progress.seconds += now - self._clock
        self._clock = now

    def _report(self, training: bool) -> None:
        """Record the norms of who was watched; at a monitored step, the training's numbers too."""
        norms = self.reporter.norms()
        self._nonfinite.check_norms(self.progress.step, norms)
        if training:
            self.evaluations.write("train", self.reporter.training())
        if norms:
            self.evaluations.write("monitor", norms)

    def _validate(self) -> None:
        """Make the evaluation of this step, and the checkpoint of the best one."""
        if self.evaluations.validate() and self.settings.save_best:
            self._save()

    def _evaluated(self, metrics: Mapping[str, float]) -> None:
        for callback in self.callbacks:
            callback.on_evaluation(self, self.progress.step, metrics)

    def _save(self) -> None:
        if self.keeper is None:
            return
        if not self._nonfinite.check_weights(self.progress.step):
            self._stops.nonfinite_weights()
            return
        self.recorder.flush()
        if self.world.is_main:
            self.scorer.calibrate()
        saved = self.keeper.save(self.recorder.positions())
        for callback in self.callbacks if saved else ():
            callback.on_checkpoint(self, self.progress.step)

    def _finish(self) -> None:
        """Do the last evaluation, checkpoint and test, as far as the run's end asks for them."""
        if self.outcome.state != "diverged":
            self._nonfinite.check_weights(self.progress.step)
        self._stops.settle_last()
        if self.outcome.state in ("running", "stopped_early"):
            self._last_scores()
        if self.outcome.state == "preempted":
            self._save()
        end_all([self.feed.source, *self.evaluations.sources()])
        self.recorder.flush()
        if self.keeper is not None:
            self.keeper.wait()

    def _last_scores(self) -> None:
        """Do the last evaluation, checkpoint and test, until the run is asked to stop."""
        self._validate()
        if self.outcome.state != "preempted" and self.settings.save_final:
            self._save()
        if self.outcome.state != "preempted":
            self.evaluations.score_test()
        if self.outcome.state == "running":
            self.outcome.state = "finished"
        if self.outcome.state in ("finished", "stopped_early"):
            said = [self.outcome.message, doubts(self.reporter.metrics)]
            self.outcome.message = "; ".join(filter(None, said))
