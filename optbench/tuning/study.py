"""A study: what was tried, what came of it, and what is to be tried next.

A trial that a kill cut short is found in the journal as one that runs, with its values; its runs go
on from their checkpoints. What is asked for next depends on the trials that are in the journal, and
on nothing that a kill would lose.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optbench.errors import UserError, is_machines
from optbench.search.space import Space
from optbench.tuning.plan import StudyPlan
from optbench.tuning.proposing import proposed
from optbench.tuning.samplers import distributions, make_pruner, values_of
from optbench.tuning.storage import JOURNAL, asked_trial, in_memory, mend, opened

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial


@dataclass
class Trial:
    """One set of values, and what its runs came to so far.

    Attributes:
        place: from 0, among the trials of the study: optuna's number.
        values: by key.
        scores: of its runs that have ended, by run.
    """

    place: int
    values: Mapping[str, Any]
    scores: dict[int, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Tried:
    """A trial that has ended.

    Attributes:
        place: from 0.
        values: by key.
        value: the mean of its runs' scores; infinite where one has none.
        scores: of its runs.
        state: `complete` or `pruned`.
    """

    place: int
    values: Mapping[str, Any]
    value: float
    scores: Sequence[float]
    state: str


class Study:
    """A study in its folder.

    Args:
        folder: the study's.
        plan: of it.
        space: that of the plan.

    Raises:
        UserError: the journal can't be read.
    """

    def __init__(self, folder: Path, plan: StudyPlan, space: Space) -> None:
        self.folder, self.plan, self.space = folder, plan, space
        self.journal = folder / JOURNAL
        try:
            mend(self.journal)
            self._study = opened(self.journal, plan.mode)
            self._check()
        except UserError:
            raise
        except (OSError, ValueError, KeyError, AssertionError, TypeError) as error:
            if is_machines(error):
                raise
            said = " ".join(str(error).split())
            raise UserError(
                f"{self.journal}: can't be read ({type(error).__name__}: {said})"
            ) from None

    def _check(self) -> None:
        """Raise ValueError for a trial that is not of this study: the file is others' to write."""
        for trial in self._trials():
            try:
                own = distributions(self.space, values_of(self.space, trial.params))
            except (IndexError, TypeError, KeyError):
                raise ValueError(f"trial {trial.number} is of another space") from None
            if trial.distributions != own or set(trial.params) != set(own):
                raise ValueError(f"trial {trial.number} is of another space")
            _scores(trial)

    def _trials(self) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False)

    def running(self) -> list[Trial]:
        """Return the trials that were being done when the study was left."""
        from optuna.trial import TrialState

        return [
            Trial(place, values_of(self.space, trial.params), _scores(trial))
            for place, trial in enumerate(self._trials())
            if trial.state == TrialState.RUNNING
        ]

    @property
    def asked(self) -> int:
        """How many trials have been asked for."""
        return len(self._trials())

    def ask(self) -> Trial:
        """Return the next trial, which is in the journal at once and whole."""
        from optuna.trial import TrialState, create_trial

        place = self.asked
        params, attributes = proposed(self.plan, self.space, place, self._trials())
        made = create_trial(
            state=TrialState.RUNNING,
            params=params,
            distributions=distributions(self.space, values_of(self.space, params)),
            system_attrs=attributes,
        )
        self._study.add_trial(made)
        return Trial(place, values_of(self.space, params))

    def tell_run(self, trial: Trial, run: int, score: float) -> bool:
        """Keep a run's score; return whether the rest of the trial's runs is not worth doing."""
        trial.scores[run] = score
        asked = asked_trial(self._study, trial.place)
        asked.set_user_attr(f"run {run}", score)
        if self.plan.pruner != "wilcoxon" or not math.isfinite(score):
            return False
        self._study.pruner = make_pruner("wilcoxon", len(self.plan.runs))
        asked.report(score, run)
        return asked.should_prune() and len(trial.scores) < len(self.plan.runs)

    def tell(self, trial: Trial, pruned: bool = False) -> None:
        """Tell how a trial ended: the mean of its runs' scores."""
        from optuna.trial import TrialState

        if pruned:
            self._study.tell(trial.place, state=TrialState.PRUNED, skip_if_finished=True)
            return
        mean = sum(trial.scores.values()) / len(trial.scores)
        if math.isnan(mean):  # infinities of both signs can't be
            mean = self.worst
        self._study.tell(trial.place, mean, skip_if_finished=True)

    @property
    def worst(self) -> float:
        """What a run counts that has no score."""
        return math.inf if self.plan.mode == "min" else -math.inf

    def tried(self) -> list[Tried]:
        """Return the trials that have ended, in the order of their places."""
        return list(self._ended())

    def _ended(self) -> Iterator[Tried]:
        from optuna.trial import TrialState

        for place, trial in enumerate(self._trials()):
            if trial.state in (TrialState.COMPLETE, TrialState.PRUNED):
                scores = _scores(trial)
                yield Tried(
                    place,
                    values_of(self.space, trial.params),
                    self.worst if trial.value is None else trial.value,
                    [scores[run] for run in sorted(scores)],
                    trial.state.name.lower(),
                )

    def best(self) -> Tried | None:
        """Return the best trial whose runs all have a score; None if there is none."""
        good = [t for t in self.tried() if t.state == "complete" and math.isfinite(t.value)]
        pick: Callable[..., Tried] = min if self.plan.mode == "min" else max
        return pick(good, key=lambda t: t.value) if good else None

    def importances(self) -> dict[str, float]:
        """Return how much each key decides that all trials have, by PED-ANOVA; empty where too few
        trials tell."""
        import warnings

        import optuna
        from optuna.trial import TrialState

        good = [
            trial
            for trial in self._trials()
            if trial.state == TrialState.COMPLETE and math.isfinite(trial.value or 0.0)
        ]
        if len(self.space.keys) < 2 or len(good) < 4 or len({t.value for t in good}) < 2:
            return {}
        finite = in_memory(good, self.plan.mode)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            evaluator = optuna.importance.PedAnovaImportanceEvaluator()
            keys = list(self.space.keys)
            found = optuna.importance.get_param_importances(
                finite, evaluator=evaluator, params=keys
            )
            return dict(found)


def _scores(trial: FrozenTrial) -> dict[int, float]:
    """Return the scores of a trial's runs as far as they are known."""
    names = (name for name in trial.user_attrs if name.startswith("run "))
    return {int(name.removeprefix("run ")): float(trial.user_attrs[name]) for name in names}
