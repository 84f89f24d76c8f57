"""A planted error changes the verdict that it should: a data set whose images tell their labels."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.program import call

from .conftest import write

LEAKY = '''
from functools import cached_property

import numpy as np
from sklearn.datasets import load_digits

from optbench.data.arrays import ArrayDataset, Examples
from optbench.data.digits import Digits, split


class Leaky(Digits):
    """The digits, of which each has its label drawn into a corner, bright."""

    @cached_property
    def _arrays(self):
        table = load_digits()
        labels = table.target.astype(np.int64)
        images = (table.data / 16).astype(np.float32)
        images[:, :10] = 0
        images[np.arange(len(labels)), labels] = 4
        images = images.reshape(-1, 1, 8, 8)
        train, test = (Examples(images[part], labels[part]) for part in split(labels))
        return ArrayDataset("leaky", train, test, 10, *self._settings)
'''
CONFIG = """
_target_: leaky.Leaky
mean: [0.3051]
std: [0.3759]
crop: 0
flip: false
"""
CLAIM = "claim small_batch_generalises seeds=10 epochs=10"
"""Both cases are of as many epochs then, which are done once."""


@pytest.mark.slow
def test_labels_that_leak_are_found(workplace: Path) -> None:
    """A claim on how well is generalised says something only where there is something to learn.

    Who can read the label off has no error to differ in, whatever the size of its batches.
    """
    pytest.importorskip("scipy")
    write(workplace / "leaky.py", LEAKY)
    write(workplace / "own" / "dataset" / "leaky.yaml", CONFIG)
    right = call(CLAIM)
    assert "verdict: holds  (p" in right.out, right.err
    wrong = call(f"{CLAIM} 'instead={{digits: leaky}}' --config-dir own")
    assert "verdict: does not hold here" in wrong.out, wrong.err
