"""What TensorBoard's HParams dashboard needs to make its table of runs."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from optbench.escape import escaped

# As in tensorboard.plugins.hparams.metadata, which takes a fifth of a second to import.
PLUGIN_NAME = "hparams"
PLUGIN_DATA_VERSION = 0
EXPERIMENT_TAG = "_hparams_/experiment"
SESSION_START_INFO_TAG = "_hparams_/session_start_info"
SESSION_END_INFO_TAG = "_hparams_/session_end_info"


def metric_tags(
    task: tuple[str, Sequence[str]],
    target: str | None,
    sets: Collection[str],
    players: Sequence[str],
) -> list[str]:
    """Return the metrics for the table, those that the run is judged by first.

    Args:
        task: its main metric, such as `val/accuracy`, and the names of all its scores.
        target: the metric of the run's target, if it has one.
        sets: that are scored, of `val` and `test`.
        players: their names.
    """
    main, names = task
    of_test = main.replace("val/", "test/", 1)
    first = [target, main, of_test] if target else [main, of_test]
    scores = [*first, *(f"{kind}/{name}" for kind in ("val", "test") for name in names)]
    losses = [f"train/loss/{name}" for name in players] if len(players) > 1 else ["train/loss"]
    return [*(t for t in dict.fromkeys(scores) if t.partition("/")[0] in sets), *losses]


def start_summaries(
    hparams: Mapping[str, str | float | bool],
    columns: Mapping[str, str],
    metrics: Sequence[str],
    first: Collection[str] = (),
    started: float | None = None,
) -> list[Any]:
    """Return the records that open a run: which columns there are, and this run's values.

    Built from the plugin's messages, as torch does: its own `summary` module needs TensorFlow.

    Args:
        hparams: the run's values by column; one may be missing.
        columns: all there are, with their kinds: `number`, `bool` or `text`.
        metrics: tags of scores, which are columns too.
        first: the columns that the dashboard shows first, those that a sweep varies.
        started: when, in seconds since 1970; now by default.
    """
    from tensorboard.plugins.hparams import api_pb2, plugin_data_pb2

    types = {
        "number": api_pb2.DATA_TYPE_FLOAT64,
        "bool": api_pb2.DATA_TYPE_BOOL,
        "text": api_pb2.DATA_TYPE_STRING,
    }
    experiment = api_pb2.Experiment(
        hparam_infos=[
            api_pb2.HParamInfo(name=name, type=types[kind], differs=name in first)
            for name, kind in columns.items()
        ],
        metric_infos=[api_pb2.MetricInfo(name=api_pb2.MetricName(tag=tag)) for tag in metrics],
    )
    now = time.time() if started is None else started
    start = plugin_data_pb2.SessionStartInfo(start_time_secs=now)
    for name, value in hparams.items():
        if isinstance(value, bool):
            start.hparams[name].bool_value = value
        elif isinstance(value, int | float):
            start.hparams[name].number_value = value
        else:
            start.hparams[name].string_value = escaped(str(value))
    return [
        _summary(EXPERIMENT_TAG, experiment=experiment),
        _summary(SESSION_START_INFO_TAG, session_start_info=start),
    ]


def end_summary(state: str) -> Any:
    """Return the record that closes a run."""
    from tensorboard.plugins.hparams import api_pb2, plugin_data_pb2

    good = state in ("finished", "stopped_early")
    status = api_pb2.STATUS_SUCCESS if good else api_pb2.STATUS_FAILURE
    end = plugin_data_pb2.SessionEndInfo(status=status, end_time_secs=time.time())
    return _summary(SESSION_END_INFO_TAG, session_end_info=end)


def _summary(tag: str, **content: Any) -> Any:
    from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
    from tensorboard.plugins.hparams import plugin_data_pb2

    data = plugin_data_pb2.HParamsPluginData(version=PLUGIN_DATA_VERSION, **content)
    plugin = SummaryMetadata.PluginData(plugin_name=PLUGIN_NAME, content=data.SerializeToString())
    return Summary(value=[Summary.Value(tag=tag, metadata=SummaryMetadata(plugin_data=plugin))])
