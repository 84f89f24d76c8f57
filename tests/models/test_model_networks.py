"""Architecture of the networks written here."""

import pytest
import torch
from torch import nn
from torch.nn.functional import max_pool2d, pad

from optbench.models.deepobs import net_2c2d, net_3c3d, same_max_pool
from optbench.models.logistic import Logistic
from optbench.models.mlp import ACTIVATIONS, MLP
from optbench.models.vit import ViT

MNIST = {"input_shape": (1, 28, 28), "num_classes": 10}
DIGITS = {"input_shape": (1, 8, 8), "num_classes": 10}


def count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def test_parameter_counts_are_those_published():
    assert count(net_2c2d(**MNIST)) == 3_274_634
    assert count(net_3c3d(input_shape=(3, 32, 32), num_classes=10)) == 895_210
    assert count(Logistic(**MNIST)) == 7_850
    assert count(MLP(hidden=[1000, 500, 100], **MNIST)) == 1_336_610


@pytest.mark.parametrize("kernel", [2, 3])
@pytest.mark.parametrize(("height", "width"), [(1, 2), (5, 6), (6, 7), (13, 28)])
def test_same_pooling_pads_as_tensorflow_does(kernel, height, width):
    images = torch.randn(2, 3, height, width)
    margins = []
    for size in (width, height):
        total = max((-(-size // 2) - 1) * 2 + kernel - size, 0)
        margins += [total // 2, total - total // 2]
    expected = max_pool2d(pad(images, margins, value=float("-inf")), kernel, 2)
    assert torch.equal(same_max_pool(kernel, height, width)(images), expected)


def test_deepobs_networks_adapt_to_the_image():
    assert net_2c2d(input_shape=(2, 5, 7), num_classes=4)(torch.zeros(3, 2, 5, 7)).shape == (3, 4)
    assert net_3c3d(input_shape=(2, 9, 9), num_classes=4)(torch.zeros(3, 2, 9, 9)).shape == (3, 4)
    with pytest.raises(ValueError, match=r"3c3d.*\(2, 8, 9\)"):
        net_3c3d(input_shape=(2, 8, 9), num_classes=4)
    with pytest.raises(ValueError, match=r"2c2d: input_shape=\(784,\)"):
        net_2c2d(input_shape=(784,), num_classes=4)


def test_mlp_without_hidden_layers_is_logistic_regression():
    torch.manual_seed(0)
    mlp = MLP(hidden=[], **DIGITS)
    torch.manual_seed(0)
    logistic = Logistic(**DIGITS)
    images = torch.randn(4, 1, 8, 8)
    assert torch.equal(mlp(images), logistic(images))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_mlp_layers_come_in_the_documented_order(activation):
    mlp = MLP(hidden=[5, 6], activation=activation, dropout=0.25, batch_norm=True, **DIGITS)
    kinds = [nn.Linear, nn.BatchNorm1d, ACTIVATIONS[activation], nn.Dropout]
    assert [[type(layer) for layer in block] for block in mlp.blocks] == [kinds, kinds]
    assert mlp.blocks[0][3].p == 0.25
    assert mlp(torch.randn(3, 1, 8, 8)).shape == (3, 10)


def test_mlp_adds_inputs_where_widths_agree():
    mlp = MLP(hidden=[6, 6, 5], activation="tanh", residual=True, **DIGITS)
    images = torch.randn(3, 1, 8, 8)
    first, second, third = mlp.blocks
    one = first(images.flatten(1))
    assert torch.equal(second(one), one + torch.tanh(second[0](one)))
    assert torch.equal(mlp(images), mlp.head(torch.tanh(third[0](second(one)))))


def test_mlp_refuses_bad_arguments():
    with pytest.raises(ValueError, match=r"activation='rleu'.*relu"):
        MLP(activation="rleu", **DIGITS)
    with pytest.raises(ValueError, match=r"hidden=\[3, 0\]"):
        MLP(hidden=[3, 0], **DIGITS)
    with pytest.raises(ValueError, match=r"dropout=1\.0"):
        MLP(dropout=1.0, **DIGITS)


@pytest.mark.parametrize("pooling", ["mean", "class_token"])
def test_vit_pools_as_asked(pooling, backward):
    vit = ViT(pooling=pooling, width=16, heads=2, depth=2, dropout=0.1, **DIGITS)
    assert (vit.class_token is not None) == (pooling == "class_token")
    backward(vit, (1, 8, 8), 10)


def test_vit_attention_is_that_of_torch():
    vit = ViT(width=16, heads=4, depth=1, **DIGITS)
    ours = vit.blocks[0].attention
    reference = nn.MultiheadAttention(16, 4, batch_first=True)
    reference.in_proj_weight = ours.query_key_value.weight
    reference.in_proj_bias = ours.query_key_value.bias
    reference.out_proj = ours.projection
    tokens = torch.randn(2, 5, 16)
    torch.testing.assert_close(ours(tokens), reference(tokens, tokens, tokens)[0])


def test_vit_sees_the_order_of_patches():
    vit = ViT(width=16, heads=2, depth=1, **DIGITS).eval()
    image = torch.randn(1, 1, 8, 8)
    assert not torch.allclose(vit(image), vit(image.roll(4, dims=-1)))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("patch_size", 3),
        ("patch_size", 0),
        ("depth", 0),
        ("heads", 3),
        ("mlp_ratio", 0.0),
        ("dropout", -0.1),
        ("pooling", "max"),
    ],
)
def test_vit_refuses_bad_arguments(key, value):
    with pytest.raises(ValueError, match=f"{key}={value!r}"):
        ViT(**DIGITS, **{key: value})
