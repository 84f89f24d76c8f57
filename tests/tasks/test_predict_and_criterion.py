"""optbench.tasks.base: a loss that is a criterion of a model's outputs."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from optbench.models.recurrent import LSTM
from optbench.tasks.adversarial import Adversarial
from optbench.tasks.base import Lanes, Modules, Task
from optbench.tasks.classification import Classification
from optbench.tasks.copying import Copying
from optbench.tasks.function import Function
from optbench.tasks.language import Language
from optbench.tasks.reconstruction import Reconstruction
from optbench.tasks.regression import Regression
from optbench.tasks.vae import VariationalAutoencoder


@pytest.mark.parametrize(
    "task",
    [
        *(Classification(), Copying(), Regression(), Language((8,)), Function((2,))),
        *(Reconstruction(), VariationalAutoencoder()),
    ],
    ids=lambda task: type(task).__name__,
)
def test_these_split(task: Task) -> None:
    assert task.splits


def test_a_game_does_not_split() -> None:
    assert not Adversarial().splits


class Penalised(Classification):
    """A user's, with a loss of its own on top."""

    def loss(self, modules: Modules, batch: Any, player: str) -> Tensor:
        return super().loss(modules, batch, player) + 1


def test_a_loss_of_its_own_does_not_split() -> None:
    task = Penalised()
    batch = (torch.randn(4, 3), torch.tensor([0, 1, 2, 0]))
    assert not task.splits and not Task().splits
    plain = Classification().loss({"model": nn.Identity()}, batch, "model")
    assert torch.equal(plain, cross_entropy(*batch))
    assert torch.equal(task.loss({"model": nn.Identity()}, batch, "model"), plain + 1)


def lanes(position: int) -> Lanes:
    ids = torch.randint(5, (2, 7), generator=torch.Generator().manual_seed(position))
    return Lanes((ids[:, :-1], ids[:, 1:]), 0, 2, position, position == 0)


def test_untouched_a_loss_carries_nothing_on() -> None:
    torch.manual_seed(0)
    model = {"model": LSTM(input_shape=(6,), num_classes=5, width=4)}
    plain, looked_at = Language((6,), carry=True), Language((6,), carry=True)
    for position in range(4):
        with looked_at.untouched():
            other = {"model": LSTM(input_shape=(6,), num_classes=5, width=4)}
            for ahead in (position, position + 1):
                looked_at.loss(other, lanes(ahead), "model")
            seen = looked_at.loss(model, lanes(position), "model")
        again = looked_at.loss(model, lanes(position), "model")
        assert torch.equal(plain.loss(model, lanes(position), "model"), again)
        assert torch.equal(seen, again), "it began elsewhere"
    one, other_state = plain.state_dict(), looked_at.state_dict()
    assert one["position"] == other_state["position"] == 3
    assert all(map(torch.equal, one["end"], other_state["end"]))
