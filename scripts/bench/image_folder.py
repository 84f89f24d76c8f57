"""Decoding a folder of JPEGs for training, beside torchvision's ImageFolder and DataLoader.

Made-up photographs (smooth noise, 500 x 375 as ImageNet's mean, quality 90) are cropped at random
to 224 x 224, flipped and normalised, in batches of 32, by each in turn, with as many workers each.
torchvision decodes by Pillow, as its users do, and by its own decoder (`decode_jpeg`, v2).

Usage: python scripts/bench/image_folder.py [--images N] [--rounds N] [--workers N] [--quick]
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))

from common import parser, start
from optbench.data.image_folder import image_folder
from timing import CLOCKS, machine_line

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
BATCH = 32
OURS = "optbench"
CPU = torch.device("cpu")


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--images", type=int, default=512, help="in the folder")
    options.add_argument("--rounds", type=int, default=5, help="passes of each")
    options.add_argument("--workers", type=int, default=0, help="processes that decode")
    arguments = options.parse_args()
    count, rounds = (64, 1) if arguments.quick else (arguments.images, arguments.rounds)
    torch.set_num_threads(1)
    clock = CLOCKS["wall" if arguments.workers else "cpu"]  # alone, it has no helpers
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _make(folder, count)
        ways = _ways(folder, count, arguments.workers)
        seconds: dict[str, list[float]] = {way: [] for way in ways}
        for each in range(rounds + 1):  # the first one warms up
            for way, batches in ways.items():
                begun = clock()
                seen = sum(len(images) for images, _ in batches(each))
                assert seen == count, (way, seen)
                if each:
                    seconds[way].append(clock() - begun)
    print(f"{machine_line()}; {count} images, {arguments.workers} workers")
    ours = median(seconds[OURS])
    for way, taken in seconds.items():
        rate, ratio = count / median(taken), median(taken) / ours
        print(f"{way:26} {rate:6.0f} images a second; {ratio:.2f} of {OURS}'s time")


def _make(folder: Path, count: int) -> None:
    """Write smooth noise as JPEGs, in two classes, and a few to test."""
    random = np.random.default_rng(0)
    for split, many in (("train", count), ("val", 2)):
        for number in range(many):
            place = folder / split / f"class{number % 2}"
            place.mkdir(parents=True, exist_ok=True)
            small = random.integers(0, 256, (25, 33, 3), dtype=np.uint8)
            image = Image.fromarray(small).resize((500, 375), Image.Resampling.BICUBIC)
            image.save(place / f"{number:05d}.jpg", quality=90)


Batches = Callable[[int], Iterable[tuple[torch.Tensor, torch.Tensor]]]


def _ways(folder: Path, count: int, workers: int) -> dict[str, Batches]:
    from torchvision import io
    from torchvision.datasets import ImageFolder
    from torchvision.transforms import v2

    source = image_folder(str(folder), MEAN, STD, workers=workers).open("train", CPU)
    bounds = [(first, min(first + BATCH, count)) for first in range(0, count, BATCH)]
    drawn = [v2.RandomResizedCrop(224), v2.RandomHorizontalFlip()]
    last = [v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)]

    def decoded(path: str) -> Any:
        return io.decode_jpeg(io.read_file(path), mode=io.ImageReadMode.RGB)

    pillow = ImageFolder(str(folder / "train"), v2.Compose([*drawn, v2.ToImage(), *last]))
    tensors = ImageFolder(str(folder / "train"), v2.Compose([*drawn, *last]), loader=decoded)

    def of(dataset: Any) -> Batches:
        loader = torch.utils.data.DataLoader(dataset, BATCH, shuffle=True, num_workers=workers)
        return lambda number: loader

    return {
        OURS: lambda number: source.stream(torch.randperm(count), bounds, number),
        "torchvision, Pillow": of(pillow),
        "torchvision, decode_jpeg": of(tensors),
    }


if __name__ == "__main__":
    start(main)
