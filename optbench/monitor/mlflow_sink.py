"""Records in MLflow (extra `mlflow`)."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from optbench.monitor.record import Record

TAG = "optbench.folder"
LONGEST = 500
"""Characters of a parameter's value."""
AT_ONCE = 100
"""Parameters in one call."""


class MLflow:
    """One run there for each of ours; a resumed one goes on in the one that it had.

    Args:
        folder: the run's; by its path, in the tag `optbench.folder`, it is found again.
        name: the run's.
        config: the run's, plain; its keys are parameters there.
        experiment: made if it is not there.
        tracking_uri: default: `MLFLOW_TRACKING_URI`, or MLflow's own.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        config: Mapping[str, Any],
        experiment: str = "optbench",
        tracking_uri: str | None = None,
    ) -> None:
        mlflow = importlib.import_module("mlflow")
        self._entities: Any = importlib.import_module("mlflow.entities")
        self._client: Any = mlflow.MlflowClient(tracking_uri=tracking_uri)
        known = self._client.get_experiment_by_name(experiment)
        at = known.experiment_id if known else self._client.create_experiment(experiment)
        path = str(folder.resolve())
        had = [] if "'" in path else self._client.search_runs([at], f"tags.`{TAG}` = '{path}'")
        if had:
            self._id = had[0].info.run_id
            self._client.update_run(self._id, status="RUNNING")
            return
        run = self._client.create_run(at, tags={TAG: path}, run_name=name)
        self._id = run.info.run_id
        said = [self._entities.Param(k, str(v)[:LONGEST]) for k, v in _flat(config)]
        for start in range(0, len(said), AT_ONCE):
            self._client.log_batch(self._id, params=said[start : start + AT_ONCE])

    def write(self, record: Record) -> None:
        """Log the values by tag, at the record's step."""
        metric, now = self._entities.Metric, int(record.time * 1000)
        values = [metric(tag, float(v), now, record.step) for tag, v in record.values.items()]
        self._client.log_batch(self._id, metrics=values)

    def close(self) -> None:
        """End the run there."""
        self._client.set_terminated(self._id)


def _flat(node: Mapping[str, Any], at: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in node.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{at}{key}.")
        else:
            yield f"{at}{key}", value
