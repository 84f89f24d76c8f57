"""Where a run's measurements go: JSON lines, TensorBoard, the status, the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from optbench.cli.compose import Job, keys_of
from optbench.cli.log import Log
from optbench.cli.players import as_typed
from optbench.rundir import RunDir

if TYPE_CHECKING:
    from optbench.build.experiment import Experiment
    from optbench.monitor.record import Recorder
    from optbench.monitor.tensorboard import TensorBoard


def make_recorder(
    job: Job,
    folder: RunDir,
    log: Log,
    experiment: Experiment,
    resumed_at: int | None,
    earlier: Mapping[str, int] | None = None,
) -> Recorder:
    """The recorder of rank 0.

    Args:
        resumed_at: the step that the run goes on from, None for a new one.
        earlier: the lengths of the event files that it had written until then.
    """
    from optbench.monitor.jsonl import JsonLines
    from optbench.monitor.record import Recorder
    from optbench.monitor.samples import Samples
    from optbench.monitor.terminal import Terminal

    total, evaluate = experiment.settings.total_steps, experiment.settings.cadence.evaluate
    terminal = Terminal(total, resumed_at or 0, log.say, log.live, evaluate)
    sinks: list[Any] = [JsonLines(folder.metrics), Samples(folder.samples)]
    board = None
    if job.config.monitor.tensorboard:
        board = _tensorboard(job, folder, experiment, resumed_at)
    if board is not None:
        sinks.append(board)
    return Recorder([*sinks, terminal], board, terminal, earlier)


def _tensorboard(
    job: Job, folder: RunDir, experiment: Experiment, resumed_at: int | None
) -> TensorBoard:
    from optbench.monitor.tensorboard import TensorBoard

    board = TensorBoard(folder.tensorboard, resumed_at)
    if resumed_at is None:
        for summary in _start_hparams(job, experiment):
            board.write_summary(summary)
    return board


def _start_hparams(job: Job, experiment: Experiment) -> list[Any]:
    """A row of the HParams table, for which a player's choice is called as it is typed."""
    from optbench.monitor.hparams import columns, metric_tags, start_summaries

    task, players = experiment.state.task, experiment.state.players
    sets = {"val": experiment.validation, "test": experiment.test}
    metrics = metric_tags(
        (task.metric, task.metrics),
        job.config.target.metric,
        [name for name, scored in sets.items() if scored is not None],
        [player.name for player in players],
    )
    overridden = [as_typed(key) for key in keys_of(job.overrides)]
    choices = {as_typed(key): choice for key, choice in job.choices.items()}
    varied = [as_typed(key) for key in job.varied]
    return start_summaries(columns(job.plain, choices, overridden), metrics, varied or overridden)


def end_hparams(recorder: Recorder, state: str) -> None:
    """Tells TensorBoard's dashboard how the run ended; one that goes on later has not ended."""
    if recorder.tensorboard is not None and state != "preempted":
        from optbench.monitor.hparams import end_summary

        recorder.tensorboard.write_summary(end_summary(state))
