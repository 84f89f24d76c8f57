"""Whether what a run wants of the machine is there: data, a device, ranks, packages."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from optbench.assemble.data import check_same_data, dataset
from optbench.config.run_config import RunConfig
from optbench.config.run_spec import RunSpec
from optbench.errors import UserError
from optbench.launched import launched_ranks
from optbench.rundir import RunDir
from optbench.runs.live_doctor import check_doctor
from optbench.runs.own_sinks import check_sinks


def check_surroundings(spec: RunSpec, resume: bool = False, ranks: int | None = None) -> Any:
    """Return the run's data, once all that a run wants of the machine is known to be there.

    Args:
        spec: the run.
        resume: whether it goes on; then one rank may go on with what several began.
        ranks: how many will train it; by default those that were launched.

    Raises:
        UserError: data, a device, or what a sink needs is missing.
    """
    check_strategy(spec.config, resume, ranks)
    data = dataset(spec.config)
    check_device(spec.config.device)
    check_graph(spec.config)
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


def check_graph(config: RunConfig) -> None:
    """Raise UserError for a CUDA graph where there is no CUDA."""
    if config.cuda_graph is not True:
        return
    import torch

    if config.device == "cpu" or not torch.cuda.is_available():
        where = "device=cpu has none" if config.device == "cpu" else "torch finds no CUDA device"
        raise UserError(f"cuda_graph=true: {where}; use cuda_graph=auto")


def check_strategy(config: RunConfig, resume: bool = False, ranks: int | None = None) -> None:
    """Refuse to share out among one, and what a strategy can't go with.

    Args:
        config: of the run.
        resume: whether it goes on; then one rank may go on with what several began.
        ranks: how many will train it; by default those that were launched.
    """
    if (ranks or launched_ranks()) == 1:
        if config.strategy == "ddp" or resume:
            return
        raise UserError(
            f"strategy={config.strategy}: there is one rank, which has all of the state; launch "
            "several with torchrun, or use strategy=ddp"
        )
    if config.strategy == "fsdp2":
        for setting, why in _unfit_for_rows(config):
            raise UserError(f"{setting}: not with strategy=fsdp2, {why}; use zero1 or ddp")


def _unfit_for_rows(config: RunConfig) -> Iterator[tuple[str, str]]:
    """Yield settings that can't be where each rank has some rows of each parameter, and why."""
    if len(config.players) > 1:
        yield f"task with {' and '.join(config.players)}", "which trains one player"
    if config.precision.scaler:
        yield f"precision={config.precision.name}", "whose ranks would skip steps each by itself"
    if config.compile:
        yield "compile=true", "which gathers parameters between what is compiled"
    if config.channels_last:
        yield "channels_last=true", "which cuts parameters in the order of their dimensions"
    if config.clip.adaptive is not None:
        yield f"clip.adaptive={config.clip.adaptive:g}", "where no rank has a whole bias's norm"
    if config.monitor.histograms.value:
        yield "monitor.histograms", "where no rank has whole tensors"
    if config.probe.every.value:
        yield "probe.every", "where no rank has whole parameters to look at"


def check_goes_on(config: RunConfig, folder: RunDir, data: Any) -> None:
    """Refuse to go on in a folder that nobody may write to, or with other data than before.

    Args:
        config: of the run.
        folder: its own, in which it would go on.
        data: that it would go on with.

    Raises:
        UserError: so it is.
    """
    for path in (folder.path, folder.log, folder.metrics):
        if path.exists() and not os.access(path, os.W_OK):
            elsewhere = "--at last --to FOLDER goes on with a copy"
            raise UserError(f"{path}: can't be written to (Permission denied); {elsewhere}")
    check_same_data(config, folder.read_json("env.json").get("data"), data)
