"""What a study's best is worth: against one optimizer tuned as much, by fresh seeds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from optbench.benchmark.benchmark import Benchmarked, benchmark, go_on
from optbench.compose.composer import Composer, keys_of
from optbench.compose.executors import gone_on_with, without_executor
from optbench.compose.quoting import value_text
from optbench.rundir import RunDir
from optbench.runs.log import Log
from optbench.search.space import Space
from optbench.tuning.plan import StudyPlan, read_plan, write_plan
from optbench.tuning.tune import Searched, alone, reserved, search
from optbench.which_run import BENCHMARK, STUDY

RIVAL, VERDICT = "rival", "verdict"
"""Folders in the study's own: the other's study, and the runs with fresh seeds."""


@dataclass(frozen=True)
class Against:
    """What came of it.

    Attributes:
        rival: the other's study.
        verdict: of both bests; None where there is no best to compare, or trials are left.
    """

    rival: Searched
    verdict: Benchmarked | None


def against(composer: Composer, searched: Searched, log: Log) -> Against:
    """Tune the optimizer that a study's plan names, then train both bests with fresh seeds.

    The other has the same space but for the choice of the optimizer, the same trials, sampler,
    seeds and metric. What is done already, as on a resume, is not done again.

    Args:
        composer: of the runs.
        searched: a study that is done.
        log: whom to tell.
    """
    plan, study = searched.study.plan, searched.study
    choice, _ = without_executor(composer, gone_on_with(plan.executor, []))
    own = replace(plan, space=of_one(study.space, plan.against).as_plain(), against="", confirm=0)
    folder = study.folder / RIVAL
    if (folder / STUDY).exists():
        own = replace(read_plan(folder), trials=plan.trials)
        with alone(RunDir(folder), Log(draws=False, tells=False)):
            write_plan(folder, own)
        made = RunDir(folder)
    else:
        made = reserved(str(folder), lambda path: write_plan(path, own), log)
    log.tell(f"optimizer={plan.against}, tuned as much")
    rival = search(composer, made, own, choice, searched.base, log)
    if rival.signal or rival.study.best() is None or len(rival.study.tried()) < own.trials:
        return Against(rival, None)
    where = study.folder / f"{VERDICT}-{plan.trials}"
    if (where / BENCHMARK).exists():
        return Against(rival, go_on(composer, where, [], log))
    return Against(rival, _begun(composer, searched, rival, where, log))


def of_one(space: Space, optimizer: str) -> Space:
    """Return a space that chooses among everything but the optimizer."""
    only = {**space.chosen, "optimizer": {optimizer: space.chosen["optimizer"][optimizer]}}
    named = replace(space.keys["optimizer"], choices=(optimizer,))
    return replace(space, keys={**space.keys, "optimizer": named}, chosen=only)


def _begun(
    composer: Composer, searched: Searched, rival: Searched, folder: Path, log: Log
) -> Benchmarked:
    plan = searched.study.plan
    both = [{"any_optimizer": list(searched.lines)}, {plan.against: list(rival.lines)}]
    pairs = zip(plan.overrides, keys_of(plan.overrides), strict=True)
    rest = [line for line, key in pairs if key not in ("seed", "sweep.population")]
    words = [
        *rest,
        f"optimizers={value_text(both)}",
        "trials=1",
        f"seeds={plan.confirm}",
        f"seed={last_seed(plan)}",
        *plan.executor,
    ]
    return benchmark(composer, words, str(folder), log)


def last_seed(plan: StudyPlan) -> int:
    """Return the last seed that trials were chosen by; fresh ones follow it."""
    said = [int(line.partition("=")[2]) for run in plan.runs for line in run if line[:5] == "seed="]
    return max(said, default=plan.seed)
