"""Checks of the settings which data sets share."""

from __future__ import annotations

from collections.abc import Sequence

from optbench.errors import UserError


def check_statistics(name: str, channels: int, mean: Sequence[float], std: Sequence[float]) -> None:
    """Raises UserError unless mean and std have one value a channel and every std is positive."""
    if len(mean) != channels or len(std) != channels:
        raise UserError(
            f"{name}: dataset.mean has {len(mean)} and dataset.std {len(std)} values,"
            f" but the images have {channels} channel(s)"
        )
    if min(std) <= 0:
        raise UserError(f"{name}: dataset.std={list(std)} must be positive")


def check_crop(name: str, crop: int) -> None:
    """Raises UserError when the padding of random crops is negative."""
    if crop < 0:
        raise UserError(f"{name}: dataset.crop={crop} must be 0 (no cropping) or more pixels")
