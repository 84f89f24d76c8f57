"""Numbers that a step reads on the CPU, where the device that is not there can't go: batch norm in
training, autocast, a gradient scaler. On a GPU each would be waited for."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from training.experiments import experiment

READ = torch.ops.aten._local_scalar_dense.default


class Reads(TorchDispatchMode):
    """Counts numbers that are read."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func is READ
        return func(*args, **(kwargs or {}))


def reads(*overrides: str) -> int:
    """How many the second step of a run reads."""
    made = experiment("monitor.every=0", "eval.every=0", *overrides)
    (step,) = made.trainer().steps
    for index in range(2):
        with Reads() as counter:
            step.loss_and_gradients(made.feed.step_at(0, index))
            assert step.update()
    return counter.count


@pytest.mark.parametrize(
    "overrides",
    [
        ["model.batch_norm=true"],
        ["model.batch_norm=true", "accumulate=2", "clip.norm=1.0", "ema=0.9"],
        ["precision=bf16"],
        ["precision=bf16", "model.batch_norm=true", "accumulate=2"],
    ],
    ids=" ".join,
)
def test_no_number_is_read(overrides: list[str]) -> None:
    assert reads(*overrides) == 0


def test_a_scaler_reads_whether_it_skips_and_the_new_scale() -> None:
    """The first is torch's: of each device, whether a gradient is not finite."""
    assert reads("precision=fp16") == 2


def test_a_planted_number_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    step = torch.optim.AdamW.step

    def reading(self: Any, closure: Any = None) -> Any:
        self.param_groups[0]["params"][0].sum().item()
        return step(self, closure)

    monkeypatch.setattr(torch.optim.AdamW, "step", reading)
    assert reads("optimizer=adamw", "optimizer.implementation=fused") == 1
