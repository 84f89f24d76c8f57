"""The two small convolutional networks of DeepOBS.

Source: Schneider, Balles, Hennig, "DeepOBS: A Deep Learning Optimizer Benchmark Suite",
ICLR 2019. DeepOBS draws the weights of 2c2d from a normal of standard deviation 0.05 cut at
two of these, with biases 0.05; those of 3c3d by Glorot's rule (normal for convolutions,
uniform for dense layers), with biases 0. Here these are settings of
`optbench.models.init.initialise`, given in the models' YAML files.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor, nn

from optbench.models.arguments import image_dimensions


class ConvLayer(NamedTuple):
    """Output channels and kernel size of one convolution; `same` keeps the image size."""

    channels: int
    kernel: int
    same: bool


class ConvThenDense(nn.Module):
    """Convolution blocks, dense blocks, and a linear `head` for the logits.

    Maps inputs [N, C, H, W] to logits [N, num_classes].
    """

    def __init__(self, conv: nn.Sequential, dense: nn.Sequential, head: nn.Linear) -> None:
        super().__init__()
        self.conv = conv
        self.dense = dense
        self.head = head

    @property
    def checkpoint_blocks(self) -> list[nn.Module]:
        """Each convolution with its activation and pooling, and each hidden dense layer."""
        return [*self.conv, *self.dense]

    def forward(self, inputs: Tensor) -> Tensor:
        logits: Tensor = self.head(self.dense(self.conv(inputs).flatten(1)))
        return logits


def net_2c2d(*, input_shape: Sequence[int], num_classes: int) -> ConvThenDense:
    """Build 2c2d: two 5x5 convolutions (32, 64) and a dense layer of 1024, all with ReLU.

    Each convolution keeps the image size and is followed by 2x2 max pooling of stride 2.
    It has 3,274,634 parameters for (1, 28, 28) and 10 classes.

    Args:
        input_shape: (C, H, W) of one example.
        num_classes: number of logits.

    Raises:
        ValueError: if `input_shape` is not (C, H, W).
    """
    convolutions = [ConvLayer(32, 5, same=True), ConvLayer(64, 5, same=True)]
    return _build("2c2d", input_shape, num_classes, convolutions, pool=2, widths=[1024])


def net_3c3d(*, input_shape: Sequence[int], num_classes: int) -> ConvThenDense:
    """Build 3c3d: convolutions 5x5 (64), 3x3 (96), 3x3 (128), dense 512 and 256, with ReLU.

    Only the third convolution pads its input; each is followed by 3x3 max pooling of stride 2.
    It has 895,210 parameters for (3, 32, 32) and 10 classes.

    Args:
        input_shape: (C, H, W) of one example, H and W at least 9.
        num_classes: number of logits.

    Raises:
        ValueError: if `input_shape` is not (C, H, W) or is too small.
    """
    convolutions = [
        ConvLayer(64, 5, same=False),
        ConvLayer(96, 3, same=False),
        ConvLayer(128, 3, same=True),
    ]
    return _build("3c3d", input_shape, num_classes, convolutions, pool=3, widths=[512, 256])


def same_max_pool(kernel: int, height: int, width: int) -> nn.MaxPool2d:
    """Build the max pooling of stride 2 that TensorFlow calls 'same', for one image size.

    It maps [N, C, height, width] to [N, C, ceil(height / 2), ceil(width / 2)]. TensorFlow puts the
    odd element of the padding at the end, where `ceil_mode` extends the image.
    """

    def padding_before(size: int) -> int:
        return max((math.ceil(size / 2) - 1) * 2 + kernel - size, 0) // 2

    padding = (padding_before(height), padding_before(width))
    return nn.MaxPool2d(kernel, stride=2, padding=padding, ceil_mode=True)


def _build(
    model: str,
    input_shape: Sequence[int],
    num_classes: int,
    convolutions: list[ConvLayer],
    *,
    pool: int,
    widths: list[int],
) -> ConvThenDense:
    channels, height, width = image_dimensions(model, input_shape)
    conv = nn.Sequential()
    for layer in convolutions:
        padding = layer.kernel // 2 if layer.same else 0
        height += 2 * padding - layer.kernel + 1
        width += 2 * padding - layer.kernel + 1
        if min(height, width) < 1:
            raise ValueError(f"{model}: input_shape={tuple(input_shape)} is too small an image")
        convolution = nn.Conv2d(channels, layer.channels, layer.kernel, padding=padding)
        conv.append(nn.Sequential(convolution, nn.ReLU(), same_max_pool(pool, height, width)))
        channels, height, width = layer.channels, math.ceil(height / 2), math.ceil(width / 2)
    features = channels * height * width
    dense = nn.Sequential()
    for units in widths:
        dense.append(nn.Sequential(nn.Linear(features, units), nn.ReLU()))
        features = units
    return ConvThenDense(conv, dense, nn.Linear(features, num_classes))
