"""The curves of range tests: as they are drawn, and as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from optbench.plots import png
from optbench.search.lr_range import DIVERGED, Curve, Ramp, Spread, jump

if TYPE_CHECKING:
    from optbench.search.find_lr import Trial


def smooth(trial: Trial) -> Curve:
    return trial.curve.before_divergence().smoothed()


def drawn(line: Curve, trials: Sequence[Trial]) -> tuple[list[float], list[float]]:
    """Return a curve, cut off where it leaves the picture: a diverging loss flattens the rest."""
    seen = [(trial.curve.losses, smooth(trial).losses) for trial in trials]
    seen = [(losses, smoothed) for losses, smoothed in seen if losses]
    best = min((min(smoothed) for _, smoothed in seen), default=0.0)
    first = max((smoothed[0] for _, smoothed in seen), default=0.0)
    noisy = best + DIVERGED * max((jump(losses) for losses, _ in seen), default=0.0)
    top = max(first + (first - best) / 2, DIVERGED * best, noisy)
    return line.lrs, [min(loss, top) for loss in line.losses]


def save_picture(
    path: Path,
    title: str,
    ramp: Ramp,
    trials: Sequence[Trial],
    spreads: Mapping[str, Spread],
) -> None:
    series = {f"batches, seed {trials[0].seed}": drawn(trials[0].curve, trials)}
    for trial in trials:
        series[f"smoothed, seed {trial.seed}"] = drawn(smooth(trial), trials)
    markers = {
        f"{rule} {spread.median:.2g}": spread.median
        for rule, spread in spreads.items()
        if spread.median is not None
    }
    png.save(
        path,
        series,
        title=title,
        x_label="learning rate",
        y_label="training loss",
        log_x=not ramp.linear,
        markers=markers,
    )
