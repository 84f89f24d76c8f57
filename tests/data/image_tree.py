"""Small image folders for tests."""

from pathlib import Path

import numpy as np
from PIL import Image


def write_image(path: Path, size: tuple[int, int] = (40, 30), seed: int = 0) -> None:
    """A smooth random colour image of (width, height), in the format of the path's extension."""
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), np.uint8)
    Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(path)


def write_tree(root: Path) -> None:
    """root/train and root/val with the classes cat and dog: 6 and 4 images."""
    for split, count in (("train", 3), ("val", 2)):
        for label, name in enumerate(("cat", "dog")):
            for number in range(count):
                extension = ("jpg", "png", "JPEG")[number]
                path = root / split / name / f"{number}.{extension}"
                write_image(path, (50 + 7 * number, 40), seed=10 * label + number)
