"""What evaluations are made of, and what follows from their scores: the best step, early stopping,
the target, schedules that react."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from optbench.data.dataset import Source
from optbench.monitor.record import Recorder
from optbench.training.checkpointer import RunState
from optbench.training.reporter import Reporter
from optbench.training.scoring import Scorer
from optbench.training.settings import EvaluationSet, Outcome, Settings
from optbench.training.signals import Abandoned


class Evaluations:
    """Scores the validation set, lets the run react to it, and scores the test set.

    Args:
        state: of the run; its trackers see every score of the validation set.
        validation: None where there is none, and then nothing reacts.
        test: None where it is not wanted.
        scorer: makes the scores.
        reporter: writes them down.
        recorder: is told what they decided.
        settings: the numbers.
        outcome: of the run, which a score may end.
        told: called with each score of the validation set, before early stopping is decided.
    """

    def __init__(
        self,
        state: RunState,
        validation: EvaluationSet | None,
        test: EvaluationSet | None,
        scorer: Scorer,
        reporter: Reporter,
        recorder: Recorder,
        settings: Settings,
        outcome: Outcome,
        told: Callable[[Mapping[str, float]], None],
    ) -> None:
        self.state, self.validation, self.test = state, validation, test
        self.reporter, self.recorder = reporter, recorder
        self.settings, self.outcome = settings, outcome
        self._scorer, self._told = scorer, told
        self._reacting = [player for player in state.players if player.hyperparameters.reacts]

    def write(self, kind: str, values: Mapping[str, float]) -> None:
        """Write one record, and show it to schedules that react."""
        self.reporter.write(kind, values)
        seen = [(p.hyperparameters, self.reporter.of_player(p, values)) for p in self._reacting]
        if any([hyperparameters.observe(own) for hyperparameters, own in seen]) and kind == "val":
            self.recorder.decided(f"lr {self.state.players[0].lr:.3g} from here")

    def validate(self) -> bool:
        """Score the validation set, once a step, and react; return whether it is the best step.

        A run that is asked to stop does it when it goes on.
        """
        state, progress = self.state, self.state.progress
        if self.validation is None or progress.evaluated == progress.step:
            return False
        if self.outcome.state == "preempted":
            return False
        if progress.reported != progress.step:
            self.write("train", self.reporter.training())
        metrics = self._score(self.validation, show=True)
        if metrics is None:
            return False
        progress.evaluated = progress.step
        state.reached.update(metrics, progress)
        improved = state.best.update(metrics, progress.step)
        self._told(metrics)
        if self.settings.patience:
            state.stopping.update(metrics, progress.step)
            self.check_patience()
        if improved or self.outcome.state == "stopped_early":
            self.recorder.decided("best" if improved else "stops here")
        return improved

    def check_patience(self) -> None:
        """End a run that early stopping has waited for long enough."""
        stopping, patience = self.state.stopping, self.settings.patience
        if patience and stopping.since >= patience and self.outcome.state == "running":
            self.outcome.state = "stopped_early"
            self.outcome.message = stopping.lapse

    def score_test(self) -> None:
        """Score the test set, where it is wanted."""
        scores = None if self.test is None else self._score(self.test)
        if scores is not None:
            self.state.reached.update(scores, self.state.progress)

    def sources(self) -> list[Source]:
        """Return what the sets' examples come from."""
        return [each.source for each in (self.validation, self.test) if each is not None]

    def _score(self, what: EvaluationSet, show: bool = False) -> dict[str, float] | None:
        """Return the scores; None if the run was asked to stop, which it then does."""
        try:
            metrics = self._scorer.score(what, show)
        except Abandoned as abandoned:
            outcome = self.outcome
            outcome.state, outcome.message, outcome.signal = "preempted", "", abandoned.signal
            return None
        self.write(what.name, metrics)
        return metrics
