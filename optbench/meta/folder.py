"""A meta-training's folder: its plan, a line for each meta-step, checkpoints, the weights.

meta-train.yaml                    what it is to do, sealed
meta.jsonl                         step, loss, grad_norm, lr, seconds
checkpoints/step-00000050.pt       the last two
learned.safetensors                at its end
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from optbench.errors import UserError
from optbench.files import BadFile, naming, open_regular, strict
from optbench.meta.trainer import MetaStep
from optbench.training.tensors_file import read_tensors
from optbench.which_run import RULE

CHECKPOINTS, LINES, WEIGHTS = "checkpoints", "meta.jsonl", RULE
KEPT = 2


class MetaFolder:
    """Writes what a meta-training leaves, and reads where it was.

    Args:
        path: the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        checkpoints = path / CHECKPOINTS
        if checkpoints.is_symlink():
            raise BadFile(f"{checkpoints}: a link, where a folder is meant")
        checkpoints.mkdir(exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT
        self._lines = os.fdopen(open_regular(path / LINES, flags), "r+b")

    def restore(self, load: Callable[[dict[str, Any]], None]) -> None:
        """Load the newest checkpoint that can be, if there are any, and cut the lines there.

        Args:
            load: takes a checkpoint; raises for one that doesn't fit, of which nothing is left
                once it has taken another.

        Raises:
            UserError: there are checkpoints, and none can be read or fits.
        """
        why = None
        for path in sorted((self.path / CHECKPOINTS).glob("step-*.pt"), reverse=True):
            try:
                state = read_tensors(path)
                length = int(state["lines"])
                if length < 0:
                    raise ValueError("lines")
                load(state)
            except Exception as error:  # whatever a damaged file makes of torch's reader
                why = why or f"{path}: it can't be read ({type(error).__name__})"
                continue
            self._cut(length)
            return
        if why is not None:
            raise BadFile(why)
        self._cut(0)

    def _cut(self, length: int) -> None:
        with naming(self.path / LINES):
            self._lines.seek(0, os.SEEK_END)
            if self._lines.tell() < length:
                raise UserError(f"{self.path / LINES}: shorter than at the checkpoint")
            self._lines.truncate(length)
            self._lines.seek(length)

    def write(self, done: MetaStep, seconds: float) -> None:
        """Write the line of a meta-step."""
        values = {"step": done.step, "loss": done.loss, "grad_norm": done.norm, "lr": done.lr}
        line = json.dumps(strict({**values, "seconds": round(seconds, 3)}))
        with naming(self.path / LINES):
            self._lines.write(line.encode() + b"\n")

    def save(self, state: dict[str, Any]) -> None:
        """Write a checkpoint, whole or not at all, and forget old ones."""
        with naming(self.path / LINES):
            self._lines.flush()
            os.fsync(self._lines.fileno())
        buffer = io.BytesIO()
        torch.save({**state, "lines": self._lines.tell()}, buffer)
        self.put(Path(CHECKPOINTS, f"step-{state['step']:08d}.pt"), buffer.getvalue())
        every = sorted((self.path / CHECKPOINTS).glob("step-*.pt"))
        for path in every[:-KEPT]:
            path.unlink()

    def put(self, name: Path, data: bytes) -> None:
        """Write a file whole or not at all."""
        place(self.path / name, data)

    def close(self) -> None:
        """Write what is left of the lines."""
        self._lines.close()


def place(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, and bring it to the disk."""
    temporary = path.with_name(path.name + ".tmp")
    with naming(path):
        temporary.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with os.fdopen(os.open(temporary, flags, 0o666), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
