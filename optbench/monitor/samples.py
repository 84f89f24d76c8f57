"""Samples to look at, as files of the run folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from optbench.monitor.record import Record
from optbench.step_folders import sample_name


class Samples:
    """A sink that writes `samples/step-00000100/NAME.png` and `.txt`, and nothing else.

    Args:
        folder: `samples`; made with the first sample.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def show(self, step: int, texts: Mapping[str, str], images: Mapping[str, bytes]) -> None:
        """Write a file for each."""
        folder = self._folder / sample_name(step)
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (folder / f"{name}.txt").write_text(text, encoding="utf-8")
        for name, image in images.items():
            (folder / f"{name}.png").write_bytes(image)

    def write(self, record: Record) -> None:
        """Ignore numbers, which go elsewhere."""

    def flush(self) -> None:
        """Do nothing: nothing is held back."""

    def close(self) -> None:
        """Do nothing: nothing is open."""
