"""What came of a benchmark, as numbers: `report.json`."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optbench.benchmark.contenders import DEFAULTS, Contender
from optbench.benchmark.problems import Problem, score_at_end
from optbench.benchmark.protocol import Arm, BenchmarkJobs, Wanted
from optbench.runs.result import RunResult
from optbench.statistics import (
    Comparison,
    Unit,
    compare_all,
    expected_best,
    places,
    sentences,
    sign_flip_test,
    unit_of,
)
from optbench.which_run import REPORT

FORMAT = 1
"""Of `report.json`, higher with each change of what its keys mean."""
UNCLOCKED = ("examples", "passes", "state_bytes")
"""Of what a run took (`shapes.COSTS`), all that is the same whenever it is done again."""
UNLIKELY = 0.05
AT_TARGET = ("step", "examples", "passes")


@dataclass(frozen=True)
class ArmResult:
    """What one setting of an optimizer came to on a workload, with fresh seeds.

    Attributes:
        name: of the optimizer; with `, defaults` for those beside what was chosen.
        contender: the optimizer.
        number: the trial whose setting it has, 0 for the defaults.
        values: by key of its space; none for the defaults.
        runs: by seed, the names of their folders.
        scores: by seed, None of those that diverged, failed or say NaN.
        reached: by seed, whether the run was good enough; None where nothing is asked.
    """

    name: str
    contender: Contender
    number: int
    values: Mapping[str, Any]
    runs: Mapping[int, str]
    scores: Mapping[int, float | None]
    reached: Mapping[int, bool | None]

    @property
    def finished(self) -> list[float]:
        """Return the scores that there are."""
        return [score for score in self.scores.values() if score is not None]

    @property
    def mean(self) -> float:
        """Return the mean over the seeds that finished; NaN without one."""
        own = self.finished
        return math.fsum(own) / len(own) if own else math.nan

    @property
    def deviation(self) -> float:
        """Return the standard deviation over these seeds; NaN of fewer than two."""
        own, mean = self.finished, self.mean
        if len(own) < 2:
            return math.nan
        return math.sqrt(math.fsum((score - mean) ** 2 for score in own) / (len(own) - 1))

    @property
    def misses(self) -> int | None:
        """Return how many runs were not good enough, failures among them; None: nothing asked."""
        if any(each is None for each in self.reached.values()):
            return None
        return sum(not each for each in self.reached.values())


@dataclass(frozen=True)
class ProblemResult:
    """What came of one workload.

    Attributes:
        problem: which.
        tuned: of each optimizer what was chosen.
        defaults: of each its defaults; the same where these were chosen.
        expected: by optimizer, what the best of 1, 2, ... trials is expected to be.
        among_tuned, among_defaults: all pairs of optimizers; None of fewer than two.
        warnings: what is to be known of it, a line each.
    """

    problem: Problem
    tuned: Sequence[ArmResult]
    defaults: Sequence[ArmResult]
    expected: Mapping[str, Sequence[float | None]]
    among_tuned: Comparison | None
    among_defaults: Comparison | None
    warnings: Sequence[str]

    @property
    def unit(self) -> Unit:
        """Return how differences are said: accuracies in points."""
        scores = (score for arm in self.tuned for score in arm.finished)
        return unit_of(self.problem.scored, scores)

    def said(self) -> list[str]:
        """Return the verdicts in sentences; nothing of a single optimizer."""
        return sentences(self.among_tuned, self.unit) if self.among_tuned is not None else []


def results_of(jobs: BenchmarkJobs) -> list[ProblemResult]:
    """Return what came of each workload whose runs are all over."""
    found = []
    for problem in jobs.problems:
        tuned = [_arm(jobs, problem, each, "tuned") for each in problem.contenders]
        defaults = [_arm(jobs, problem, each, "defaults") for each in problem.contenders]
        one, other = ([a for a in arms if a is not None] for arms in (tuned, defaults))
        if jobs.plan.trials == 1:
            other = one
        if len(one) == len(other) == len(problem.contenders):
            found.append(
                ProblemResult(
                    problem,
                    one,
                    other,
                    {each.name: _expected(jobs, problem, each) for each in problem.contenders},
                    _compared(problem, one),
                    _compared(problem, other),
                    [*_warnings(jobs, problem, one), *_unlucky(problem, one, other)],
                )
            )
    return found


def _arm(jobs: BenchmarkJobs, problem: Problem, contender: Contender, arm: Arm) -> ArmResult | None:
    number = 0 if arm == "defaults" else jobs.chosen(problem, contender)
    if number is None:
        return None
    runs: dict[int, str] = {}
    for seed in jobs.plan.fresh:
        name = jobs.name(Wanted(problem, contender, seed, arm=arm))
        if name is None or name not in jobs.results:
            return None
        runs[seed] = name
    results = {seed: jobs.results[name] for seed, name in runs.items()}
    scores = {seed: score_at_end(result, problem.scored) for seed, result in results.items()}
    return ArmResult(
        contender.name if arm == "tuned" else f"{contender.name}, {DEFAULTS}",
        contender,
        number,
        problem.trials[contender.name][number].values,
        runs,
        scores,
        {seed: _reached(problem, results[seed], scores[seed]) for seed in runs},
    )


def _reached(problem: Problem, result: RunResult, score: float | None) -> bool | None:
    """Return whether a run was good enough; never of one that has no score."""
    if problem.target is None:
        return None
    return score is not None and result.target.get("step") is not None


def _expected(jobs: BenchmarkJobs, problem: Problem, contender: Contender) -> list[float | None]:
    """Return what the best of 1, 2, ... trials is expected to be, by the metric that chooses.

    The first trial is the defaults; the others are any of those that were tried.
    """
    first, *others = [
        score_at_end(jobs.results[jobs.trial(problem, contender, number)], problem.metric)
        for number in range(jobs.plan.trials)
    ]
    if first is not None:
        others = [
            each if each is not None and problem.better(each, first) else first for each in others
        ]
    if all(each is None for each in others):
        return [first, *others]
    return [first, *expected_best(others, problem.mode == "max").expected]


def _compared(problem: Problem, arms: Sequence[ArmResult]) -> Comparison | None:
    if len(arms) < 2:
        return None
    named = {arm.contender.name: arm.scores for arm in arms}
    return compare_all(named, higher_is_better=problem.mode == "max")


def ranks(result: ProblemResult, arms: Sequence[ArmResult]) -> dict[str, int]:
    """Return the place of each optimizer by its mean, see `places`."""
    scores = {arm.contender.name: [*arm.scores.values()] for arm in arms}
    return places(scores, higher_is_better=result.problem.mode == "max")


def _warnings(jobs: BenchmarkJobs, problem: Problem, tuned: Sequence[ArmResult]) -> list[str]:
    said = [f"{name} is left out: {why}" for name, why in problem.left_out.items()]
    for arm in tuned:
        name, trials = arm.contender.name, jobs.plan.trials
        for key, value in arm.values.items():
            side = arm.contender.space.keys[key].at_edge(value)
            if side is not None:
                said.append(
                    f"{name}: the best {key}, {value:.3g}, is at the {side} edge of its space: a "
                    "wider one may have better"
                )
        names = [jobs.trial(problem, arm.contender, number) for number in range(trials)]
        ends = [jobs.results[each] for each in names]
        lost = sum(score_at_end(each, problem.metric) is None for each in ends)
        if lost == trials > 1:
            said.append(f"{name}: none of {trials} trials has a score; its defaults are confirmed")
        elif lost and trials > 1:
            said.append(f"{name}: {lost} of {trials} trials diverged or failed")
        failed = {jobs.results[each].message for each in arm.runs.values()} - {""}
        if len(arm.finished) < len(arm.scores) and failed:
            said.append(f"{name}: {sorted(failed)[0]}")
    missed = [f"{a.contender.name} with {a.misses} of {len(a.runs)}" for a in tuned if a.misses]
    if missed and problem.target is not None:
        metric, value = problem.target["metric"], problem.target["value"]
        said.append(f"{metric} {value:g} is missed by {', '.join(missed)} seeds")
    if problem.scored == problem.metric:
        said.append(f"there is no test set: scored by {problem.metric}, by which was chosen, too")
    return said


def _unlucky(
    problem: Problem, tuned: Sequence[ArmResult], defaults: Sequence[ArmResult]
) -> list[str]:
    """Say whose choice fresh seeds don't bear: its defaults do better at them."""
    sign = 1.0 if problem.mode == "max" else -1.0
    said = []
    for chosen, before in zip(tuned, defaults, strict=True):
        pairs = [
            sign * (score - other)
            for seed, score in chosen.scores.items()
            if score is not None and (other := before.scores[seed]) is not None
        ]
        if chosen.number and pairs and sum(pairs) < 0 and sign_flip_test(pairs) <= UNLIKELY:
            said.append(
                f"{chosen.contender.name}: its defaults do better with fresh seeds than what was "
                f"chosen with one ({before.mean:.4g} to {chosen.mean:.4g}): more trials, or more "
                "examples to choose by, may help"
            )
    return said


def write_report(jobs: BenchmarkJobs, found: Sequence[ProblemResult]) -> None:
    """Write `report.json`: all numbers, and nothing that two benchmarks of one plan differ in."""
    jobs.folder.write_json(REPORT, report_of(jobs, found))


def report_of(jobs: BenchmarkJobs, found: Sequence[ProblemResult]) -> dict[str, Any]:
    """Return what `report.json` says."""
    plan = jobs.plan
    return {
        "format": FORMAT,
        "suite": plan.suite,
        "suite_hash": plan.suite_hash,
        "source": plan.source,
        "optimizers": [dict(each) for each in plan.optimizers],
        "trials": plan.trials,
        "tuning_seed": plan.seed,
        "seeds": plan.fresh,
        "workloads": [_problem(jobs, each) for each in found],
    }


def _problem(jobs: BenchmarkJobs, result: ProblemResult) -> dict[str, Any]:
    problem = result.problem
    return {
        "name": problem.name,
        "hash": problem.hash,
        "overrides": list(problem.lines),
        "chosen_by": problem.metric,
        "mode": problem.mode,
        "scored_by": problem.scored,
        "target": None if problem.target is None else dict(problem.target),
        "trials": {each.name: _trials(jobs, problem, each) for each in problem.contenders},
        "expected_best": {name: list(each) for name, each in result.expected.items()},
        "tuned": [_plain(jobs, arm) for arm in result.tuned],
        "defaults": [_plain(jobs, arm) for arm in result.defaults],
        "verdicts": _verdicts(result.among_tuned),
        "verdicts_at_defaults": _verdicts(result.among_defaults),
        "best": None if result.among_tuned is None else result.among_tuned.best,
        "ranks": ranks(result, result.tuned),
        "ranks_at_defaults": ranks(result, result.defaults),
        "said": result.said(),
        "warnings": list(result.warnings),
    }


def _trials(jobs: BenchmarkJobs, problem: Problem, contender: Contender) -> list[dict[str, Any]]:
    found = []
    for number, trial in enumerate(problem.trials[contender.name]):
        name = jobs.trial(problem, contender, number)
        result = jobs.results[name]
        score = score_at_end(result, problem.metric)
        found.append(
            {"values": dict(trial.values), "run": name, "state": result.state, "score": score}
        )
    return found


def _plain(jobs: BenchmarkJobs, arm: ArmResult) -> dict[str, Any]:
    return {
        "name": arm.name,
        "optimizer": arm.contender.name,
        "trial": arm.number,
        "values": dict(arm.values),
        "n": len(arm.finished),
        "mean": _number(arm.mean),
        "sd": _number(arm.deviation),
        "failed": len(arm.scores) - len(arm.finished),
        "misses": arm.misses,
        "runs": [
            {
                "seed": seed,
                "run": name,
                "state": jobs.results[name].state,
                "score": arm.scores[seed],
                "reached": arm.reached[seed],
                **_axes(jobs.results[name], arm.reached[seed]),
            }
            for seed, name in arm.runs.items()
        ],
    }


def _axes(result: RunResult, reached: bool | None) -> dict[str, Any]:
    """Return what a run took, but for what the clock says, and what it had taken at the target."""
    costs = {key: result.costs.get(key) for key in UNCLOCKED}
    at = {key: result.target.get(key) for key in AT_TARGET}
    return {"steps": result.step, **costs, "reached_at": at if reached else None}


def _verdicts(comparison: Comparison | None) -> list[dict[str, Any]]:
    if comparison is None:
        return []
    plain = [dataclasses.asdict(each) for each in comparison.verdicts]
    return [
        {k: _number(v) if isinstance(v, float) else v for k, v in each.items()} for each in plain
    ]


def _number(value: float) -> float | None:
    """Return a number as JSON has it: None for what is not finite."""
    return value if math.isfinite(value) else None
