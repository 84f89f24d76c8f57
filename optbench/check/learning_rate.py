"""Where the configured learning rate lies among short runs at others, decades apart."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from optbench.check.base import Finding, Skipped, failed, passed, warned
from optbench.check.setup import Setup
from optbench.check.short import Short, short_run
from optbench.search.find_lr import base_lr
from optbench.training.batches import BatchStream

SHARE = 0.35
"""Of the time."""
FEWEST, MOST = 10, 60
"""Steps of a short run."""
RUNS = 6
"""That the time has to suffice for."""
FARTHEST = 4
"""Decades from the configured one."""
STILL = -7
"""Decades down, where nothing moves: what the same batches' losses are without training."""
TOO_LOW, TOO_HIGH = 0.02, 0.3
"""Of the best one's progress, from two decades away on: less fails. Short runs like high rates, so
a low one has to do nearly nothing for it."""
BEHIND = 0.2
"""Where less is told."""
PROGRESS = 0.01
"""Of the loss, without which a run went nowhere."""


class LearningRate:
    """A ladder of decades, climbed while it gets better; all runs see the same batches."""

    name = "lr"

    def run(self, setup: Setup) -> Iterator[Finding]:
        """See `Check`."""
        player = setup.only_player(
            "no loss alone says which lr is right; optbench find-lr --player"
        )
        if not player.needs.lr or player.optimizer.param_groups[0].get("lr") is None:
            raise Skipped(f"{type(player.optimizer).__name__} has no learning rate")
        if "stages" in setup.config.optimizer:
            raise Skipped("an optimizer in stages has several learning rates")
        base = base_lr(setup.experiment, player.name)
        if not base > 0:
            raise Skipped(f"optimizer.lr={base:g}: nothing to scale")
        feed, steps = _length(setup)
        ladder = _Ladder(setup, player.name, feed, steps)
        yield ladder.found(base)
        if setup.out is not None:
            ladder.draw(base)


def _length(setup: Setup) -> tuple[BatchStream, int]:
    """Return the batches, and how many steps each run has time for.

    Raises:
        Skipped: there is time for too few.
    """
    share = SHARE * setup.seconds / (RUNS + 2)
    feed = setup.feed
    with setup.put_back():
        two = setup.timed(lambda: short_run(setup.experiment, 2, {}, seconds=share)) / 2
    size = feed.batch_size
    while two * FEWEST > share and size >= 16 and size > feed.batch_size // 4:
        size, two = size // 2, two / 2
    most = min(MOST, setup.experiment.settings.total_steps)
    if two * FEWEST > share or most < 3:
        if most < 3:
            raise Skipped(f"the whole run has {most} steps")
        needed = math.ceil(two * FEWEST * (RUNS + 2) / SHARE)
        raise Skipped(f"a step takes {two:.2g} s here: seconds={needed} leaves time for it")
    if size != feed.batch_size:
        feed = feed.whole(size)
    return feed, max(min(FEWEST, most), min(most, int(share / max(two, 1e-6))))


class _Ladder:
    """Short runs by decade."""

    def __init__(self, setup: Setup, player: str, feed: BatchStream, steps: int) -> None:
        self._setup, self._player, self._feed, self._steps = setup, player, feed, steps
        self.runs: dict[int, Short] = {}

    def at(self, decade: int) -> Short:
        """Return the run at `10 ** decade` times the configured learning rate."""
        if decade not in self.runs:
            self.runs[decade] = self._run(10.0**decade)
        return self.runs[decade]

    def _run(self, factor: float) -> Short:
        with self._setup.put_back():
            factors = {self._player: factor}
            return short_run(self._setup.experiment, self._steps, factors, feed=self._feed)

    def found(self, base: float) -> Finding:
        """Climb, and judge."""
        still = self.at(STILL).end
        for way in (1, -1):
            decade, best = 0, self.at(0).end
            while abs(decade) < FARTHEST and (way < 0 or math.isfinite(best)):
                decade += way
                end = self.at(decade).end
                beyond = way > 0 and not math.isfinite(end)  # a larger one diverges as well
                if beyond or (not end < best and abs(decade) > 1 and math.isfinite(best)):
                    break
                best = min(best, end)
        tried = {d: run for d, run in self.runs.items() if d != STILL}
        best = min(tried, key=lambda d: (tried[d].end, abs(d)))
        gain = still - tried[best].end
        said = {f"{base * 10.0**d:.2g}": tried[d] for d in sorted(tried)}
        evidence = f"loss after {self._steps} steps: " + ", ".join(
            f"{'diverged' if run.diverged else f'{run.end:.3g}'} at lr {lr}"
            for lr, run in said.items()
        )
        if not math.isfinite(gain) or gain < PROGRESS * abs(still):
            return self._nowhere(evidence, still)
        share = (still - tried[0].end) / gain
        return _judged(base, best, share, evidence, diverged=tried[0].diverged)

    def _nowhere(self, evidence: str, still: float) -> Finding:
        everywhere = all(run.diverged for decade, run in self.runs.items() if decade != STILL)
        if everywhere and not self._run(0.0).diverged:  # else no learning rate is to blame
            lowest = min(decade for decade in self.runs if decade != STILL)
            what = f"it diverges at each learning rate down to 1e{lowest} of the configured one"
            return failed(what, evidence, "the learning rate is far too high", "optimizer.lr=0.001")
        what = f"at no learning rate the loss falls by 1 % of {still:.3g}"
        cause = "too few steps, or nothing that can be learned: see the other checks"
        return warned(what, evidence, cause)

    def draw(self, base: float) -> None:
        """Draw the losses."""
        from optbench.plots.png import save

        assert self._setup.out is not None
        runs = {d: r for d, r in sorted(self.runs.items()) if d != STILL and r.losses}
        series = {
            f"lr {base * 10.0**d:.2g}": (list(range(1, len(r.losses) + 1)), r.losses)
            for d, r in runs.items()
        }
        title = f"{self._setup.config.name}: short runs"
        path = self._setup.out / "learning-rates.png"
        save(path, series, title=title, x_label="step", y_label="loss", log_y=_positive(series))


def _positive(series: dict[str, tuple[list[int], list[float]]]) -> bool:
    return all(loss > 0 for _, losses in series.values() for loss in losses)


def _judged(base: float, best: int, share: float, evidence: str, diverged: bool) -> Finding:
    better = base * 10.0**best
    remedy = f"optimizer.lr={better:.3g}"
    numbers = {"lr": base, "best": better, "share": max(share, -1e9)}
    far = abs(best)
    decades = f"{far} decade{'s' if far > 1 else ''} {'below' if best > 0 else 'above'}"
    at = f"lr {base:.3g} lies {decades} the best of these"
    low = best > 0
    lost = share < (TOO_LOW if low else TOO_HIGH)
    if far and (diverged or (far >= 2 and lost)):
        cause = "too low: it learns too slowly" if low else "too high: it diverges, or bounces"
        return replace(failed(at, evidence, cause, remedy), numbers=numbers)
    if far and share < BEHIND:
        slow = "too low for so short a look" if low else "too high at the start; warmup helps"
        return replace(warned(at, evidence, slow, remedy), numbers=numbers)
    if not far:
        what = f"lr {base:.3g} is the best of these"
    elif far == 1:
        what = f"lr {base:.3g} is near the best, {better:.2g}"
    else:
        what = f"lr {base:.3g} learns; the best of these is {better:.2g}"
    return replace(passed(what, evidence), numbers=numbers)
