"""Many small pictures in one."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

GAP = 2
BACKGROUND = 0.5


def grid(images: Tensor, columns: int = 8) -> Tensor:
    """Put images [n, C, H, W] into one picture [C, height, width], in rows from left to right.

    Two grey pixels are around every image, and places without one are grey. Values are cut to 0
    to 1, what is not finite becomes 0; of images with other than 1 or 3 channels the first is
    shown.

    Args:
        images: at least one.
        columns: images in a row.
    """
    shown = images.detach().float().nan_to_num(0.0, 1.0, 0.0).clamp(0, 1)
    if shown.shape[1] not in (1, 3):
        shown = shown[:, :1]
    columns = min(columns, len(shown))
    rows = -(-len(shown) // columns)
    framed = pad(shown, (GAP, 0, GAP, 0), value=BACKGROUND)
    _, channels, height, width = framed.shape
    missing = framed.new_full((rows * columns - len(shown), channels, height, width), BACKGROUND)
    cells = torch.cat([framed, missing]).unflatten(0, (rows, columns))
    picture = cells.permute(2, 0, 3, 1, 4).reshape(channels, rows * height, columns * width)
    return pad(picture, (0, GAP, 0, GAP), value=BACKGROUND)


def pairs(above: Tensor, below: Tensor, columns: int = 8) -> Tensor:
    """Return a grid of both, each row of `above` over its row of `below`; both are [n, C, H, W].

    The last row of either is filled with grey.
    """
    columns = min(columns, len(above))
    missing = -len(above) % columns
    filled = [
        torch.cat([images, images.new_full((missing, *images.shape[1:]), BACKGROUND)])
        for images in (above, below)
    ]
    rows = torch.stack([images.unflatten(0, (-1, columns)) for images in filled], dim=1)
    return grid(rows.flatten(0, 2), columns)
