"""How long the training would be, and what its time goes to."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator

from optbench.check.base import Finding, passed, warned
from optbench.check.faster import capability_of, faster_ways
from optbench.check.setup import Setup
from optbench.check.short import short_run
from optbench.config.counted import counted

SHARE = 0.1
"""Of the time."""
LOADING = 0.5
"""Of a step's time that its examples may take."""


class Speed:
    """A few steps, with and without measuring, and the loading of their examples."""

    name = "speed"

    def run(self, setup: Setup) -> Iterator[Finding]:
        """See `Check`."""
        settings = setup.experiment.settings
        every = settings.cadence.monitor
        share = SHARE * setup.seconds / 3
        step = setup.step_seconds
        loading = _loading(setup, min(share, 2.0))
        if step * 3 > share:
            whole = settings.total_steps * (step + loading)
            what = f"the whole run takes about {_time(whole)}"
            few = f"{what} here: {step:.2g} s a step, from a few examples"
            yield passed(few, _advice(setup), seconds=whole)
            return
        steps = max(3, min(30, settings.total_steps, int(share / step)))
        with setup.put_back():
            short_run(setup.experiment, 1)
            measured, step = (
                setup.timed(lambda: short_run(setup.experiment, steps, monitor=m)) / steps  # noqa: B023
                for m in (1, 0)
            )
        monitored = max(0.0, measured - step) / max(1, every or 10**9) / step
        whole = settings.total_steps * (step + max(0.0, loading - step))
        evidence = f"{step * 1e3:.3g} ms a step, of which examples {loading * 1e3:.2g} ms"
        evidence += f"; measuring costs about {monitored:.1%}" if every else ""
        what = f"{counted(settings.total_steps, 'step')} take about {_time(whole)}"
        if loading > LOADING * step and loading * settings.total_steps > 10:
            key = next((k for k in ("workers",) if k in setup.config.dataset), "")
            workers = int(setup.config.dataset.get("workers") or 0)
            remedy = f"dataset.{key}={max(2, 2 * workers)}" if key else ""
            cause = "examples come slower than they are learned from"
            yield warned(f"{what}, much of it for loading", evidence, cause, remedy, seconds=whole)
        else:
            advice = _advice(setup)
            evidence = f"{evidence}; {advice}" if advice else evidence
            yield passed(what, evidence, seconds=whole)


def _advice(setup: Setup) -> str:
    """Return what may be tried on a GPU, empty where there is nothing."""
    capability = capability_of(setup.device)
    ways = faster_ways(setup.config, setup.modules.values(), capability)
    return f"may be faster, with other roundings: {' or '.join(ways)}" if ways else ""


def _loading(setup: Setup, seconds: float) -> float:
    """Return the seconds that a step's examples take to be loaded."""
    begun, count = time.perf_counter(), 0
    for work in itertools.islice(setup.feed.epoch(0), 20):
        for _ in work.micros:
            pass
        count += 1
        if time.perf_counter() - begun > seconds:
            break
    return (time.perf_counter() - begun) / max(1, count)


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / 3600:.3g} hours"
