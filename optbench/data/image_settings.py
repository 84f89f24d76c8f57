"""How image files are loaded."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Crop:
    """How images become squares of `size` pixels.

    Evaluation scales the shorter side to `resize` and cuts the centre. Training cuts a random part
    of at least `min_area` of the area, as torchvision's RandomResizedCrop, and flips it left-right
    with probability 1/2 if `flip`. Transparent parts lie on a grey level, `background` (0 is black,
    255 white).
    """

    size: int
    resize: int
    min_area: float
    flip: bool
    background: int = 255


@dataclass(frozen=True)
class Loading:
    """`workers` processes, each `prefetch` batches ahead.

    At most one for each core this process may use; 0 decodes in this process.
    """

    workers: int
    prefetch: int
