"""optbench.tasks.drawn: evenly spread numbers become draws of the right distribution."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from optbench.tasks import drawn
from optbench.tasks.adversarial import Adversarial
from optbench.tasks.base import Task
from optbench.tasks.classification import Classification
from optbench.tasks.language import Language
from optbench.tasks.reconstruction import Reconstruction
from optbench.tasks.regression import Regression

COUNT = 20_000


def evenly(shape: Sequence[int]) -> Tensor:
    """0 to 1 down the first dimension, where the examples are."""
    each = (torch.arange(shape[0]) + 0.5) / shape[0]
    return each.view(-1, *[1] * (len(shape) - 1)).expand(*shape)


def test_classes_come_as_often_as_they_are_likely() -> None:
    logits = torch.tensor([0.3, -1.0, 2.0, 0.0])
    found = drawn.classes(logits.expand(COUNT, 4), evenly)
    counts = torch.bincount(found, minlength=4) / COUNT
    torch.testing.assert_close(counts, logits.softmax(0), atol=1e-4, rtol=0)


def test_a_class_is_never_beyond_the_last() -> None:
    found = drawn.classes(torch.zeros(5, 3), lambda shape: torch.ones(tuple(shape)))
    assert found.tolist() == [2] * 5


def test_coins_fall_as_likely() -> None:
    logits = torch.tensor([-2.0, 0.0, 1.0])
    found = drawn.coins(logits.expand(COUNT, 3), evenly).mean(dim=0)
    torch.testing.assert_close(found, logits.sigmoid(), atol=1e-4, rtol=0)


def test_numbers_are_around_their_mean_with_variance_a_half() -> None:
    found = drawn.numbers(torch.full((COUNT, 1), 3.0, dtype=torch.float64), evenly)
    assert found.mean().item() == pytest.approx(3.0, abs=1e-4)
    assert found.var().item() == pytest.approx(0.5, rel=1e-3)


def test_the_ends_of_the_range_are_finite() -> None:
    ends = torch.tensor([[0.0], [1.0]])
    assert drawn.numbers(torch.zeros(2, 1), lambda _: ends).isfinite().all()


def test_a_loss_of_draws_is_a_mean_over_terms() -> None:
    """The expected square of its slope in an output is the criterion's curvature, over terms."""
    tasks: list[tuple[Task, Tensor, tuple[Tensor, Tensor]]] = [
        (Regression(), torch.zeros(COUNT, 2), (torch.zeros(1), torch.zeros(COUNT, 2))),
        (
            Classification(),
            torch.tensor([0.3, -1.0]).repeat(COUNT, 1),
            (torch.zeros(1), torch.zeros(COUNT, dtype=torch.int64)),
        ),
        (
            Language((1,)),
            torch.tensor([0.3, -1.0]).repeat(COUNT, 1, 1),
            (torch.zeros(1), torch.zeros(COUNT, 1, dtype=torch.int64)),
        ),
    ]
    for loss in ("cross_entropy", "squared_error"):
        images = torch.zeros(COUNT, 1, 2, 1)
        tasks.append((Reconstruction(loss, [0.0], [1.0]), images, (images, images)))
    for task, outputs, batch in tasks:
        assert task.draws
        outputs = outputs.clone().requires_grad_()
        (slope,) = torch.autograd.grad(task.drawn_loss(outputs, batch, evenly), outputs)
        found = slope.square().sum() * task.terms(batch)
        wanted = curvature(task, outputs.detach())
        assert found.item() == pytest.approx(wanted, rel=1e-3), task


def curvature(task: Task, outputs: Tensor) -> float:
    """The trace of the Gauss-Newton matrix of the mean loss in the outputs."""
    if isinstance(task, Regression):
        return 2.0
    if isinstance(task, Reconstruction):
        slope = 0.25  # of the sigmoid at 0, and its variance there
        return 2 * 2 * slope**2 if task._squared else 2 * slope
    p = outputs.flatten(0, -2)[0].softmax(0)
    return float((p * (1 - p)).sum())


def test_what_has_no_distribution_says_so() -> None:
    assert not Adversarial(mean=[0], std=[1]).draws
    assert not Classification(loss=torch.nn.MultiMarginLoss()).draws
    assert not Regression(loss=torch.nn.L1Loss()).draws
