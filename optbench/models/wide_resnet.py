"""Wide residual networks for images of CIFAR's size.

Source: Zagoruyko, Komodakis, "Wide Residual Networks", BMVC 2016. As there and in the authors'
code: norm and ReLU before each 3x3 convolution, dropout between the two of a block, a 1x1
convolution of the normalised input where the width changes, convolutions drawn as He et al. 2015
with the outgoing connections counted, and a head whose bias starts at zero.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from optbench.models.arguments import check_dropout, image_dimensions

STEM = 16
"""Channels of the first convolution; a group has 1, 2 and 4 times as many, times the width."""


class WideBlock(nn.Module):
    """Two convolutions and what goes around them: [N, C, H, W] to [N, channels, H/s, W/s].

    Args:
        fan_in: channels that come in.
        channels: channels that go out.
        stride: of the first convolution.
        dropout: probability, between the convolutions.
    """

    def __init__(self, fan_in: int, channels: int, stride: int, dropout: float) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(fan_in)
        self.conv1 = nn.Conv2d(fan_in, channels, 3, stride=stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.shortcut: nn.Conv2d | None = None
        if fan_in != channels or stride != 1:
            self.shortcut = nn.Conv2d(fan_in, channels, 1, stride=stride, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        active = self.norm1(images).relu()
        # Where the width changes, the way around begins after the first norm, as in the authors'.
        around = images if self.shortcut is None else self.shortcut(active)
        inner = self.norm2(self.conv1(active)).relu()
        output: Tensor = around + self.conv2(self.dropout(inner))
        return output


class WideResNet(nn.Module):
    """A convolution, three groups of blocks and a linear `head`: [N, C, H, W] to logits.

    The second and third group halve the image. `depth=28 width=10` has 36,536,884 parameters for
    CIFAR-100.

    Args:
        input_shape: (C, H, W) of one image.
        num_classes: number of logits.
        depth: convolutions, 6 n + 4 for n blocks in each group: two in a block, three that change
            widths and the first.
        width: multiple of a plain residual network's channels (16, 32, 64).
        dropout: probability inside each block; 0.3 in the paper where there is any.

    Raises:
        ValueError: on a depth that is not 10, 16, 22, ..., a width below 1 or a dropout outside
            [0, 1).
    """

    def __init__(
        self,
        *,
        input_shape: Sequence[int],
        num_classes: int,
        depth: int = 28,
        width: int = 10,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if depth < 10 or (depth - 4) % 6:
            nearest = 6 * max(1, round((depth - 4) / 6)) + 4
            raise ValueError(f"wrn: depth={depth} is not 6 n + 4; the nearest is {nearest}")
        if width < 1:
            raise ValueError(f"wrn: width={width} is below 1")
        check_dropout("wrn", dropout)
        channels, _, _ = image_dimensions("wrn", input_shape)
        self.stem = nn.Conv2d(channels, STEM, 3, padding=1, bias=False)
        self.blocks = nn.Sequential()
        fan_in = STEM
        for group in range(3):
            for number in range((depth - 4) // 6):
                stride = 2 if group and not number else 1
                self.blocks.append(WideBlock(fan_in, (STEM << group) * width, stride, dropout))
                fan_in = (STEM << group) * width
        self.norm = nn.BatchNorm2d(fan_in)
        self.head = nn.Linear(fan_in, num_classes)
        _draw(self)

    @property
    def checkpoint_blocks(self) -> list[nn.Module]:
        """The residual blocks."""
        return list(self.blocks)

    def forward(self, images: Tensor) -> Tensor:
        features = self.norm(self.blocks(self.stem(images))).relu()
        logits: Tensor = self.head(adaptive_avg_pool2d(features, 1).flatten(1))
        return logits


@torch.no_grad()
def _draw(model: WideResNet) -> None:
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    model.head.bias.zero_()
