"""The weights that a run is to start from: another run's, those of a file, or torchvision's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from optbench.config.paths import is_pretrained
from optbench.config.run_config import RunConfig
from optbench.errors import UserError, reason
from optbench.rundir import RunDir, path_of
from optbench.which_folder import nearest_folder

if TYPE_CHECKING:
    from torch import Tensor

    from optbench.training.distributed import World


def start_weights(config: RunConfig, world: World) -> dict[str, Tensor] | None:
    """Return the state dict that `weights` names, None where the run draws its own weights.

    Of a run it is what it was scored with at `weights.at`. Nothing that is read is run.

    Args:
        world: the ranks; one of them downloads.

    Raises:
        UserError: no such run, checkpoint, file or name; a file that holds something else.
    """
    where = config.weights.path
    if where is None:
        return None
    from optbench.assemble.pretrained import meant, pretrained

    if is_pretrained(where):
        return pretrained(config, world)
    path = path_of(where)
    if path.is_dir():
        from optbench.runs.export import weights_of
        from optbench.runs.weights import step_of

        folder = RunDir.existing(path, "weights=")
        return weights_of(folder, step_of(folder, config.weights.at, "weights.at=")).state
    from optbench.training.weights_file import read_weights

    if not path.exists():
        name = meant(path.name, config)
        near = nearest_folder(path, lambda beside: beside.is_file() or _is_run(beside))
        hint = f"; did you mean weights={name}?" if name else near
        raise UserError(f"weights={where}: no such run or file{hint}")
    try:
        return read_weights(path, "weights=")
    except OSError as error:
        raise UserError(f"weights={where}: {reason(error)}") from None


def _is_run(folder: Path) -> bool:
    return (folder / "config.yaml").is_file()
