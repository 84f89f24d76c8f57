"""optbench.tasks.examples: what is said of a batch that a task can't take."""

from __future__ import annotations

import pytest
import torch

from optbench.tasks.examples import labels_wanted


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.uint32, torch.int64], ids=str)
def test_labels_of_any_whole_dtype_are_looked_at(dtype: torch.dtype) -> None:
    inputs, labels = torch.ones(2, 3), torch.tensor([0, 3]).to(dtype)
    assert labels_wanted((inputs, labels), 4) is None
    assert (labels_wanted((inputs, labels), 3) or "").endswith("there is a label 3")
