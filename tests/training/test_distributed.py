"""Two ranks under torchrun, on one machine, by gloo."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from optbench.training import checkpoint

from .ranks import ended, rank_process, ranks, torchrun, train_arguments, wait_for
from .runs import (
    SMALL,
    assert_same_bits,
    assert_same_run,
    metrics_of,
    newest,
    state_of,
    status_of,
    train,
)

# 451 training examples: the tenth and last step of an epoch has one, of which rank 0 gets none.
# 49 for validation and 101 for the test: neither can be halved.
DATA = [
    "dataset=synthetic",
    "dataset.shape=[1,6,6]",
    "dataset.train_size=500",
    "dataset.test_size=101",
    "dataset.val_fraction=0.098",
    "dataset.noise=4",
    "dataset.crop=1",
    "dataset.flip=true",
    "batch_size=50",
    "accumulate=2",
    "eval.batch_size=20",
]
COSINE = ["schedule=cosine", "schedule.warmup_steps=5"]
PLAIN = [*DATA, *COSINE, "steps=55", "optimizer=adamw"]
NOISY = [*DATA, *COSINE, "steps=230", "checkpoint.every=7", "model.dropout=0.2", "ema=0.9"]


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs of two ranks in one launch: PLAIN without and NOISY with dropout."""
    folder = tmp_path_factory.mktemp("ranks") / "sweep"
    both = [*NOISY[:-3], "ema=0,0.9", "optimizer=adamw"]
    del both
    ranks(["train", "-m", *SMALL, *DATA, *COSINE, "checkpoint.every=7", "optimizer=adamw",
           "model.dropout=0,0.2", "steps=55,230", "ema=0.9", f"hydra.sweep.dir={folder}"])
    return folder
