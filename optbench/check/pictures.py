"""A grid of images as PNG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from optbench.plots.png import figure_of, write


def save_grid(path: Path, rows: Tensor, titles: Sequence[str] | None = None) -> None:
    """Draw images `[rows, columns, channels, height, width]`, each row with its title.

    Values are stretched to what the whole grid spans; the first column is as the data set has it.
    """
    low, high = float(rows.min()), float(rows.max())
    shown = ((rows - low) / max(high - low, 1e-12)).permute(0, 1, 3, 4, 2).numpy()
    count, across = shown.shape[:2]
    figure = figure_of((across, count), 100)
    for row in range(count):
        for column in range(across):
            axes = figure.add_subplot(count, across, row * across + column + 1)
            image = shown[row, column]
            grey = image.shape[-1] == 1
            axes.imshow(image[..., 0] if grey else image, cmap="gray", vmin=0, vmax=1)
            axes.set_axis_off()
            if titles is not None and column == 0:
                axes.set_title(titles[row], fontsize=8)
    write(figure, path)
