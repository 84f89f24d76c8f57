"""Whether a run's steps are one CUDA graph, as env.json and the log say it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from optbench.rundir import RunDir
from optbench.runs.log import Log

if TYPE_CHECKING:
    from optbench.assemble.experiment import Experiment


def graph_use(experiment: Experiment, folder: RunDir, log: Log) -> str | None:
    """Return what env.json says: `whole step`, `in pieces: REASON`, or None where that is no
    question. A reason that turns up as the run goes on is then written down, too.

    Args:
        experiment: that is about to be trained.
        folder: the run's.
        log: is told of a reason if the user asked for a graph.
    """

    def warn(reason: str) -> None:
        if experiment.config.cuda_graph is True:
            log.warn(f"cuda_graph=true: steps are taken in pieces: {reason}")

    def found_out(reason: str) -> None:
        folder.write_json("env.json", folder.read_json("env.json") | {"cuda_graph": _in(reason)})
        warn(reason)

    experiment.on_graph = found_out
    if isinstance(experiment.graph, str):
        warn(experiment.graph)
        return _in(experiment.graph)
    return None if experiment.graph is None else "whole step"


def _in(reason: str) -> str:
    return f"in pieces: {reason}"
