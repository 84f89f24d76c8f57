"""Tensors as PNG."""

from __future__ import annotations

import io
from collections.abc import Mapping

from torch import Tensor


def images(tensors: Mapping[str, Tensor]) -> dict[str, bytes]:
    """Encode images as PNG files, by name.

    Args:
        tensors: `[channels, height, width]`, 1 or 3 channels, from 0 to 1; what lies outside is
            cut off.
    """
    if not tensors:
        return {}
    from PIL import Image

    found = {}
    for name, tensor in tensors.items():
        levels = (tensor.detach().float().clamp(0, 1) * 255).round().byte().cpu()
        pixels = levels[0] if len(levels) == 1 else levels.permute(1, 2, 0)
        file = io.BytesIO()
        Image.fromarray(pixels.contiguous().numpy()).save(file, "PNG", optimize=True)
        found[name] = file.getvalue()
    return found
