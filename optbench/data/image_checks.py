"""Checks of the settings which data sets share."""

from __future__ import annotations

from collections.abc import Sequence

from optbench.errors import Argument, ArgumentError


def check_statistics(name: str, channels: int, mean: Sequence[float], std: Sequence[float]) -> None:
    """Raise ArgumentError unless mean and std have a value a channel, and std positive ones."""
    if len(mean) != channels or len(std) != channels:
        raise ArgumentError(
            f"{name}: ",
            Argument("mean"),
            f" has {len(mean)} and ",
            Argument("std"),
            f" {len(std)} values, but the images have {channels} channel(s)",
        )
    if min(std) <= 0:
        raise ArgumentError(f"{name}: ", Argument("std", list(std)), " must be positive")


def check_crop(name: str, crop: int) -> None:
    """Raise ArgumentError when the padding of random crops is negative."""
    if crop < 0:
        crops = Argument("crop", crop)
        raise ArgumentError(f"{name}: ", crops, " must be 0 (no cropping) or more pixels")
