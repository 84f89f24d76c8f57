"""Whether model, data set and task fit together, tried before a run has a folder."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TextIO

import torch
from torch import nn

from optbench.assemble.blame import Parts
from optbench.assemble.smallest import untouched
from optbench.config.run_config import RunConfig
from optbench.data.dataset import Source
from optbench.data.permutation import Indices
from optbench.errors import UserError
from optbench.tasks.base import Task
from optbench.training.precision import Precision

EXAMPLES = 2


def check_fit(
    config: RunConfig,
    task: Task,
    modules: Mapping[str, nn.Module],
    source: Source,
    indices: Indices,
    precision: Precision,
    choices: Mapping[str, str],
) -> None:
    """Score two examples, and change nothing.

    Args:
        choices: the file that each group chose, for messages.

    Raises:
        UserError: they can't be scored.
        OwnCodeError: code of the user's own fails.
    """
    with untouched(modules, task, config.compile):
        for module in modules.values():
            module.eval()
        with precision.forward():
            scored(config, task, modules, source, indices, choices)


def scored(
    config: RunConfig,
    task: Task,
    modules: Mapping[str, nn.Module],
    source: Source,
    indices: Indices,
    choices: Mapping[str, str],
) -> None:
    """Score the first two examples; tell the user of errors in that."""
    few = indices[:EXAMPLES]
    batch: Any = None
    try:
        with torch.no_grad(), _warnings_of_what_works():
            for batch in source.stream(few, [(0, len(few))]):
                task.score(modules, batch)
                task.collect(modules, batch)
    except UserError:
        raise
    except Exception as error:
        parts = Parts(config, choices, task, modules)
        raise parts.fault(error, batch) from error


@contextmanager
def _warnings_of_what_works() -> Iterator[None]:
    """Keep warnings until the block has ended, and drop those of one that fails.

    Its error says the same in a line.
    """
    shown = warnings.showwarning
    held: list[tuple[Warning | str, type[Warning], str, int, TextIO | None, str | None]] = []

    def hold(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        held.append((message, category, filename, lineno, file, line))

    warnings.showwarning = hold
    try:
        yield
    finally:
        warnings.showwarning = shown
    for message, category, filename, lineno, file, line in held:
        shown(message, category, filename, lineno, file, line)
