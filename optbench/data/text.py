"""Text to predict character by character, or byte by byte."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from optbench.data.cache import SourceMemo
from optbench.data.download import fetch, others_than_published
from optbench.data.fingerprint import fingerprint
from optbench.data.sequence_checks import check_choice, check_whole
from optbench.data.text_file import Text, read_bytes, read_characters
from optbench.errors import Argument, ArgumentError

if TYPE_CHECKING:
    import torch

    from optbench.data.dataset import Split
    from optbench.data.window_source import WindowSource

READERS = {"characters": read_characters, "bytes": read_bytes}
MOST_WINDOWS = 1 << 28  # of validation, whose order takes 8 bytes each
FOLDER, FILE = "tinyshakespeare", "input.txt"


class TextDataset:
    """A Dataset of windows of a text; the last part of the text is for validation.

    An example is a window of `context` ids and, as targets, the ids one place later; both int64
    [context]. The training part is the first int(length * (1 - val_fraction)) ids, as in nanoGPT's
    prepare.py; its windows begin `stride` apart. Those of validation lie side by side, so that
    every place is scored once. There is no test set.

    Args:
        name: of the file, for messages.
        text: the ids, and what they stand for.
        context: ids in a window.
        stride: from one training window to the next: 1 has a window at every place, as nanoGPT
            draws them; None is `context`, windows side by side.
        val_fraction: of the text; 0 is no validation.
        notes: for whoever trains on it.

    Raises:
        ArgumentError: a part of the text is shorter than a window and its last target.
    """

    test_size = 0

    def __init__(
        self,
        name: str,
        text: Text,
        context: int,
        stride: int | None,
        val_fraction: float,
        notes: Sequence[str] = (),
    ) -> None:
        check_whole("text", "context", context, 1)
        if stride is not None:
            check_whole("text", "stride", stride, 1)
        self.notes = tuple(notes)
        self.input_shape: tuple[int, ...] = (context,)
        self.vocabulary = text.vocabulary
        self.num_classes = len(text.vocabulary)
        cut = int(len(text.ids) * (1 - val_fraction))
        ids = {"train": text.ids[:cut], "val": text.ids[cut:]}
        self._mapped = text.mapped
        self._strides = {"train": stride or context, "val": context}
        self._ids = ids
        self.consecutive = self._strides["train"] == context
        self._check_length(name, val_fraction)
        self.train_size, self.val_size = self._windows("train"), self._windows("val")
        if self.val_size > MOST_WINDOWS:
            raise ArgumentError(
                f"{name}: {self.val_size:,} windows in its val part, more than {MOST_WINDOWS:,}; ",
                Argument("context", -(-len(ids["val"]) // MOST_WINDOWS)),
                " or more makes fewer",
            )
        self._sources: SourceMemo[WindowSource] = SourceMemo()

    def _check_length(self, name: str, val_fraction: float) -> None:
        ids, context = self._ids, self.input_shape[0]
        whole = sum(map(len, ids.values()))
        for which, part in (("training", ids["train"]), ("validation", ids["val"])):
            if len(part) <= context and (which == "training" or val_fraction):
                raise ArgumentError(
                    f"{name}: ",
                    Argument("context", context),
                    f" needs {context + 1} ids, but the {which} part has {len(part)} of the file's"
                    f" {whole}: enough for a context up to {max(len(part) - 1, 0)} (",
                    Argument("val_fraction", val_fraction),
                    ")",
                )

    def _windows(self, split: str) -> int:
        free = len(self._ids[split]) - 1 - self.input_shape[0]
        return max(free // self._strides[split] + 1, 0)

    @cached_property
    def fingerprint(self) -> str:
        """See `Dataset`."""
        import numpy as np

        letters = np.frombuffer("".join(self.vocabulary).encode("utf-32-le"), np.uint32)
        return fingerprint(letters, *self._ids.values())

    def open(self, split: Split, device: torch.device) -> WindowSource:
        """Return the windows of `train` or `val`, made at the first call and kept."""
        return self._sources.get(split, device, lambda: self._make_source(split, device))

    def _make_source(self, split: Split, device: torch.device) -> WindowSource:
        from optbench.data.window_source import WindowSource

        if split not in self._ids:
            raise ValueError(f"text: no {split} set, only {' and '.join(self._ids)}")
        context = self.input_shape[0]
        stride = self._strides[split]
        return WindowSource(self._ids[split], context, stride, device, self._mapped)


def text(
    path: str | None = None,
    by: str = "characters",
    context: int = 64,
    stride: int | None = None,
    val_fraction: float = 0.1,
) -> TextDataset:
    """Read any file by `characters` (of UTF-8) or `bytes`; see TextDataset for the rest.

    Raises:
        ArgumentError: the file is missing, empty, too short, or not UTF-8 where characters are
            wanted.
    """
    if path is None:
        missing, named = Argument("path", None), Argument("path", "FILE")
        raise ArgumentError(missing, ": it is for you to name the file, ", named)
    return _dataset(Path(str(path)).expanduser(), by, context, stride, val_fraction)


def _dataset(
    path: Path,
    by: str,
    context: int,
    stride: int | None,
    val_fraction: float,
    notes: Sequence[str] = (),
) -> TextDataset:
    check_choice("text", "by", by, READERS)
    return TextDataset(str(path), READERS[by](path), context, stride, val_fraction, notes)


def tiny_shakespeare(
    root: str,
    url: str,
    md5: str,
    download: bool = True,
    by: str = "characters",
    context: int = 64,
    stride: int | None = None,
    val_fraction: float = 0.1,
) -> TextDataset:
    """Read root/tinyshakespeare/input.txt: 40,000 lines of Shakespeare, 65 different characters.

    Source: A. Karpathy, "The Unreasonable Effectiveness of Recurrent Neural Networks" (2015), and
    its code, char-rnn. With `download`, a missing file is fetched from `url` and must have this
    MD5; of another one which is there, there is a note. See TextDataset for the rest.
    """
    path = Path(root).expanduser() / FOLDER / FILE
    if not os.path.exists(path):
        if not download:
            raise ArgumentError(
                f"{FOLDER} is missing: no {FILE} in {path.parent}; copy the file there, point ",
                Argument("root"),
                f" at a folder which holds {FOLDER}/{FILE}, or set ",
                Argument("download", True),
            )
        fetch([url], md5, path)
    notes = others_than_published(FOLDER, {path: md5})
    return _dataset(path, by, context, stride, val_fraction, notes)
