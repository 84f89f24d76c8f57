"""Whether model, data set and task fit together, tried before a run has a folder."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from optbench.config.schema import RunConfig
from optbench.data.dataset import Source
from optbench.errors import UserError
from optbench.tasks.base import Task
from optbench.training import rng
from optbench.training.precision import Precision

EXAMPLES = 2


def check_fit(
    config: RunConfig,
    task: Task,
    modules: Mapping[str, nn.Module],
    source: Source,
    indices: Tensor,
    precision: Precision,
) -> None:
    """Scores two examples, and changes nothing.

    A model of a user's own is left to fail in its run, whose log has the traceback; one that is
    compiled would be compiled for two examples.

    Raises:
        UserError: ours can't be scored.
    """
    target = str(config.model["_target_"])
    if config.compile or not target.startswith("optbench."):
        return
    state, modes = rng.capture(), {name: m.training for name, m in modules.items()}
    few = indices[:EXAMPLES]
    try:
        for module in modules.values():
            module.eval()
        with torch.no_grad(), precision.forward():
            for batch in source.stream(few, [(0, len(few))]):
                task.score(modules, batch)
                task.collect(modules, batch)
    except (RuntimeError, ValueError, TypeError, IndexError, KeyError, AttributeError) as error:
        names = [str(node["_target_"]) for node in (config.dataset, config.task)]
        told = " ".join(str(error).split()).rstrip(".")
        raise UserError(
            f"model={target}: does not fit dataset={names[0]} and task={names[1]}: {told}"
        ) from error
    finally:
        for name, module in modules.items():
            module.train(modes[name])
        rng.restore(state)
