"""What a run came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from optbench.errors import is_machines
from optbench.rundir import RunDir
from optbench.shapes import COSTS

if TYPE_CHECKING:
    from optbench.runs.read import Run

EXIT_FAILED = 1
MACHINES = "machines"
"""In the status of a run that failed for want of something on the machine."""


@dataclass(frozen=True)
class RunResult:
    """What a run came to.

    Attributes:
        folder: of the run.
        state: one of `shapes.STATES`, or what a sweep's table says of a run that it did not do.
        step: the last one.
        message: why it ended so, if there is something to say.
        metrics: the last value of each metric.
        best: metric, value and step of the best evaluation, or empty.
        exit_code: 0; 1 for a diverged or failed run; 128 + the signal's number.
        target: what was good enough, and when it was reached, or empty.
        texts: the last samples of text.
        scored: which weights were scored, None for those that were trained.
        machines: whether it failed for want of something on the machine, such as room on the disk.
        explained: whether the message says it all, or a traceback in the log says more.
        costs: `examples`, `passes` (forward and backward), `training_seconds`, `optimizer_seconds`,
            `state_bytes`; None for what nobody knows, and empty of a run without a summary.
    """

    folder: RunDir
    state: str
    step: int
    message: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    best: Mapping[str, Any] = field(default_factory=dict)
    exit_code: int = 0
    target: Mapping[str, Any] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    scored: str | None = None
    explained: bool = False
    machines: bool = False
    costs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def run(self) -> Run:
        """The run, to be read."""
        from optbench.runs.read import Run

        return Run(self.folder.path)


def load_result(folder: RunDir) -> RunResult:
    """Load a run's result as its folder tells it."""
    status, summary = folder.read_status(), folder.read_summary()
    state = status.get("state", "failed")
    return RunResult(
        folder,
        state,
        status.get("step", 0),
        status.get("message", ""),
        summary.get("final", {}),
        summary.get("best", {}),
        0 if state in ("finished", "stopped_early") else EXIT_FAILED,
        summary.get("target", {}),
        summary.get("samples", {}),
        summary.get("scored_weights"),
        machines=state == "failed" and status.get(MACHINES) is True,
        costs={key: summary.get(key) for key in COSTS} if summary else {},
    )


def machines_mark(error: BaseException) -> dict[str, bool]:
    """Return what status.json has of a failure beside its message."""
    return {MACHINES: True} if is_machines(error) else {}


def score(result: RunResult, metric: str) -> float | None:
    """Return a run's best value of the metric, or its last."""
    if result.best.get("metric") == metric:
        return float(result.best["value"])
    value = result.metrics.get(metric)
    return None if value is None else float(value)
