"""Every scheduler of torch, through the adapter, against torch itself."""

import io
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch.optim import lr_scheduler as torchs
from torch.optim.swa_utils import SWALR

from optbench.schedules.base import has_state, is_reactive
from optbench.schedules.torch_scheduler import TorchScheduler

LR, TOTAL = 0.1, 40
CYCLE: dict[str, Any] = {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 7}
ROWS: dict[str, Callable[..., Any]] = {
    "StepLR": partial(torchs.StepLR, step_size=7, gamma=0.5),
    "MultiStepLR": partial(torchs.MultiStepLR, milestones=[3, 20]),
    "ConstantLR": partial(torchs.ConstantLR, factor=0.5, total_iters=9),
    "LinearLR": partial(torchs.LinearLR, start_factor=0.1, total_iters=9),
    "ExponentialLR": partial(torchs.ExponentialLR, gamma=0.9),
    "PolynomialLR": partial(torchs.PolynomialLR, total_iters=30, power=2.0),
    "CosineAnnealingLR": partial(torchs.CosineAnnealingLR, T_max=13, eta_min=0.02),
    "CosineAnnealingWarmRestarts": partial(torchs.CosineAnnealingWarmRestarts, T_0=5, T_mult=2),
    "CyclicLR": partial(torchs.CyclicLR, **CYCLE),
    "CyclicLR without momentum": partial(torchs.CyclicLR, cycle_momentum=False, **CYCLE),
    "OneCycleLR": partial(torchs.OneCycleLR, max_lr=0.1, total_steps=TOTAL + 2),
    "LambdaLR": partial(torchs.LambdaLR, lr_lambda=lambda step: 0.95**step),
    "MultiplicativeLR": partial(torchs.MultiplicativeLR, lr_lambda=lambda step: 0.95),
    "SWALR": partial(SWALR, swa_lr=0.02, anneal_epochs=9),
    "SequentialLR": lambda o: torchs.SequentialLR(
        o, [torchs.LinearLR(o, 0.1, 1.0, 5), torchs.ExponentialLR(o, 0.9)], [5]
    ),
    "ChainedScheduler": lambda o: torchs.ChainedScheduler(
        [torchs.LinearLR(o, 0.1, 1.0, 5), torchs.ExponentialLR(o, 0.9)], o
    ),
}
WITH_A_METRIC = {"ReduceLROnPlateau"}
LOSSES = [1.0, 0.9, 0.9, 0.95, 0.9, 0.8, 0.8, 0.8, 0.8, 0.8]


def real(betas: bool = False) -> torch.optim.Optimizer:
    weight = [torch.zeros(1, requires_grad=True)]
    if betas:
        return torch.optim.Adam(weight, lr=LR, betas=(0.5, 0.99))
    return torch.optim.SGD(weight, lr=LR, momentum=0.5)


def through_a_file(state: dict[str, Any]) -> dict[str, Any]:
    """As a checkpoint reads it: plain data only."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    loaded: dict[str, Any] = torch.load(file, weights_only=True)
    return loaded


def test_torch_has_no_scheduler_without_a_row() -> None:
    public = {
        name
        for name, value in vars(torchs).items()
        if isinstance(value, type) and issubclass(value, torchs.LRScheduler) and name[0] != "_"
    }
    assert public - {"LRScheduler"} <= set(ROWS) | WITH_A_METRIC


@pytest.mark.parametrize("betas", [False, True])
@pytest.mark.parametrize("name", ROWS)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_equals_torch(name: str, betas: bool) -> None:
    optimizer = real(betas)
    theirs = ROWS[name](optimizer)
    ours = TorchScheduler(ROWS[name], LR, (0.5, 0.99) if betas else 0.5)
    for step in range(TOTAL):
        group = optimizer.param_groups[0]
        assert abs(ours(step, TOTAL) * LR - group["lr"]) <= 1e-12, step
        momentum = ours.momentum(step, TOTAL)
        assert (0.5 if momentum is None else momentum) == (
            group["betas"][0] if betas else group["momentum"]
        ), step
        optimizer.step()
        theirs.step()


@pytest.mark.parametrize("name", ROWS)
def test_goes_on_from_its_state_with_the_same_bits(name: str) -> None:
    whole, first, second = (TorchScheduler(ROWS[name], LR, 0.5) for _ in range(3))
    every = [whole(step, TOTAL) for step in range(TOTAL)]
    assert [first(step, TOTAL) for step in range(17)] == every[:17]
    second.load_state_dict(through_a_file(first.state_dict()))
    assert [second(step, TOTAL) for step in range(16, TOTAL)] == every[16:]


def test_it_steps_as_often_as_it_is_told() -> None:
    ours = TorchScheduler(ROWS["ExponentialLR"], LR, every=5)
    assert [ours(step, 20) for step in (4, 5, 9, 10)] == pytest.approx([1.0, 0.9, 0.9, 0.81])


def test_an_earlier_step_is_found_again() -> None:
    ours = TorchScheduler(ROWS["StepLR"], LR)
    assert (ours(20, 40), ours(0, 40), ours(20, 40)) == (0.25, 1.0, 0.25)


def plateau(metric: str | None = "val/loss") -> TorchScheduler:
    make = partial(torchs.ReduceLROnPlateau, patience=0, factor=0.5)
    return TorchScheduler(make, LR, metric=metric)


def test_one_with_a_metric_steps_on_records_that_have_it() -> None:
    optimizer = real()
    theirs = torchs.ReduceLROnPlateau(optimizer, patience=0, factor=0.5)
    ours = plateau()
    assert is_reactive(ours) and has_state(ours)
    for step, loss in enumerate(LOSSES):
        theirs.step(loss)
        ours.observe({"train/loss": 5.0})
        ours.observe({"val/loss": loss})
        assert ours(step, TOTAL) * LR == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-15)
    assert ours(99, TOTAL) < 0.1


def test_one_with_a_metric_goes_on_from_its_state() -> None:
    whole, second = plateau(), plateau()
    for loss in LOSSES[:4]:
        whole.observe({"val/loss": loss})
    second.load_state_dict(through_a_file(whole.state_dict()))
    for loss in LOSSES[4:]:
        whole.observe({"val/loss": loss})
        second.observe({"val/loss": loss})
        assert whole(0, TOTAL) == second(0, TOTAL)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="ReduceLROnPlateau steps on a metric"):
        plateau(metric=None)
    with pytest.raises(ValueError, match="metric=val/loss: StepLR takes none"):
        TorchScheduler(ROWS["StepLR"], LR, metric="val/loss")
    with pytest.raises(ValueError, match="positive lr, got 0"):
        TorchScheduler(ROWS["StepLR"], 0.0)
    with pytest.raises(ValueError, match="has no step"):
        TorchScheduler(lambda optimizer: object(), LR)
