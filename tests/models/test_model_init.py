"""Statistics of each initialisation."""

import math
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf
from torch import nn

from optbench.models.init import INITIALISATIONS, initialise
from optbench.models.mlp import MLP


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(16, 32, 5), nn.BatchNorm2d(32), nn.Flatten(), nn.Linear(400, 300)
    )


def assert_spread(weight: torch.Tensor, variance: float) -> None:
    assert abs(weight.mean().item()) < 0.03 * math.sqrt(variance)
    assert weight.var().item() == pytest.approx(variance, rel=0.03)


def test_default_changes_nothing():
    model = network()
    initialise(model, "default", std=1.0, bias=1.0)
    expected = network().state_dict()
    assert all(torch.equal(value, expected[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize("name", [name for name in INITIALISATIONS if name != "default"])
def test_biases_are_constant_and_norm_layers_untouched(name):
    model = network()
    initialise(model, name, bias=0.25)
    assert (model[0].bias == 0.25).all()
    assert (model[3].bias == 0.25).all()
    assert (model[1].weight == 1).all()
    assert (model[1].bias == 0).all()


@pytest.mark.parametrize("name", INITIALISATIONS)
def test_values_follow_the_global_seed(name):
    first, second = network(), network()
    for model in (first, second):
        torch.manual_seed(3)
        initialise(model, name)
    assert torch.equal(first[0].weight, second[0].weight)
    assert torch.equal(first[3].weight, second[3].weight)


def test_kaiming():
    model = network()
    initialise(model, "kaiming")
    assert_spread(model[0].weight, 2 / (16 * 25))
    assert_spread(model[3].weight, 2 / 400)


def test_xavier_is_uniform_for_dense_layers_only():
    model = network()
    initialise(model, "xavier")
    assert_spread(model[0].weight, 2 / (48 * 25))
    assert_spread(model[3].weight, 2 / 700)
    bound = math.sqrt(6 / 700)
    assert 0.99 * bound < model[3].weight.abs().max() <= bound
    assert model[0].weight.abs().max() > math.sqrt(6 / (48 * 25))


def test_orthogonal():
    model = network()
    initialise(model, "orthogonal")
    for weight in (model[0].weight.flatten(1), model[3].weight):
        torch.testing.assert_close(weight @ weight.T, torch.eye(len(weight)), atol=1e-5, rtol=0)


def test_trunc_normal_is_cut_at_two_deviations():
    model = nn.Sequential(network(), nn.Embedding(100, 50))
    initialise(model, "trunc_normal", std=0.05)
    variance_kept = 1 - 4 * math.exp(-2) / math.sqrt(2 * math.pi) / math.erf(math.sqrt(2))
    for weight in (model[0][0].weight, model[0][3].weight, model[1].weight):
        assert weight.var().item() == pytest.approx(0.05**2 * variance_kept, rel=0.05)
        assert 0.099 < weight.abs().max() <= 0.1


def test_zeros():
    model = MLP(input_shape=(1, 4, 4), num_classes=3)
    initialise(model, "zeros")
    assert all((parameter == 0).all() for parameter in model.parameters())


def test_attention_projections_are_drawn():
    attention = nn.MultiheadAttention(32, 4)
    initialise(attention, "trunc_normal", std=0.001, bias=0.5)
    assert attention.in_proj_weight.abs().max() <= 0.002
    assert attention.out_proj.weight.abs().max() <= 0.002
    assert (attention.in_proj_bias == 0.5).all()


def test_deepobs_yaml_gives_the_deepobs_initialisation():
    configs = Path(__file__).parents[2] / "configs" / "model"
    config = OmegaConf.load(configs / "2c2d.yaml")
    assert (config.init, config.init_std, config.init_bias) == ("trunc_normal", 0.05, 0.05)
    config = OmegaConf.load(configs / "3c3d.yaml")
    assert (config.init, config.init_bias) == ("xavier", 0.0)


def test_errors_name_key_and_value():
    with pytest.raises(ValueError, match=r"name='kaimign'.*kaiming"):
        initialise(network(), "kaimign")
    with pytest.raises(ValueError, match=r"std=0\.0"):
        initialise(network(), "trunc_normal", std=0.0)
