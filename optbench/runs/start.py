"""The weights that a run is to start from: another run's, or those of a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from optbench.config.run_config import RunConfig
from optbench.errors import UserError, reason
from optbench.rundir import RunDir, path_of

if TYPE_CHECKING:
    from torch import Tensor


def start_weights(config: RunConfig) -> dict[str, Tensor] | None:
    """The state dict that `weights` names, None where the run draws its own weights.

    Of a run it is what it was scored with at `weights.at`. Nothing that is read is run.

    Raises:
        UserError: no such run, checkpoint or file; a file that holds something else.
    """
    where = config.weights.path
    if where is None:
        return None
    path = path_of(where)
    if path.is_dir():
        from optbench.runs.export import weights_of
        from optbench.runs.weights import step_of

        folder = RunDir.existing(path, "weights=")
        return weights_of(folder, step_of(folder, config.weights.at)).state
    from optbench.training.weights_file import read_weights

    if not path.exists():
        raise UserError(f"weights={where}: no such run or file")
    try:
        return read_weights(path, "weights=")
    except OSError as error:
        raise UserError(f"weights={where}: {reason(error)}") from None
