"""Random crop and flip of a whole batch, drawn for each example by a counter-based hash."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from optbench.data.hashing import GOLDEN, LAST_SHIFT, ROUNDS, as_signed, mix64


@dataclass(frozen=True)
class Augmentation:
    """Zero padding by `crop` pixels on each side and a random crop back to the old size, then a
    left-right flip with probability 1/2 if `flip`; as torchvision's RandomCrop(padding=crop) and
    RandomHorizontalFlip, before Normalize: the padding is a raw 0.
    """

    crop: int
    flip: bool

    def draw(self, key: int, indices: Tensor) -> Tensor:
        """Return (row offset, column offset, flip), int64 [n, 3], for int64 [n] example numbers.

        Each row is a pure function of (key, example number), the same on every device.
        """
        offsets = 2 * self.crop + 1
        return uniform_ints(key, indices, (offsets, offsets, 2 if self.flip else 1))

    def apply(self, images: Tensor, draws: Tensor) -> Tensor:
        """Return images [n, C, H, W] of any dtype, cropped and flipped as `draws` [n, 3] says."""
        count, channels, height, width = images.shape
        padded = F.pad(images, (self.crop,) * 4)
        columns = torch.arange(width, device=images.device)
        flipped = draws[:, 2:] == 1
        from_columns = torch.where(flipped, width - 1 - columns, columns) + draws[:, 1:2]
        from_rows = torch.arange(height, device=images.device) + draws[:, :1]
        padded_width = width + 2 * self.crop
        pixels = from_rows[:, :, None] * padded_width + from_columns[:, None, :]
        gathered = padded.flatten(2).gather(2, pixels.view(count, 1, -1).expand(-1, channels, -1))
        return gathered.view(images.shape)


def uniform_ints(key: int, indices: Tensor, below: Sequence[int]) -> Tensor:
    """Return int64 [n, k]: column j holds uniform ints in [0, below[j]), for below[j] <= 2^31.

    Each is a pure function of (key, index, j): word number `index` of a splitmix64 sequence seeded
    with (key, j), scaled down (bias < below / 2^32).
    """
    device = indices.device
    streams = [as_signed(mix64(key, stream)) for stream in range(len(below))]
    words = torch.tensor(streams, device=device) + indices[:, None] * as_signed(GOLDEN)
    for shift, multiplier in ROUNDS:
        words = (words ^ _shift_right(words, shift)) * as_signed(multiplier)
    words = words ^ _shift_right(words, LAST_SHIFT)
    return _shift_right(words, 32) * torch.tensor(list(below), device=device) >> 32


def _shift_right(words: Tensor, bits: int) -> Tensor:
    # torch shifts int64 arithmetically; the mask clears the copies of the sign bit.
    return (words >> bits) & ((1 << (64 - bits)) - 1)
