"""A workload as it is benchmarked: what its runs are, and by what they are judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from optbench.benchmark.contenders import Contender
from optbench.benchmark.evaluations import EvaluationsOfTrials, evaluations_of
from optbench.benchmark.points import values_of
from optbench.compose.composer import Composer
from optbench.config.deciding import what_decides
from optbench.config.identity import digest
from optbench.config.run_spec import RunSpec
from optbench.errors import UserError
from optbench.runs.built import built
from optbench.runs.result import RunResult
from optbench.search.space import overrides as lines_of
from optbench.search.space import refuse_strangers
from optbench.statistics import is_score
from optbench.tuning.choices import NO_TEST, check_ends

if TYPE_CHECKING:
    from optbench.assemble.experiment import Experiment

GOOD = ("finished", "stopped_early")
VAL, TEST = "val/", "test/"


@dataclass(frozen=True)
class Trial:
    """One setting of an optimizer.

    Attributes:
        values: by key of its space; none for its defaults.
        lines: the overrides of it.
    """

    values: Mapping[str, Any]
    lines: Sequence[str]


@dataclass(frozen=True)
class Problem:
    """One workload and the trials of all optimizers on it.

    Attributes:
        name: of the workload.
        lines: the overrides of its runs, whatever their optimizer.
        metric: of the validation set, by which a setting is chosen.
        mode: `min` or `max`.
        scored: what optimizers are compared by: the same of the test set, or `metric` where there
            is none.
        target: what is good enough: metric, value, mode; None for nothing.
        contenders: the optimizers that can train it.
        trials: by optimizer; the first is its defaults.
        left_out: by optimizer, why it can't.
        hash: of what the workload's config says today.
        evaluations: by optimizer, when its runs with fresh seeds are scored.
        spec: makes a run of the overrides beside `lines`.
    """

    name: str
    lines: Sequence[str]
    metric: str
    mode: str
    scored: str
    target: Mapping[str, Any] | None
    contenders: Sequence[Contender]
    trials: Mapping[str, Sequence[Trial]]
    left_out: Mapping[str, str]
    hash: str
    evaluations: Mapping[str, EvaluationsOfTrials] = field(repr=False, compare=False)
    spec: Callable[[Sequence[str]], RunSpec] = field(repr=False, compare=False)

    def tuning(self, contender: Contender, number: int, seed: int) -> RunSpec:
        """Return the run of a trial, which leaves the test set alone."""
        return self._run(contender, number, seed, [NO_TEST])

    def confirming(self, contender: Contender, number: int, seed: int) -> RunSpec:
        """Return the run of a trial's setting with a fresh seed, scored by the test set."""
        lines = self.trials[contender.name][number].lines
        often = self.evaluations[contender.name]
        every = often.of(lines, lambda more: self.spec([*contender.lines, *more]))
        return self._run(contender, number, seed, every)

    def _run(self, contender: Contender, number: int, seed: int, more: Sequence[str]) -> RunSpec:
        trial = self.trials[contender.name][number]
        return self.spec([*contender.lines, *trial.lines, f"seed={seed}", *more])

    def better(self, one: float, other: float) -> bool:
        """Return whether one score is better than another."""
        return one < other if self.mode == "min" else one > other


def score_at_end(result: RunResult, metric: str) -> float | None:
    """Return a run's last value of a metric; None where it failed, diverged or says NaN.

    What is too large to be squared is no score either.
    """
    value = result.metrics.get(metric)
    if result.state not in GOOD or value is None or not is_score(value):
        return None
    return float(value)


def problem_of(
    composer: Composer,
    name: str,
    lines: Sequence[str],
    optimizers: Sequence[Contender],
    trials: int,
    seed: int,
) -> Problem:
    """Return a workload as it is benchmarked; a run of each optimizer is built, not trained.

    Raises:
        UserError: no optimizer can train it, there is no validation set, a space has no place in
            its config.
    """

    def spec(more: Sequence[str]) -> RunSpec:
        return composer.variant([*lines, *more])

    found: dict[str, list[Trial]] = {}
    judged: list[_Judged] = []
    every: dict[str, EvaluationsOfTrials] = {}
    left_out: dict[str, UserError] = {}
    for each in optimizers:
        base = spec([*each.lines, f"seed={seed}"])
        if trials > 1:
            refuse_strangers(each.space, base.plain, each.choice)
            check_ends(composer, [*lines, *each.lines], [], each.space, base)
        try:
            experiment = built(base)[0]
            judged.append(_judged(experiment, name))
            every[each.name] = EvaluationsOfTrials(
                evaluations_of(experiment), lambda run: built(run)[0]
            )
        except UserError as error:
            left_out[each.name] = error
            continue
        found[each.name] = [
            Trial(values, lines_of(each.space, values, base.plain))
            for values in values_of(each.space, trials)
        ]
    if not judged:
        raise next(iter(left_out.values()))
    contending = [each for each in optimizers if each.name in found]
    return Problem(
        name=name,
        lines=lines,
        metric=judged[0].metric,
        mode=judged[0].mode,
        scored=judged[0].scored,
        target=judged[0].target,
        contenders=contending,
        trials=found,
        left_out={each: str(error) for each, error in left_out.items()},
        hash=_hash(spec([*contending[0].lines, f"seed={seed}"]).plain),
        evaluations=every,
        spec=spec,
    )


def problems_of(
    composer: Composer,
    workloads: Mapping[str, Sequence[str]],
    optimizers: Sequence[Contender],
    trials: int,
    seed: int,
) -> list[Problem]:
    """Return the workloads as they are benchmarked; an optimizer may be left out of some, not all.

    Raises:
        UserError: see `problem_of`; an optimizer that can train none.
    """
    found = [
        problem_of(composer, name, lines, optimizers, trials, seed)
        for name, lines in workloads.items()
    ]
    for each in optimizers:
        if all(each.name in problem.left_out for problem in found):
            raise UserError(found[0].left_out[each.name])
    return found


def _hash(plain: Mapping[str, Any]) -> str:
    """Return the hash of what a workload's config says today, whatever the optimizer."""
    return digest({key: v for key, v in what_decides(plain).items() if key != "optimizer"})


class _Judged(NamedTuple):
    """By what a run is chosen and scored, and its target."""

    metric: str
    mode: str
    scored: str
    target: Mapping[str, Any] | None


def _judged(experiment: Experiment, name: str) -> _Judged:
    """Return by what a run is judged that is built as this one is."""
    state = experiment.state
    if experiment.validation is None:
        raise UserError(
            f"benchmark: {name}: there is no validation set to choose by; dataset.val_fraction=0.1"
        )
    target = state.reached
    metric, mode = state.best.metric, state.best.mode
    if target.metric is not None and target.metric.startswith(VAL):
        metric, mode = target.metric, target.mode
    if metric is None or not metric.startswith(VAL):
        raise UserError(f"benchmark: {name}: checkpoint.best={metric}: settings are chosen by it")
    scored = TEST + metric.removeprefix(VAL) if experiment.test is not None else metric
    wanted = {"metric": target.metric, "value": target.value, "mode": target.mode}
    return _Judged(metric, mode, scored, wanted if target.metric is not None else None)
