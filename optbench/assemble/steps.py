"""The steps of a run's players: in pieces, or, where that can be, the whole as one graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from optbench.assemble.own_loss import names_loss
from optbench.config.run_config import RunConfig
from optbench.training.checkpointer import RunState
from optbench.training.clipping import Clipping
from optbench.training.graph.graphed_step import GraphedStep
from optbench.training.graph.graphs import CudaGraphs, Graphs
from optbench.training.graph.held import Held
from optbench.training.graph.why_in_pieces import Ways, held_or_why
from optbench.training.train_step import TrainStep


def graph_of(config: RunConfig, state: RunState) -> Held | str | None:
    """Return the optimizer of a run whose steps are to be one graph; a reason why they can't be;
    None where nobody asks for it, as on a CPU."""
    if config.cuda_graph is False or state.world.device.type != "cuda":
        return None
    return held_or_why(state, ways_of(config))


def ways_of(config: RunConfig) -> Ways:
    """Return what a config says of whether steps repeat themselves."""
    return Ways(
        asked=config.cuda_graph is True,
        skips=config.nonfinite == "skip",
        compiled=config.compile,
        recomputes=config.activation_checkpointing,
        own_loss=_has_own_loss(config.task),
    )


def _has_own_loss(task: Mapping[str, Any]) -> bool:
    target = task["loss"].get("_target_") if names_loss(task) else None
    return target is not None and not str(target).startswith("torch.nn.")


def make_steps(
    config: RunConfig,
    state: RunState,
    clipping: Mapping[str, Clipping],
    held: Held | None,
    told: Callable[[str], None],
    wary: bool = False,
    graphs: Graphs | None = None,
) -> list[TrainStep]:
    """Return a step for each player.

    Args:
        clipping: by player.
        held: the optimizer, where the step is to be one graph.
        told: is called with the reason if it turns out that it can't be.
        wary: callbacks may replace tensors between steps.
        graphs: what notes and repeats; default CUDA's.
    """
    skip = config.nonfinite == "skip"
    modules = {player.name: player.module for player in state.players}
    found = []
    for player in state.players:
        parts: dict[str, Any] = {
            "player": player,
            "modules": modules,
            "task": state.task,
            "precision": state.precision,
            "clipping": clipping[player.name],
            "world": state.world,
            "strategy": state.strategy,
            "skip_nonfinite": skip,
            "stop_nonfinite": not skip,
            "progress": state.progress,
        }
        if held is None:
            found.append(TrainStep(**parts))
            continue
        own = CudaGraphs(state.world.device) if graphs is None else graphs
        found.append(GraphedStep(graphs=own, held=held, told=told, wary=wary, **parts))
    return found
