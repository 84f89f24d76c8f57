"""An executor from what the command line says of it."""

from __future__ import annotations

from typing import cast

from optbench.assemble.create import create
from optbench.compose.executors import GROUP, SERIAL, ExecutorChoice
from optbench.errors import UserError
from optbench.executors.base import Executor
from optbench.executors.serial import Serial
from optbench.launched import launched_ranks
from optbench.runs.log import Log


def make_executor(choice: ExecutorChoice, log: Log) -> Executor:
    """Make an executor; its processes start when they are needed.

    Raises:
        UserError: it refuses its settings, lacks a package, or torchrun has started this.
    """
    if choice.name == SERIAL:
        return Serial(log)
    if launched_ranks() > 1:
        raise UserError(
            f"{GROUP}={choice.name}: torchrun's ranks do one run after the other together; "
            f"leave out {GROUP}"
        )
    return cast(Executor, create(choice.node, GROUP))
