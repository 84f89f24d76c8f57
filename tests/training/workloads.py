"""All workload files, each cut down to a run of moments; and two ranks that go through them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import yaml

from optbench.cli.main import main
from optbench.compose.paths import configs_folder
from optbench.training.distributed import end

from .runs import MACHINE, copied_after, resume

NAMES = sorted(p.stem for p in (configs_folder() / "workload").glob("*.yaml") if p.stem != "none")
LETTERS = 70
"""In a sample of text, of 300 otherwise; more than the 64 that a model looks back on."""

LAST, CUT, SAVED = 7, 5, 3
"""Steps: of the whole run, after which it dies, and between checkpoints."""

SHORT = [
    *("epochs=null", f"steps={LAST}", "batch_size=8", "monitor.every=2"),
    *(f"checkpoint.every={SAVED}", "eval.every=2", "eval.batch_size=5"),
]
SMALLER = {
    "adding_rnn": ["dataset.train_size=40", "dataset.val_size=9", "dataset.test_size=9"],
    "cifar100_wrn": ["model.depth=10", "model.width=1"],
    "imagenet_resnet50": [
        *("+model.kwargs.width_per_group=4", "dataset.size=32", "dataset.resize=36"),
        "dataset.workers=0",
    ],
    "mnist_autoencoder": ["model.hidden=[40,30]", "model.code=16"],
    "mnist_dcgan": ["model.width=4", "model.latent=10"],
    "mnist_vae": ["model.hidden=[16]", "model.latent=4"],
    "quadratic_deep": ["dataset.train_size=40", "dataset.val_size=9"],
    "shakespeare_gpt": ["model.layers=1", "model.heads=2", "model.width=16"],
    "shakespeare_lstm": ["model.layers=1", "model.width=16"],
}
"""What makes a large one small. A workload that is small needs no row."""

LARGE = ("cifar10_resnet18", "imagenet_resnet50")
"""Those that nothing makes small: their models have no width, or too many layers."""

LARGER = ("fmnist_2c2d", "mnist_vae")
"""Those of which one mode does where time is short."""

MODES = {
    "plain": [],
    # Autocast leaves the test functions' float64 alone, so they are as exact as ever.
    "bf16": ["precision=bf16", "accumulate=2"],
    "ranks": [],
}


def small_workload(name: str) -> list[str]:
    """The overrides of a short run; with 36 examples to train on it dies after an epoch."""
    said = yaml.safe_load(
        (configs_folder() / "workload" / f"{name}.yaml").read_text(encoding="utf-8")
    )
    warms_up = (said.get("schedule") or {}).get("warmup_steps")
    warmup = ["schedule.warmup_steps=3"] if warms_up else []
    return [*MACHINE, f"workload={name}", *SHORT, *warmup, *SMALLER.get(name, [])]


def whole_and_resumed(folder: Path, *overrides: str) -> None:
    """A run in `folder/whole`, and in `folder/resumed` the same after a death."""
    whole, resumed = folder / "whole", folder / "resumed"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("optbench.tasks.language.SAMPLE_LENGTH", LETTERS)
        with copied_after(CUT, whole, resumed):
            assert main(["train", *overrides, f"hydra.run.dir={whole}"]) == 0
        assert resume(resumed) == 0


def by_ranks(root: Path, names: list[str]) -> None:
    """What each of two ranks does."""
    for name in names:
        whole_and_resumed(root / name, *small_workload(name))


if __name__ == "__main__":
    by_ranks(Path(sys.argv[1]), sys.argv[2:])
    end(0)  # as the program does: gloo's threads live on
