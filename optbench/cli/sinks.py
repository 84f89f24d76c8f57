"""Where a run's measurements go: JSON lines, TensorBoard, the status, the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optbench.cli.compose import Job, keys_of
from optbench.cli.log import Log
from optbench.rundir import RunDir

if TYPE_CHECKING:
    from optbench.monitor.record import Recorder
    from optbench.monitor.tensorboard import TensorBoard


def make_recorder(
    job: Job, folder: RunDir, log: Log, total_steps: int, resumed_at: int | None
) -> Recorder:
    """The recorder of rank 0.

    Args:
        total_steps: of the run.
        resumed_at: the step that the run goes on from, None for a new one.
    """
    from optbench.monitor.jsonl import JsonLines
    from optbench.monitor.record import Recorder
    from optbench.monitor.samples import Samples
    from optbench.monitor.status import Status
    from optbench.monitor.terminal import Terminal

    terminal = Terminal(total_steps, resumed_at or 0, log.say, log.live)
    sinks: list[Any] = [JsonLines(folder.metrics), Status(folder), Samples(folder.samples)]
    board = _tensorboard(job, folder, resumed_at) if job.config.monitor.tensorboard else None
    if board is not None:
        sinks.append(board)
    return Recorder([*sinks, terminal], board, terminal)


def _tensorboard(job: Job, folder: RunDir, resumed_at: int | None) -> TensorBoard:
    from optbench.monitor.hparams import columns, start_summaries
    from optbench.monitor.tensorboard import TensorBoard

    board = TensorBoard(folder.tensorboard, resumed_at)
    if resumed_at is None:
        overridden = keys_of(job.overrides)
        hparams = columns(job.plain, job.choices, overridden)
        for summary in start_summaries(hparams, job.varied or overridden):
            board.write_summary(summary)
    return board


def end_hparams(recorder: Recorder, state: str) -> None:
    """Tells TensorBoard's dashboard how the run ended; one that goes on later has not ended."""
    if recorder.tensorboard is not None and state != "preempted":
        from optbench.monitor.hparams import end_summary

        recorder.tensorboard.write_summary(end_summary(state))
