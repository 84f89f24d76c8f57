"""Recomputing activations changes memory, and nothing else."""

import copy
import pickle

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from optbench.models import checkpointing
from optbench.models.checkpointing import enable_activation_checkpointing

SHAPE = (3, 16, 16)
MODELS = [
    ("mlp", {"hidden": [20, 20], "dropout": 0.5, "batch_norm": True}),
    ("vit", {"depth": 2, "width": 16, "heads": 2, "dropout": 0.3}),
    ("2c2d", {}),
    ("3c3d", {}),
    ("resnet18", {}),
    ("torchvision", {"kwargs": {"dropout": 0.3}}),
    ("torchvision", {"name": "googlenet"}),
]


@pytest.fixture
def recomputed_blocks(monkeypatch):
    """List the blocks that went through torch's checkpoint."""
    blocks = []

    def spy(function, *args, **kwargs):
        blocks.append(function.args[0])
        return checkpoint(function, *args, **kwargs)

    monkeypatch.setattr(checkpointing, "checkpoint", spy)
    return blocks


@pytest.mark.parametrize(("name", "changes"), MODELS)
def test_gradients_and_running_statistics_are_bit_equal(
    name, changes, build_model, backward, recomputed_blocks
):
    plain = build_model(name, SHAPE, 10, **changes)
    saving = build_model(name, SHAPE, 10, **changes)
    enable_activation_checkpointing(saving)
    for _ in range(2):
        expected = backward(plain, SHAPE, 10, batch=4)
        found = backward(saving, SHAPE, 10, batch=4)
        assert all(torch.equal(found[key], expected[key]) for key in expected)
    assert len(recomputed_blocks) >= 2
    expected, found = plain.state_dict(), saving.state_dict()
    assert list(found) == list(expected)
    assert all(torch.equal(found[key], expected[key]) for key in expected)


def test_activations_inside_blocks_are_not_kept(build_model):
    def stored_numbers(model: nn.Module) -> int:
        stored = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda tensor: stored.append(tensor.numel()) or tensor, lambda tensor: tensor
        ):
            model(torch.randn(8, *SHAPE))
        return sum(stored)

    model = build_model("vit", SHAPE, 10)
    before = stored_numbers(model)
    enable_activation_checkpointing(model)
    assert stored_numbers(model) < before / 5


def test_blocks_run_as_before_where_nothing_is_trained(build_model, recomputed_blocks):
    model = build_model("mlp", SHAPE, 10)
    enable_activation_checkpointing(model)
    with torch.no_grad():
        model(torch.randn(2, *SHAPE))
    model.eval()(torch.randn(2, *SHAPE))
    assert recomputed_blocks == []


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_use_their_own_parameters(duplicate, build_model):
    model = build_model("mlp", SHAPE, 10)
    enable_activation_checkpointing(model)
    twin = duplicate(model)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    assert twin(torch.randn(2, *SHAPE)).abs().sum() > 0


def test_second_derivatives_agree(build_model):
    def curvature(model: nn.Module) -> list[torch.Tensor]:
        torch.manual_seed(1)
        loss = model(torch.randn(4, *SHAPE)).square().mean()
        parameters = list(model.parameters())
        first = torch.autograd.grad(loss, parameters, create_graph=True)
        slope = sum(gradient.square().sum() for gradient in first)
        return list(torch.autograd.grad(slope, parameters))

    changes = {"hidden": [20, 20], "activation": "tanh", "dropout": 0.5, "batch_norm": True}
    plain = build_model("mlp", SHAPE, 10, **changes)
    saving = build_model("mlp", SHAPE, 10, **changes)
    enable_activation_checkpointing(saving)
    torch.testing.assert_close(curvature(saving), curvature(plain))
    for key, value in plain.state_dict().items():
        assert torch.equal(saving.state_dict()[key], value)


@pytest.mark.parametrize(("name", "changes"), [("logistic", {}), ("mlp", {"hidden": []})])
def test_models_without_blocks_are_refused(name, changes, build_model):
    with pytest.raises(ValueError, match="has no repeated blocks"):
        enable_activation_checkpointing(build_model(name, SHAPE, 10, **changes))


def test_lone_layers_are_not_blocks():
    model = nn.ModuleDict({"features": nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU())})
    with pytest.raises(ValueError, match="ModuleDict has no repeated blocks"):
        enable_activation_checkpointing(model)
