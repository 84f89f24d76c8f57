"""optbench.assemble.curves: an epoch is as long as the training's."""

from __future__ import annotations

from pathlib import Path

import pytest

import optbench
from optbench.assemble.curves import curves_of
from optbench.assemble.data import dataset
from optbench.assemble.experiment import build_experiment
from optbench.training.distributed import join


@pytest.mark.parametrize("carry", [False, True])
def test_an_epochs_length_is_the_trainings(tmp_path: Path, carry: bool) -> None:
    text = tmp_path / "t.txt"
    text.write_text("abcdefghij" * 64, encoding="utf-8")
    spec = optbench.compose(
        *("dataset=text", f"dataset.path={text}", "dataset.context=8", "dataset.val_fraction=0.1"),
        *("model=lstm", "model.width=6", "batch_size=4", f"task.carry={str(carry).lower()}"),
    )
    experiment = build_experiment(spec.config, dataset(spec.config), join("cpu"))
    left = len(experiment.feed.indices) % 4
    assert left and curves_of(spec.config).epoch == experiment.feed.steps_per_epoch
