"""Wide residual networks."""

import pytest
import torch
from torch import nn

from optbench.models.wide_resnet import WideBlock, WideResNet

CIFAR = {"input_shape": (3, 32, 32), "num_classes": 10}


def count(depth, width, num_classes=10):
    with torch.device("meta"):
        model = WideResNet(
            input_shape=(3, 32, 32), num_classes=num_classes, depth=depth, width=width
        )
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(
    ("depth", "width", "millions"), [(40, 1, 0.6), (40, 4, 8.9), (16, 8, 11.0), (28, 10, 36.5)]
)
def test_parameter_counts_are_those_of_the_papers_table_4(depth, width, millions):
    assert round(count(depth, width) / 1e6, 1) == millions


def test_the_default_on_cifar100():
    assert count(28, 10, num_classes=100) == 36_536_884


def test_the_depth_counts_the_convolutions_on_the_way():
    model = WideResNet(**CIFAR, depth=16, width=1)
    way = [m for m in model.modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3)]
    around = [m for m in model.modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (1, 1)]
    # The paper counts the ways around too: 12 in blocks, 1 at the start, 3 around.
    assert (len(way), len(around)) == (13, 2)
    wider = WideResNet(**CIFAR, depth=16, width=2)
    assert sum(isinstance(m, nn.Conv2d) for m in wider.modules()) == 16


def test_the_image_is_halved_twice():
    model = WideResNet(**CIFAR, depth=10, width=1)
    sides = []
    for block in model.blocks:
        block.register_forward_hook(lambda _m, _in, out: sides.append(tuple(out.shape[1:])))
    assert model(torch.randn(2, 3, 32, 32)).shape == (2, 10)
    assert sides == [(16, 32, 32), (32, 16, 16), (64, 8, 8)]


def test_a_block_is_norm_and_relu_before_each_convolution():
    torch.manual_seed(0)
    block = WideBlock(4, 4, 1, 0.0).eval()
    images = torch.randn(2, 4, 6, 6)
    norm = (1 + block.norm1.eps) ** -0.5
    inner = block.conv1((images * norm).relu())
    torch.testing.assert_close(block(images), images + block.conv2((inner * norm).relu()))


def test_dropout_is_between_the_convolutions():
    block = WideBlock(4, 4, 1, 0.999999)
    torch.nn.init.ones_(block.conv2.weight)
    images = torch.randn(2, 4, 6, 6)
    assert torch.equal(block(images), images)
    assert not torch.equal(block.eval()(images), images)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (1, 8, 8), (2, 5, 7)])
def test_every_parameter_is_trained_on_images_of_any_size(shape, backward):
    backward(WideResNet(input_shape=shape, num_classes=4, depth=10, width=2), shape, 4)


@pytest.mark.parametrize(
    ("key", "value", "hint"),
    [
        ("depth", 4, "the nearest is 10"),
        ("depth", 30, "the nearest is 28"),
        ("width", 0, "below 1"),
        ("dropout", 1.0, "not in"),
    ],
)
def test_bad_arguments_are_refused(key, value, hint):
    with pytest.raises(ValueError, match=rf"wrn: {key}={value} .*{hint}"):
        WideResNet(**CIFAR, **{key: value})
