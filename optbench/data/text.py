"""Text to predict character by character, or byte by byte."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from optbench.data.cache import SourceMemo
from optbench.data.download import fetch
from optbench.data.made_checks import check_choice, check_whole
from optbench.data.text_file import Text, read_bytes, read_characters
from optbench.errors import UserError

if TYPE_CHECKING:
    import torch

    from optbench.data.dataset import Split
    from optbench.data.window_source import WindowSource

READERS = {"characters": read_characters, "bytes": read_bytes}
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

    Raises:
        UserError: a part of the text is shorter than a window and its last target.
    """

    test_size = 0

    def __init__(
        self, name: str, text: Text, context: int, stride: int | None, val_fraction: float
    ) -> None:
        check_whole("text", "context", context, 1)
        if stride is not None:
            check_whole("text", "stride", stride, 1)
        self.input_shape: tuple[int, ...] = (context,)
        self.vocabulary = text.vocabulary
        self.num_classes = len(text.vocabulary)
        cut = int(len(text.ids) * (1 - val_fraction))
        ids = {"train": text.ids[:cut], "val": text.ids[cut:]}
        self._mapped = text.mapped
        self._strides = {"train": stride or context, "val": context}
        self.consecutive = self._strides["train"] == context
        for which, part in (("training", ids["train"]), ("validation", ids["val"])):
            if len(part) <= context and (which == "training" or val_fraction):
                raise UserError(
                    f"{name}: dataset.context={context} needs {context + 1} ids, but the {which}"
                    f" part has {len(part)} of the file's {len(text.ids)}: enough for a context up"
                    f" to {max(len(part) - 1, 0)} (dataset.val_fraction={val_fraction})"
                )
        self._ids = ids
        self.train_size, self.val_size = self._windows("train"), self._windows("val")
        self._sources: SourceMemo[WindowSource] = SourceMemo()

    def _windows(self, split: str) -> int:
        free = len(self._ids[split]) - 1 - self.input_shape[0]
        return max(free // self._strides[split] + 1, 0)

    def open(self, split: Split, device: torch.device) -> WindowSource:
        """The windows of `train` or `val`, made at the first call and kept."""
        return self._sources.get(split, device, lambda: self._make_source(split, device))

    def _make_source(self, split: Split, device: torch.device) -> WindowSource:
        from optbench.data.window_source import WindowSource

        if split not in self._ids:
            raise UserError(f"text: no {split} set, only {' and '.join(self._ids)}")
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
    """Any file, by `characters` (of UTF-8) or `bytes`; see TextDataset for the rest.

    Raises UserError on a file that is missing, empty, too short, or not UTF-8 where characters are
    wanted.
    """
    check_choice("text", "by", by, READERS)
    if path is None:
        raise UserError("dataset.path=null: it is for you to name the file, dataset.path=FILE")
    found = Path(str(path)).expanduser()
    return TextDataset(str(path), READERS[by](found), context, stride, val_fraction)


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
    """root/tinyshakespeare/input.txt: 40,000 lines of Shakespeare, 65 different characters.

    Source: A. Karpathy, "The Unreasonable Effectiveness of Recurrent Neural Networks" (2015), and
    its code, char-rnn. With `download`, a missing file is fetched from `url` and must have this
    MD5; a file which is there is not checked. See TextDataset for the rest.
    """
    path = Path(root).expanduser() / FOLDER / FILE
    if not path.is_file():
        if not download:
            raise UserError(
                f"{FOLDER} is missing: no {FILE} in {path.parent}; copy the file there, point"
                f" OPTBENCH_DATA or dataset.root at a folder which holds {FOLDER}/{FILE}, or set"
                " dataset.download=true"
            )
        fetch([url], md5, path)
    return text(str(path), by, context, stride, val_fraction)
