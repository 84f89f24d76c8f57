"""Whether several processes train as one does: some steps of `train`, in a folder that goes."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path

from torch import nn

from optbench.check.base import SKIPPED, Finding, failed, passed, warned
from optbench.check.setup import Setup
from optbench.rundir import RunDir
from optbench.runs.torchrun import torchrun
from optbench.torch_internals import BatchNormBase
from optbench.training.signals import held

STEPS = 4
UNLIKE = 1e-3
"""Relative: losses of fp32 sums in another order are nearer."""
LEAST = 60.0
"""Seconds: to begin takes some."""
OURS = {
    **{"epochs": "null", "steps": str(STEPS), "eval.every": "0", "eval.test": "false"},
    **{"monitor.every": "1", "monitor.tensorboard": "false", "early_stopping.patience": "0"},
}
"""Settings of the short runs, whatever was asked for."""


def several_ranks(setup: Setup, count: int) -> Finding:
    """Return whether so many ranks have the losses of one."""
    with ExitStack() as stack:
        with held():  # or a signal that comes as it is made would leave it
            place = stack.enter_context(tempfile.TemporaryDirectory(prefix="optbench-check-"))
        losses = []
        for ranks in (1, count):
            folder = Path(place) / str(ranks)
            why = _train(setup, ranks, folder)
            if why:
                return Finding(SKIPPED, f"{ranks} ranks can't be tried here: {why}")
            losses.append(_losses(folder))
    one, several = losses
    said = f"losses {', '.join(f'{x:.6g}' for x in one)}; of {count} ranks "
    said += ", ".join(f"{x:.6g}" for x in several)
    far = max(
        (abs(a - b) / max(abs(a), 1e-6) for a, b in zip(one, several, strict=False)), default=1
    )
    if len(one) == len(several) and far <= UNLIKE:
        return passed(f"{count} ranks train as one does", f"{STEPS} steps, {said}", unlike=far)
    apart = [m for module in setup.modules.values() for m in module.modules()]
    if any(isinstance(m, nn.Dropout | BatchNormBase) for m in apart):
        cause = "dropout draws, and batch norm counts, on each rank by itself"
        return warned(f"{count} ranks train otherwise than one", said, cause)
    cause = "a loss or a model that looks beyond its own examples, or draws"
    return failed(f"{count} ranks train otherwise than one", said, cause, "one rank")


def limit(setup: Setup) -> float:
    """Return how many seconds a short run may take: as many as all checks have, or `LEAST`."""
    return max(LEAST, setup.seconds)


def _train(setup: Setup, ranks: int, folder: Path) -> str:
    """Train; return why that was not possible."""
    kept = [
        line
        for line in setup.spec.overrides
        if line.lstrip("+").partition("=")[0] not in (*OURS, "hydra.run.dir", "checkpoint")
    ]
    words = [*kept, *(f"{key}={value}" for key, value in OURS.items())]
    words += [f"hydra.run.dir={folder}", "checkpoint=none"]
    words += ["strategy=ddp"] if ranks == 1 else []
    if setup.config_dir is not None:
        words += ["--config-dir", setup.config_dir]
    try:
        return torchrun(ranks, ["train", *words], limit(setup))
    except TimeoutError:
        return f"{STEPS} steps take more than {limit(setup):g} s; seconds=N has more"


def _losses(folder: Path) -> list[float]:
    records = RunDir(folder).read_metrics()
    first = [(k, v) for r in records if r["kind"] == "train" for k, v in r.items()]
    return [float(v) for k, v in first if k.startswith("train/loss")]
