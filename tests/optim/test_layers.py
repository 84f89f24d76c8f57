"""Layers of models, and how their learning rates fall towards the input."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from optbench.models.dcgan import Generator
from optbench.models.gpt import GPT
from optbench.models.recurrent import GRU
from optbench.models.torchvision_model import torchvision_classifier
from optbench.models.vae import VAE
from optbench.models.vit import ViT
from optbench.optim.layers import layer_factors, layers


def gpt(tie: bool) -> GPT:
    return GPT(input_shape=(6,), num_classes=5, layers=2, heads=1, width=4, tie=tie)


def image(name: str) -> nn.Module:
    return torchvision_classifier(name, input_shape=(3, 32, 32), num_classes=3)


def short(module: nn.Module) -> list[set[str]]:
    """Of each layer, the names of its parameters without their last part, or what is bare."""
    cut = [{n.rpartition(".")[0] or n for n in names} for names in layers(module)]
    return [{".".join(n.split(".")[:2]) for n in names} for names in cut]


def test_embeddings_are_one_layer_and_a_tied_output_is_of_the_last() -> None:
    tied, loose = layer_factors(gpt(True), 0.5), layer_factors(gpt(False), 0.5)
    assert loose["tokens.weight"] == loose["positions.weight"] == 0.5**4
    assert loose["blocks.0.norm1.weight"] == 0.5**3 and loose["blocks.1.norm1.weight"] == 0.5**2
    assert loose["norm.weight"] == 0.5 and loose["head.weight"] == 1.0
    assert tied["tokens.weight"] == 1.0
    assert {n: f for n, f in tied.items() if n != "tokens.weight"} == {
        n: f for n, f in loose.items() if n not in ("tokens.weight", "head.weight")
    }


BLOCKS = [{"blocks.0"}, {"blocks.1"}]
MODELS: dict[str, tuple[Callable[[], nn.Module], list[set[str]]]] = {
    "vit": (
        lambda: ViT(
            **{"input_shape": (1, 8, 8), "num_classes": 3, "depth": 2, "width": 4, "heads": 1},
            pooling="class_token",
        ),
        [{"positions", "class_token", "patches"}, *BLOCKS, {"norm"}, {"head"}],
    ),
    "gru": (
        lambda: GRU(input_shape=(6,), num_classes=5, width=4, layers=2),
        [{"embedding"}, {"core"}, {"core"}, {"head"}],
    ),
    "generator": (
        lambda: Generator([4, 2, 1], (2, 2), 3),
        [{"project"}, {"norm"}, {"blocks.0"}, {"head"}],
    ),
    "vae": (
        lambda: VAE(input_shape=(4,), hidden=(3,), latent=2),
        [{"encoder.0"}, {"mean", "log_var"}, {"decoder.0"}, {"head"}],
    ),
    "branches": (
        lambda: nn.ModuleDict({"stem": nn.Linear(2, 2), "fork": Fork(), "head": nn.Linear(2, 2)}),
        [{"stem"}, {"fork.left", "fork.right"}, {"head"}],
    ),
    "numbers": (lambda: Numbers(), [{"first"}, {"second"}]),
}


class Fork(nn.Module):
    """Two branches beside each other."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = (nn.Sequential(nn.Linear(2, 2), nn.ReLU()) for _ in range(2))


class Numbers(nn.Module):
    """Parameters without a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = (nn.Parameter(torch.zeros(2)) for _ in range(2))


@pytest.mark.parametrize("name", MODELS)
def test_the_layers_of_a_model(name: str) -> None:
    make, expected = MODELS[name]
    assert short(make()) == expected


def test_blocks_inside_of_another_child() -> None:
    from torchvision.models import VisionTransformer  # slow to import

    found = layers(VisionTransformer(8, 4, 2, 1, 4, 4))
    assert len(found) == 5
    assert {n.split(".")[0] for n in found[0]} == {"class_token", "conv_proj", "encoder"}
    assert "encoder.pos_embedding" in found[0]
    assert all(f"encoder_layer_{k}." in n for k in range(2) for n in found[k + 1])
    assert [n.split(".")[:2] for n in found[3]] == [["encoder", "ln"]] * 2


def test_every_parameter_has_a_factor() -> None:
    for module in (gpt(True), image("resnet18"), image("squeezenet1_1")):
        factors = layer_factors(module, 0.5)
        assert set(factors) == {name for name, _ in module.named_parameters()}
        assert max(factors.values()) == 1.0
    assert layer_factors(image("resnet18"), 0.5)["layer4.1.conv1.weight"] == 0.5
