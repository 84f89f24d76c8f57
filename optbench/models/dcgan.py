"""DCGAN: a convolutional generator and discriminator.

Source: Radford, Metz, Chintala, "Unsupervised Representation Learning with Deep Convolutional
Generative Adversarial Networks", ICLR 2016. As there: strided convolutions and no pooling, batch
norm in both (not on the generator's output and the discriminator's input), ReLU and tanh in the
generator, leaky ReLU of slope 0.2 in the discriminator, weights from N(0, 0.02); batch norm's
scales from N(1, 0.02) as in the authors' code.

The paper's images are 64x64 with values from -1 to 1. Here the number of layers follows from the
size, and images have values from 0 to 1 as data sets do: the generator maps its tanh to that
range, and the discriminator maps it back, so the networks in between are the paper's.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from optbench.models.arguments import image_dimensions

SMALLEST = 4
"""Sides are halved as long as they are even and stay at least this long, as in the paper."""
STD = 0.02
SLOPE = 0.2


def dcgan(*, input_shape: Sequence[int], width: int = 32, latent: int = 100) -> nn.ModuleDict:
    """Build the two players, `discriminator` and `generator`.

    28x28 images are made from 7x7 in two doublings, 32x32 and 64x64 from 4x4 in three and four.

    Args:
        input_shape: (C, H, W) of one image; H and W even and at least 8.
        width: channels of the layer next to the image, doubled in each layer further in. The
            paper's is 128; the default lets a CPU train it.
        latent: length of the noise from which an image is made.

    Raises:
        ValueError: on a width or latent below 1, or an image whose sides can't be halved.
    """
    for key, value in {"width": width, "latent": latent}.items():
        if value < 1:
            raise ValueError(f"dcgan: {key}={value} is below 1")
    channels, height, breadth = image_dimensions("dcgan", input_shape)
    halvings = count_halvings(height, breadth)
    if not halvings:
        raise ValueError(
            f"dcgan: input_shape={tuple(input_shape)}: sides must be even and at least 8"
        )
    inner = (height >> halvings, breadth >> halvings)
    widths = [channels, *(width << number for number in range(halvings))]
    return nn.ModuleDict(
        {
            "discriminator": Discriminator(widths, inner),
            "generator": Generator(widths[::-1], inner, latent),
        }
    )


def count_halvings(*sides: int) -> int:
    """Return how often all sides can be halved while even, and at least SMALLEST after it."""
    count = 0
    while all(side % 2 == 0 and side // 2 >= SMALLEST for side in sides):
        sides = tuple(side // 2 for side in sides)
        count += 1
    return count


class Generator(nn.Module):
    """Noise [N, latent] to images [N, C, H, W] with values from 0 to 1.

    Args:
        widths: channels from the innermost layer to the image.
        inner: height and width of the innermost layer.
        latent: length of the noise, kept as an attribute.
    """

    def __init__(self, widths: Sequence[int], inner: tuple[int, int], latent: int) -> None:
        super().__init__()
        self.latent = latent
        self.inner = (widths[0], *inner)
        self.project = nn.Linear(latent, widths[0] * inner[0] * inner[1], bias=False)
        self.norm = nn.BatchNorm2d(widths[0])
        self.blocks = nn.Sequential()
        for fan_in, fan_out in pairwise(widths[:-1]):
            self.blocks.append(
                nn.Sequential(
                    nn.ConvTranspose2d(fan_in, fan_out, 4, stride=2, padding=1, bias=False),
                    nn.BatchNorm2d(fan_out),
                    nn.ReLU(),
                )
            )
        self.head = nn.ConvTranspose2d(widths[-2], widths[-1], 4, stride=2, padding=1)
        _draw(self)

    @property
    def checkpoint_blocks(self) -> list[nn.Module]:
        """The hidden transposed convolutions."""
        return list(self.blocks)

    def forward(self, noise: Tensor) -> Tensor:
        inner = self.norm(self.project(noise).unflatten(1, self.inner)).relu()
        images: Tensor = self.head(self.blocks(inner)).tanh()
        return (images + 1) / 2


class Discriminator(nn.Module):
    """Batches of images [N, C, H, W] with values from 0 to 1 to logits [N]: above 0 is real.

    Args:
        widths: channels from the image to the innermost layer.
        inner: height and width of the innermost layer.
    """

    def __init__(self, widths: Sequence[int], inner: tuple[int, int]) -> None:
        super().__init__()
        self.blocks = nn.Sequential()
        for number, (fan_in, fan_out) in enumerate(pairwise(widths)):
            convolution = nn.Conv2d(fan_in, fan_out, 4, stride=2, padding=1, bias=not number)
            norm = [nn.BatchNorm2d(fan_out)] if number else []
            self.blocks.append(nn.Sequential(convolution, *norm, nn.LeakyReLU(SLOPE)))
        self.head = nn.Linear(widths[-1] * inner[0] * inner[1], 1)
        _draw(self)

    @property
    def checkpoint_blocks(self) -> list[nn.Module]:
        """The convolutions."""
        return list(self.blocks)

    def forward(self, *images: Tensor) -> tuple[Tensor, ...]:
        """Return the logits of each batch by itself: batch norm sees real and made images apart.

        All in one call, because DistributedDataParallel counts calls.
        """
        return tuple(self._judge(batch) for batch in images)

    def _judge(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.blocks(images * 2 - 1).flatten(1))
        return logits.squeeze(1)


@torch.no_grad()
def _draw(module: nn.Module) -> None:
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.weight.normal_(1, STD)
        elif isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            layer.weight.normal_(0, STD)
            if layer.bias is not None:
                layer.bias.zero_()
