"""Whether model, data set and task fit together, tried before a run has a folder."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from optbench.assemble.own import told
from optbench.assemble.smallest import untouched
from optbench.config.run_config import RunConfig
from optbench.data.dataset import Source
from optbench.errors import OwnCodeError, UserError
from optbench.tasks.base import Task
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
    """Score two examples, and change nothing.

    Raises:
        UserError: they can't be scored.
        OwnCodeError: code of the user's own fails.
    """
    with untouched(modules, task, config.compile):
        for module in modules.values():
            module.eval()
        with precision.forward():
            scored(config, task, modules, source, indices)


def scored(
    config: RunConfig,
    task: Task,
    modules: Mapping[str, nn.Module],
    source: Source,
    indices: Tensor,
) -> None:
    """Score the first two examples; tell the user of errors in that."""
    few = indices[:EXAMPLES]
    try:
        with torch.no_grad():
            for batch in source.stream(few, [(0, len(few))]):
                task.score(modules, batch)
                task.collect(modules, batch)
    except UserError:
        raise
    except Exception as error:
        model, data, scores = (
            str(node["_target_"]) for node in (config.model, config.dataset, config.task)
        )
        where = f"model={model}: does not fit dataset={data} and task={scores}"
        found = told(error, where, [model, data, scores])
        if isinstance(found, OwnCodeError):  # it fits nothing, then
            found = told(error, f"model={model}", [model, data, scores])
        raise found from error
