"""Adaptation of torchvision's networks."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from optbench.models.torchvision_model import torchvision_classifier

CIFAR = {"input_shape": (3, 32, 32), "num_classes": 10}


def test_resnet18_for_cifar_has_the_known_size():
    model = torchvision_classifier("resnet18", **CIFAR)
    assert sum(parameter.numel() for parameter in model.parameters()) == 11_173_962
    assert isinstance(model.maxpool, nn.Identity)
    assert model.conv1.stride == (1, 1)
    expected = (2 / (64 * 9)) ** 0.5
    assert model.conv1.weight.std().item() == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize(
    ("shape", "small_stem", "kernel"),
    [
        ((3, 32, 32), False, 7),
        ((3, 33, 32), None, 7),
        ((3, 64, 64), True, 3),
        ((1, 28, 28), None, 3),
        ((1, 64, 64), None, 7),
    ],
)
def test_stem_follows_the_image_unless_told(shape, small_stem, kernel):
    model = torchvision_classifier(
        "resnet18", input_shape=shape, num_classes=10, small_stem=small_stem
    )
    assert model.conv1.kernel_size == (kernel, kernel)
    assert model.conv1.in_channels == shape[0]


@pytest.mark.parametrize("name", ["squeezenet1_1", "shufflenet_v2_x0_5", "googlenet"])
def test_first_convolution_takes_the_channels(name):
    torch.manual_seed(0)
    usual = torchvision_classifier(name, **CIFAR)
    model = torchvision_classifier(name, input_shape=(5, 32, 32), num_classes=10)
    first, original = (
        next(module for module in network.modules() if isinstance(module, nn.Conv2d))
        for network in (model, usual)
    )
    assert first.weight.shape == (original.out_channels, 5, *original.kernel_size)
    assert (first.stride, first.padding) == (original.stride, original.padding)
    assert first.weight.std().item() == pytest.approx(original.weight.std().item(), rel=0.2)
    assert model.training
    assert model(torch.randn(2, 5, 32, 32)).shape == (2, 10)


def test_models_for_one_image_size_are_built_for_that_of_the_data():
    assert torchvision_classifier("vit_b_32", **CIFAR).image_size == 32


def test_zero_init_residual():
    model = torchvision_classifier("resnet18", zero_init_residual=True, **CIFAR)
    assert (model.layer1[0].bn2.weight == 0).all()
    with pytest.raises(ValueError, match=r"squeezenet1_1.*zero_init_residual"):
        torchvision_classifier("squeezenet1_1", zero_init_residual=True, **CIFAR)


def test_further_arguments_reach_the_model():
    model = torchvision_classifier("mobilenet_v3_small", kwargs={"dropout": 0.35}, **CIFAR)
    assert 0.35 in [module.p for module in model.modules() if isinstance(module, nn.Dropout)]


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("ResNet81", {}, r"name='ResNet81' is not known; did you mean .*resnet18"),
        ("mobilenet_v3_smal", {}, r"did you mean mobilenet_v3_small"),
        ("squeezenet1_1", {"small_stem": True}, r"squeezenet1_1: small_stem=True"),
        ("squeezenet1_1", {"kwargs": {"colour": 3}}, r"squeezenet1_1.*'colour'"),
        ("inception_v3", {"kwargs": {"aux_logits": True}}, r"inception_v3.*aux_logits"),
        ("resnet18", {"kwargs": {"weights": "DEFAULT"}}, r"resnet18.*weights"),
        ("alexnet", {}, r"alexnet: cannot process input_shape=\(3, 32, 32\)"),
        ("maxvit_t", {}, r"maxvit_t: cannot be built for input_shape=\(3, 32, 32\)"),
        ("resnet18", {"input_shape": (32, 32)}, r"resnet18: input_shape=\(32, 32\)"),
    ],
)
def test_what_cannot_work_is_refused(name, arguments, message):
    with pytest.raises(ValueError, match=message) as caught:
        torchvision_classifier(name, **(CIFAR | arguments))
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_torchvision_is_imported_only_when_a_model_needs_it():
    code = (
        "import sys, optbench.models.torchvision_model, optbench.models.vit;"
        "sys.exit('torchvision' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
