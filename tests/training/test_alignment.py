"""What a schedule is told of an update."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from optbench.schedules.base import Update
from optbench.training.alignment import Alignment
from optbench.training.distributed import World


class Told:
    """A schedule that only listens."""

    def __init__(self) -> None:
        self.updates: list[Update] = []

    def __call__(self, step: int, total_steps: int) -> float:
        return 1.0

    def observe_update(self, update: Update) -> None:
        self.updates.append(update)

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Any) -> None: ...


WORLD = World(torch.device("cpu"))


def one_update(gradient: Tensor | None, dtype: torch.dtype = torch.float32) -> tuple[bool, Told]:
    """(1, 2) and 3 move to (0, 0) and 1 at lr 0.5; then comes the gradient of the first."""
    told = Told()
    first, second = (
        nn.Parameter(torch.tensor([1.0, 2.0], dtype=dtype)),
        nn.Parameter(torch.tensor(3.0, dtype=dtype)),
    )
    optimizer = torch.optim.SGD([first, second], lr=0.5)
    alignment = Alignment(told, optimizer, [0])
    assert alignment.look(WORLD) and told.updates == []
    alignment.remember()
    with torch.no_grad():
        first.zero_()
        second.fill_(1.0)
    optimizer.param_groups[0]["lr"] = 0.25
    first.grad, second.grad = gradient, torch.tensor(-1.0, dtype=dtype)
    return alignment.look(WORLD), told


def is_told(told: Told, dot: float, gradient_norm: float) -> None:
    (update,) = told.updates
    assert update.dot == pytest.approx(dot)
    assert update.gradient_norm == pytest.approx(gradient_norm)
    assert update.update_norm == pytest.approx(3.0)
    assert (update.lr, update.base_lr) == (0.5, 0.5), "of the update, not of the next"


def test_the_last_update_and_the_gradient_that_it_led_to() -> None:
    finite, told = one_update(torch.tensor([3.0, 4.0]))
    assert finite
    is_told(told, dot=3.0 + 8.0 - 2.0, gradient_norm=math.sqrt(26.0))


def test_a_parameter_without_a_gradient_has_one_of_0() -> None:
    is_told(one_update(None)[1], dot=-2.0, gradient_norm=1.0)


def test_a_sparse_gradient() -> None:
    sparse = torch.sparse_coo_tensor(
        torch.tensor([[1]]), torch.tensor([4.0]), (2,), check_invariants=True
    )
    is_told(one_update(sparse)[1], dot=8.0 - 2.0, gradient_norm=math.sqrt(17.0))


def test_squares_do_not_overflow_in_half_precision() -> None:
    large = torch.tensor([3e4, 4e4], dtype=torch.float16)
    finite, told = one_update(large, torch.float16)
    assert finite
    is_told(told, dot=3e4 + 8e4 - 2.0, gradient_norm=5e4)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_gradients_that_are_not_finite_are_passed_over(bad: float) -> None:
    finite, told = one_update(torch.tensor([bad, 1.0]))
    assert not finite and told.updates == []
