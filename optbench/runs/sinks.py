"""Where a run's measurements go: JSON lines, TensorBoard, the status, the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from optbench.compose.composer import keys_of
from optbench.compose.players import as_typed
from optbench.config.run_spec import RunSpec
from optbench.rundir import RunDir
from optbench.runs.columns import Row, cells, columns_of, row
from optbench.runs.log import Log
from optbench.runs.own_sinks import make_sinks

if TYPE_CHECKING:
    from optbench.assemble.experiment import Experiment
    from optbench.monitor.record import Position, Recorder
    from optbench.monitor.tensorboard import TensorBoard
    from optbench.runs.live_doctor import LiveDoctor


def make_recorder(
    spec: RunSpec,
    folder: RunDir,
    log: Log,
    experiment: Experiment,
    resumed_at: int | None,
    earlier: Mapping[str, Position] | None = None,
    doctor: LiveDoctor | None = None,
) -> Recorder:
    """Make the recorder of rank 0.

    Args:
        resumed_at: the step that the run goes on from, None for a new one.
        earlier: the lengths of the event files that it had written until then.
        doctor: who looks at the records, if anybody does.
    """
    from optbench.monitor.jsonl import JsonLines
    from optbench.monitor.record import Recorder
    from optbench.monitor.samples import Samples
    from optbench.monitor.terminal import Terminal, shorter, shortest

    total, evaluate = experiment.settings.total_steps, experiment.settings.cadence.evaluate

    def say(line: str) -> None:
        log.say(line, *((shorter(line), shortest(line)) if log.tells else ()))

    terminal = Terminal(total, resumed_at or 0, say, log.live, evaluate)
    sinks: list[Any] = [JsonLines(folder.metrics), Samples(folder.samples)]
    board = None
    if spec.config.monitor.tensorboard:
        board = _tensorboard(spec, folder, experiment, resumed_at)
    if board is not None:
        sinks.append(board)
    own = spec.config.monitor.sinks
    sinks += make_sinks(own, folder.path, spec.plain, resumed_at, log.warn)
    last = [terminal] if doctor is None else [terminal, doctor]
    return Recorder([*sinks, *last], board, terminal, earlier)


def _tensorboard(
    spec: RunSpec, folder: RunDir, experiment: Experiment, resumed_at: int | None
) -> TensorBoard:
    from optbench.monitor.tensorboard import TensorBoard, write_anew

    board = TensorBoard(folder.tensorboard, resumed_at)
    summaries = _start_hparams(spec, experiment, _started(folder))
    if resumed_at is None:
        for summary in summaries:
            board.write_summary(summary)
    else:
        write_anew(folder.tensorboard, summaries)
    return board


def _started(folder: RunDir) -> float | None:
    """Return when the run began, in seconds since 1970."""
    try:
        return datetime.fromisoformat(str(folder.read_json("status.json")["started"])).timestamp()
    except (KeyError, ValueError):
        return None


def row_of(spec: RunSpec) -> Row:
    """Return a run's row of the HParams table, with a player's choice called as it is typed."""
    overridden = [as_typed(key) for key in keys_of(spec.overrides)]
    choices = {as_typed(key): choice for key, choice in spec.choices.items()}
    return row(spec.plain, choices, overridden)


def _start_hparams(spec: RunSpec, experiment: Experiment, started: float | None) -> list[Any]:
    """Return what the HParams table is made of."""
    from optbench.monitor.hparams import metric_tags, start_summaries

    task, players = experiment.state.task, experiment.state.players
    sets = {"val": experiment.validation, "test": experiment.test}
    metrics = metric_tags(
        (task.metric, task.metrics),
        spec.config.target.metric,
        [name for name, scored in sets.items() if scored is not None],
        [player.name for player in players],
    )
    own = row_of(spec)
    columns = dict(spec.columns)
    for key, kind in columns_of([own]).items():
        columns.setdefault(key, kind)
    first = spec.varied or keys_of(spec.overrides)
    values = cells(own, columns, experiment.feed.batch_size)
    return start_summaries(values, columns, metrics, list(map(as_typed, first)), started)


def end_hparams(recorder: Recorder, state: str) -> None:
    """Tell TensorBoard's dashboard how the run ended; one that goes on later has not ended."""
    if recorder.tensorboard is not None and state != "preempted":
        from optbench.monitor.hparams import end_summary

        recorder.tensorboard.write_summary(end_summary(state))
