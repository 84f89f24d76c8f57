"""Which run is meant, by who names a folder that is none: of a sweep, of a study, within a run."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

from optbench.escape import shell_word

STUDY, POPULATION, BENCHMARK = "study.yaml", "population.yaml", "benchmark.yaml"
"""What makes a folder that of `optbench tune`, of `optbench pbt`, and of `optbench benchmark`."""
META, RULE = "meta-train.yaml", "learned.safetensors"
"""What makes it that of `optbench meta-train`, which has no runs, and what that makes."""
SWEEP = "sweep.yaml"
"""What makes it a sweep's."""
RUNS, REPORT = "runs", "report.json"
"""In a benchmark's folder: its runs, and what came of them."""
CLAIM = "seconds.json"
"""What is in a claim's folder once a part of its experiment is done."""
INSIDE = ("*", "*/*")
"""Where a folder of runs has them: of a day, of all days."""
_OTHER_SEEDS = re.compile(r"-[0-9a-f]{16}$")
_NUMBERED = re.compile(r"[0-9]+(-[0-9]+)?")


def study_in(folder: Path) -> str:
    """Return which of the files that make a folder a study's lies in it; empty if none does."""
    found = (name for name in (STUDY, POPULATION, BENCHMARK) if os.path.lexists(folder / name))
    return next(found, "")


def its_runs(folder: Path) -> str:
    """Return which runs a sweep or a study has, as its path is typed, for messages."""
    with os.scandir(folder.expanduser()) as entries:
        names = [entry.name for entry in entries if _NUMBERED.fullmatch(entry.name)]
    names.sort(key=lambda name: [int(part) for part in name.split("-")])
    begun = [n for n in names if os.path.lexists(folder.expanduser() / n / "config.yaml")]
    if not begun:
        return "none of its runs has begun"
    ends = dict.fromkeys(str(folder / name) for name in (begun[0], begun[-1]))
    return f"name one of its runs: {' to '.join(ends)}"


def of_study(folder: Path) -> str:
    """Return what to name instead of a study, as its path is typed, for messages."""
    if study_in(folder.expanduser()) == BENCHMARK:
        return f"a benchmark's folder; its runs are in {folder / RUNS}"
    return f"a study's folder; {its_runs(folder)}"


def of_meta(folder: Path) -> str:
    """Return what takes what a meta-training made, as its path is typed; empty for another one."""
    there = folder.expanduser()
    if not os.path.lexists(there / META):
        return ""
    said = "a meta-training's folder, which has no runs"
    if not os.path.lexists(there / RULE):
        return f"{said}; optbench resume {shell_word(str(folder))} goes on with it"
    weights = shell_word(f"optimizer.weights={folder / RULE}")
    return f"{said}; its rule: optbench train optimizer=learned {weights}"


def of_many(folder: Path) -> str:
    """Return what is done with the folder of a sweep, a study or a meta-training; else nothing.

    Args:
        folder: as it was typed, where settings of one run are expected.
    """
    there = folder.expanduser()
    kind = study_in(there) or (SWEEP if os.path.lexists(there / SWEEP) else "")
    if not kind:
        return of_meta(folder)
    typed = shell_word(str(folder))
    goes_on = f"the folder of a {kind.removesuffix('.yaml')}; optbench resume {typed} goes on"
    if not os.path.lexists(there / "recipe" / "tuned.yaml"):
        return f"{goes_on} with it"
    return f"{goes_on} with it; its best: optbench train recipe=tuned --config-dir {typed}"


def runs_of_benchmark(folder: Path) -> str:
    """Return what to name instead of a benchmark's folder of runs; empty for another folder."""
    there = Path(os.path.abspath(folder.expanduser()))
    if there.name != RUNS or study_in(there.parent) != BENCHMARK:
        return ""
    whole = folder.parent if folder.name == RUNS else there.parent
    return f"a benchmark's runs, which go on with it: optbench resume {shell_word(str(whole))}"


def not_a_run(
    folder: Path, wanted: Callable[[Path], bool] = lambda run: True, what: str = "run"
) -> str:
    """Return what to name instead of a folder that may hold runs, as its path is typed.

    Args:
        folder: as it was typed.
        wanted: whether a run would do.
        what: such a run is called.
    """
    if meta := of_meta(folder):
        return meta
    there = folder.expanduser()
    found = [path for depth in INSIDE for path in there.glob(f"{depth}/status.json")]
    if not found:
        return "not a run folder: it has no config.yaml"
    runs = (path.parent for path in sorted(found, key=_written, reverse=True))
    newest = next((run for run in runs if wanted(run)), None)
    kind = _of_claim(there) or "not a run folder"
    if newest is None:
        return f"{kind}; there is no {what} in it"
    return f"{kind}; the newest {what} in it: {folder / newest.relative_to(there)}"


def _of_claim(there: Path) -> str:
    """Return what goes on with a claim's folder; empty for another one."""
    if not os.path.lexists(there / CLAIM):
        return ""
    name, budget = _OTHER_SEEDS.sub("", there.name), there.absolute().parent.name
    return f"a claim's folder, with which optbench claim {name} budget={budget} goes on"


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def like(run: Path, path: str | os.PathLike[str]) -> Path:
    """Return the folder `run`, which is above `path`, as `path` is written."""
    above = [up for up in Path(path).expanduser().parents if up.absolute() == run]
    return above[0] if above else run
