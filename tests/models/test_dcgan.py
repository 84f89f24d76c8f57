"""DCGAN's two networks."""

import pytest
import torch
from torch import nn

from optbench.models.dcgan import dcgan

SHAPES = [(1, 28, 28), (3, 32, 32), (1, 8, 8), (3, 64, 64), (3, 16, 24)]


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.mark.parametrize("shape", SHAPES)
def test_images_come_out_of_noise_and_logits_out_of_images(shape):
    model = dcgan(input_shape=shape, width=4, latent=7)
    assert list(model) == ["discriminator", "generator"]
    assert model["generator"].latent == 7
    images = model["generator"](torch.randn(3, 7))
    assert images.shape == (3, *shape)
    assert 0 <= images.min() < images.max() <= 1
    (logits,) = model["discriminator"](images)
    assert logits.shape == (3,)
    logits.sum().backward()
    assert all(p.grad is not None for p in model.parameters())


def test_a_colour_image_of_64_pixels_gets_the_papers_network():
    model = dcgan(input_shape=(3, 64, 64), width=128)
    generator = model["generator"]
    assert generator.inner == (1024, 4, 4)
    transposed = [m for m in generator.modules() if isinstance(m, nn.ConvTranspose2d)]
    assert [m.out_channels for m in transposed] == [512, 256, 128, 3]
    convolutions = [m for m in model["discriminator"].modules() if isinstance(m, nn.Conv2d)]
    assert [m.out_channels for m in convolutions] == [128, 256, 512, 1024]


def test_batch_norm_is_everywhere_but_next_to_the_image():
    model = dcgan(input_shape=(1, 32, 32), width=4)
    counts = [
        sum(isinstance(m, nn.BatchNorm2d) for m in player.modules()) for player in model.values()
    ]
    assert counts == [2, 3]
    assert not any(isinstance(m, nn.BatchNorm2d) for m in model["discriminator"].blocks[0])


def test_weights_are_drawn_as_in_the_paper():
    model = dcgan(input_shape=(1, 28, 28), width=16)
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            assert abs(layer.weight.mean() - 1) < 0.02
        elif isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            expected = 0.02 / (2 * layer.weight.numel()) ** 0.5
            assert abs(layer.weight.std() - 0.02) < 5 * expected
            assert layer.bias is None or not layer.bias.any()


def test_the_discriminator_judges_each_batch_by_itself():
    judge = dcgan(input_shape=(1, 8, 8), width=4)["discriminator"]
    real, made = torch.rand(6, 1, 8, 8), torch.rand(6, 1, 8, 8) / 10
    both = judge(real, made)
    assert torch.equal(both[0], judge(real)[0])
    assert torch.equal(both[1], judge(made)[0])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"width": 0}, "width=0"),
        ({"latent": 0}, "latent=0"),
        ({"input_shape": (1, 27, 28)}, r"\(1, 27, 28\).*even"),
        ({"input_shape": (1, 6, 8)}, r"\(1, 6, 8\).*at least 8"),
        ({"input_shape": (784,)}, "channels, height, width"),
    ],
)
def test_refuses(settings, message):
    with pytest.raises(ValueError, match=message):
        dcgan(**({"input_shape": (1, 28, 28)} | settings))
