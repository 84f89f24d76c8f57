"""Every model of configs/model as a function of its parameters, in its task's loss."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from few import few
from torch import Tensor

from optbench.compose.paths import configs_folder
from optbench.errors import UserError
from optbench.monitor.record import Recorder
from optbench.training.objective import Objective
from optbench.training.player import Player
from optbench.training.signals import Interruption

from .experiments import Live, Memory, experiment

TEXT = ["dataset=text", "dataset.path=text.txt", "dataset.context=8"]
COLOURED = ["dataset=synthetic", "dataset.shape=[3,32,32]", "dataset.train_size=40"]

SMALL = {
    "mlp": ["model.hidden=[12]"],
    "3c3d": COLOURED,
    "torchvision": COLOURED,
    "resnet18": COLOURED,
    "wrn": ["model.depth=10", "model.width=1"],
    "vit": ["model.depth=1", "model.width=16", "model.heads=2", "model.patch_size=4"],
    "autoencoder": ["model.hidden=[12]", "model.code=4", "dataset=digits"],
    "vae": ["model.hidden=[12]", "model.latent=4", "dataset=digits"],
    "dcgan": ["model.width=4", "model.latent=5", "dataset=digits"],
    "gpt": [*TEXT, "model.layers=1", "model.heads=2", "model.width=8"],
    **{name: [*TEXT, "model.width=6"] for name in ("lstm", "gru", "rnn")},
}
NAMES = sorted({path.stem for path in (configs_folder() / "model").glob("*.yaml")} - {"custom"})

CANNOT = {
    *("lstm", "gru", "rnn"),  # their kernels have no rule
    *("dcgan", "resnet18", "torchvision", "wrn"),  # batch norm moves its statistics
}
"""Models that vmap refuses, which a newer torch may change."""


OF_BITS = ("knapsack", "onemax")
"""Functions that are the same all around a point."""


def objectives(name: str) -> list[tuple[Player, Objective]]:
    """Each player's, of four examples."""
    Path("text.txt").write_text("the quick brown fox jumps over a dog. " * 12, encoding="utf-8")
    made = experiment(f"model={name}", "steps=1", "batch_size=4", *SMALL.get(name, []))
    recorder = Recorder([Memory()], live=Live(lambda step: None))
    trainer = made.trainer(recorder, None, Interruption())
    return [(player, trainer.objective(player.name)) for player in made.state.players]


def one_by_one(player: Player, objective: Objective, stacked: list[Tensor]) -> Tensor:
    """Losses with the parameters themselves at each point."""
    losses = []
    for point in zip(*stacked, strict=True):
        with torch.no_grad():
            torch._foreach_copy_(player.parameters, list(point))
        losses.append(objective.loss())
    return torch.stack(losses)


@pytest.mark.parametrize("name", few(NAMES, 20))
def test_the_loss_is_a_function_of_the_parameters(name: str) -> None:
    for player, objective in objectives(name):
        far = 1.0 if name in OF_BITS else 0.01
        stacked = [torch.stack([p.detach(), p.detach() * 1.1 + far]) for p in player.parameters]
        found = objective.losses(stacked, way="loop")
        any_way = objective.losses(stacked)
        wanted = one_by_one(player, objective, stacked)
        assert wanted.isfinite().all() and not torch.equal(wanted[0], wanted[1])
        assert torch.allclose(found, wanted, rtol=1e-5)
        assert torch.allclose(any_way, wanted, rtol=1e-4)
        if name not in CANNOT:
            assert torch.allclose(objective.losses(stacked, way="vmap"), wanted, rtol=1e-4)


@pytest.mark.parametrize("name", few(sorted({*NAMES} - {"torchvision"}), 14))
def test_the_loss_can_be_differentiated_twice(name: str) -> None:
    for player, objective in objectives(name):
        vectors = [torch.randn_like(p) for p in player.parameters]
        others = [torch.randn_like(p) for p in player.parameters]
        products = objective.hvp(player.parameters, vectors)
        back = objective.hvp(player.parameters, others)
        pairs = zip(products, others, vectors, back, strict=True)
        sides = [((a * b).sum(), (c * d).sum()) for a, b, c, d in pairs]
        one, other = (torch.stack(side).sum() for side in zip(*sides, strict=True))
        assert torch.allclose(one, other, rtol=1e-2, atol=1e-4), "the Hessian is symmetric"


def test_a_model_that_cannot_be_says_so() -> None:
    """torchvision's default network has an activation whose backward has no derivative."""
    ((player, objective),) = objectives("torchvision")
    with pytest.raises(UserError, match=r"differentiated: torch says .*hardsigmoid_backward"):
        objective.hvp(player.parameters, [torch.ones_like(p) for p in player.parameters])
