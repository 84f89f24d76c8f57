"""Whether what a run wants of the machine is there: data, a device, ranks, packages."""

from __future__ import annotations

import os
from typing import Any

from optbench.assemble.data import dataset
from optbench.config.run_config import RunConfig
from optbench.config.run_spec import RunSpec
from optbench.errors import UserError
from optbench.launched import launched_ranks
from optbench.runs.live_doctor import check_doctor
from optbench.runs.own_sinks import check_sinks


def check_surroundings(spec: RunSpec, resume: bool = False) -> Any:
    """Return the run's data, once all that a run wants of the machine is known to be there.

    Args:
        spec: the run.
        resume: whether it goes on; then one rank may go on with what several began.

    Raises:
        UserError: data, a device, or what a sink needs is missing.
    """
    if not resume:
        check_strategy(spec.config)
    data = dataset(spec.config)
    check_device(spec.config.device)
    check_sinks(spec.config.monitor.sinks)
    check_doctor(spec.config)
    if spec.config.deterministic:
        # cuBLAS reads it when it starts; without it its results may differ from run to run.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    return data


def check_device(device: str) -> None:
    """Raise UserError if torch does not find the device that was asked for."""
    if device == "cuda":
        import torch

        if not torch.cuda.is_available():
            raise UserError("device=cuda: torch finds no CUDA device here; use device=cpu")


def check_strategy(config: RunConfig) -> None:
    """Refuse to share out among one."""
    if config.strategy != "ddp" and launched_ranks() == 1:
        raise UserError(
            f"strategy={config.strategy}: there is one rank, which has all of the state; launch "
            "several with torchrun, or use strategy=ddp"
        )
