"""A learning rate that ended early, or that began again."""

from __future__ import annotations

from optbench.symptoms.base import Record, Rule, Symptom
from optbench.symptoms.facts import RISING, Facts

ENDED = 0.005
"""Of the highest learning rate."""
LEFT = 0.2
"""Of the run that is left."""
FOR = 0.1
"""Of the run, that it has been so; a run that is gone on with rises again."""
ROSE = 3.0
"""Times, from one record to the next."""
FALLEN = 0.3
"""Of the highest, that it had fallen to."""
OTHERS = ("Chain", "TorchScheduler", "Staged")


class ScheduleEnded(Rule):
    """The learning rate is next to 0 long before the run ends."""

    name = "schedule_ended"
    help = f"learning rate below {ENDED:g} of its highest with over {LEFT:.0%} of the run left"

    def __init__(self, facts: Facts) -> None:
        super().__init__(facts)
        self._most = 0.0
        self._since: float | None = None

    def observe(self, record: Record) -> Symptom | None:
        """Compare the learning rate with its highest."""
        lr = record.get("lr/model")
        if lr is None or self.variant is not None:
            return None
        self._most = max(self._most, lr)
        done = self.facts.done(record)
        if lr >= ENDED * self._most:
            self._since = None
            return None
        self._since = done if self._since is None else self._since
        if done > 1 - LEFT + FOR or done - self._since < FOR:
            return None
        return self.found(
            record,
            "the schedule has ended long before the run",
            f"lr {lr:.2g}, at most {self._most:.2g}, with {1 - done:.0%} of the run left",
            "lengths or milestones of another run",
            "schedule=cosine",
            tags=("lr/model",),
        )


class ScheduleRestarted(Rule):
    """The learning rate jumps up again, though its schedule has no restarts."""

    name = "schedule_restarted"
    help = f"learning rate {ROSE:g} times what it was a record before, after it had fallen"

    def __init__(self, facts: Facts) -> None:
        super().__init__(facts)
        self._most = self._last = 0.0
        self._rises = facts.schedule in (*RISING, *OTHERS)

    def observe(self, record: Record) -> Symptom | None:
        """Compare the learning rate with the last."""
        lr = record.get("lr/model")
        if lr is None or self._rises:
            return None
        last, self._last = self._last, lr
        fallen = last < FALLEN * self._most
        self._most = max(self._most, lr)
        if not (fallen and lr > ROSE * last and lr > 0.05 * self._most) or self.variant is not None:
            return None
        return self.found(
            record,
            "the learning rate jumped up after it had fallen",
            f"lr {last:.2g}, then {lr:.2g}",
            "a run gone on with that is longer than the one its schedule had ended with",
            "schedule=constant",
            f"optimizer.lr={max(last, 0.1 * self._most):.2g}",
            tags=("lr/model", "train/loss"),
        )
