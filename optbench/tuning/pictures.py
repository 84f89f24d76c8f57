"""The pictures that a study ends with: PNGs in its folder, where matplotlib is installed."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from optbench.config.flow import flow
from optbench.errors import UserError
from optbench.files import load_json
from optbench.plots import png
from optbench.plots.axis import CHOICE as LISTED
from optbench.plots.axis import LINEAR, LOG, ONE_MINUS, Axis, number
from optbench.plots.lr_loss import Line, Rate, lr_loss
from optbench.plots.study import Dot, importance, slices
from optbench.search.distribution import CHOICE, ONE_MINUS_LOG, Distribution
from optbench.tuning.study import Study, Tried

FOLDER = "pictures"
LR = "optimizer.lr"
RANGE_TEST = Path("find-lr", "find-lr.json")
"""Where, in a study's folder, a range test is looked for."""
FEWEST = 2
"""Trials that make a picture."""


def draw(study: Study, folder: str) -> str:
    """Draw a study's pictures; return a line that says where they are, or why there are none.

    Nothing that goes wrong with them is an error: the study is as good without.

    Args:
        study: with what was tried.
        folder: its folder as it is to be called in the line.
    """
    try:
        png.require()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a glyph that the font lacks, and the like
            names = list(_drawn(study))
    except UserError as error:
        return f"no pictures: {error}"
    except Exception as error:  # whatever another version of matplotlib trips over
        return f"no pictures: {type(error).__name__}: {' '.join(str(error).split()):.200}"
    if not names:
        return "no pictures: too few trials have a score"
    return f"pictures in {folder}/{FOLDER}: {', '.join(names)}"


def _drawn(study: Study) -> Iterator[str]:
    """Draw each picture that there is something for; yield its name."""
    tried, best = study.tried(), study.best()
    if len(tried) < FEWEST or best is None:
        return
    folder, space = study.folder / FOLDER, study.space.keys
    less, metric = study.plan.mode == "min", study.plan.metric
    about = f"{len(tried)} trials of {study.plan.named}"
    axes = [axis_of(key, space[key]) for key in space]
    slices(
        folder / "slices.png",
        axes,
        [_dot(study, axes, each) for each in tried],
        label=_label(study, metric),
        less=less,
        best=best.place,
        title=about,
    )
    yield "slices.png"
    shares = study.importances()
    if shares:
        importance(folder / "importance.png", shares, title=f"what decides {metric}, {about}")
        yield "importance.png"
    rates = [_rate(study, each) for each in tried if _is_lr(each.values.get(LR))]
    if LR in space and len({rate.lr for rate in rates}) >= FEWEST:
        lr_loss(
            folder / "lr.png",
            _lr_axis(space[LR], [rate.lr for rate in rates]),
            rates,
            label=metric,
            less=less,
            best=None if len(space) == 1 else best.values[LR],
            ranges=ranges(study.folder),
            title=f"{LR}, {about}",
        )
        yield "lr.png"


def _label(study: Study, metric: str) -> str:
    return f"{metric}, mean of {len(study.plan.runs)} runs" if len(study.plan.runs) > 1 else metric


def axis_of(key: str, given: Distribution) -> Axis:
    """Return the axis of a key that is searched."""
    if given.kind == CHOICE:
        return Axis(key, LISTED, labels=list(map(_called, given.choices)))
    kind = ONE_MINUS if given.kind == ONE_MINUS_LOG else LOG if given.logarithmic else LINEAR
    return Axis(key, kind, given.low, given.high, given.whole)


def _dot(study: Study, axes: Sequence[Axis], tried: Tried) -> Dot:
    at = [_place(axis, study.space.keys[axis.name], tried.values[axis.name]) for axis in axes]
    return Dot(tried.place, at, _score(tried), tried.scores, tried.state == "pruned")


def _called(choice: Any) -> str:
    if isinstance(choice, float) and float(number(choice)) == choice:
        return number(choice)
    return flow(choice)


def _place(axis: Axis, given: Distribution, value: Any) -> float:
    if given.kind != CHOICE:
        return axis.place(value)
    same = [n for n, choice in enumerate(given.choices) if flow(choice) == flow(value)]
    return float(same[0]) if same else math.nan


def _lr_axis(given: Distribution, lrs: Sequence[float]) -> Axis:
    """Return the axis of the learning rate: logarithmic wherever it can be."""
    low, high = (min(lrs), max(lrs)) if given.kind == CHOICE else (given.low, given.high)
    return Axis(LR, LOG if low > 0 else LINEAR, low, high)


def _score(tried: Tried) -> float:
    """Return a trial's score; of one that was given up, the mean of what its runs came to."""
    known = [score for score in tried.scores if math.isfinite(score)]
    if tried.state == "pruned" and known:
        return sum(known) / len(known)
    return tried.value


def _rate(study: Study, tried: Tried) -> Rate:
    scores = tried.scores or [tried.value]
    return Rate(float(tried.values[LR]), scores, tried.state == "pruned")


def _is_lr(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def ranges(folder: Path) -> list[Line]:
    """Return the smoothed curves of the range test in a study's folder, one a seed.

    `optbench find-lr ... hydra.run.dir=STUDY/find-lr` leaves it there. Without one, and of one that
    can't be read, there are none.
    """
    try:
        seeds = load_json(folder / RANGE_TEST).get("seeds")
        found = [
            ([float(x) for x in seed["smoothed_lr"]], [float(y) for y in seed["smoothed_loss"]])
            for seed in (seeds.values() if isinstance(seeds, dict) else [])
        ]
    except (OSError, UserError, KeyError, TypeError, ValueError):
        return []
    return [
        (lrs, losses)
        for lrs, losses in found
        if len(lrs) == len(losses) and all(map(math.isfinite, [*lrs, *losses]))
    ]
