"""Made-up sequences on which recurrent networks show whether they can remember."""

from __future__ import annotations

from typing import TYPE_CHECKING

from optbench.data.cache import SourceMemo
from optbench.data.hashing import mix64
from optbench.data.sequence_checks import check_whole

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from optbench.data.dataset import Split
    from optbench.data.tensor_source import TensorSource

_SPLITS = {"train": 1, "val": 2, "test": 3}


class MadeSequences:
    """A Dataset whose examples follow from data_seed alone, the same on every device.

    A subclass sets input_shape and num_classes, and makes the examples. Each split has its own
    draws, so the size of one changes nothing in another. `val_size` and `test_size` may be 0.
    """

    input_shape: tuple[int, ...]
    num_classes: int

    def __init__(
        self, name: str, train_size: int, val_size: int, test_size: int, data_seed: int
    ) -> None:
        check_whole(name, "train_size", train_size, 1)
        check_whole(name, "val_size", val_size, 0)
        check_whole(name, "test_size", test_size, 0)
        check_whole(name, "data_seed", data_seed, 0)
        self.train_size, self.val_size, self.test_size = train_size, val_size, test_size
        self._seed = data_seed
        self._sources: SourceMemo[TensorSource] = SourceMemo()

    def open(self, split: Split, device: torch.device) -> TensorSource:
        """Return the split on the device, made at the first call and kept."""
        return self._sources.get(split, device, lambda: self._make_source(split, device))

    def make(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Make `count` examples: inputs [count, *input_shape] and targets, on the CPU."""
        raise NotImplementedError

    def _make_source(self, split: Split, device: torch.device) -> TensorSource:
        import torch

        from optbench.data.tensor_source import TensorSource

        size = {"train": self.train_size, "val": self.val_size, "test": self.test_size}[split]
        generator = torch.Generator().manual_seed(mix64(self._seed, _SPLITS[split]) >> 1)
        inputs, targets = self.make(size, generator)
        return TensorSource(inputs.to(device), targets.to(device), None)


class AddingProblem(MadeSequences):
    """The sum of two marked numbers among many; MSE 1/6 is reached without looking.

    Source: S. Hochreiter, J. Schmidhuber, "Long Short-Term Memory" (1997), experiment 4, in the
    form of M. Arjovsky, A. Shah, Y. Bengio, "Unitary Evolution Recurrent Neural Networks" (ICML
    2016), section 4.2: inputs float32 [length, 2] are numbers uniform in [0, 1) and markers, 1 at
    one place of the first half and at one of the second, else 0. Targets float32 [1]: the sum of
    the two marked numbers. Its variance, 1/6, is the loss of always answering 1.

    Args:
        length: places in a sequence, at least 2.
        train_size, val_size, test_size: sequences in each split.
        data_seed: of all numbers and markers.
    """

    num_classes = 1

    def __init__(
        self,
        length: int = 50,
        train_size: int = 50000,
        val_size: int = 2000,
        test_size: int = 2000,
        data_seed: int = 0,
    ) -> None:
        super().__init__("adding", train_size, val_size, test_size, data_seed)
        check_whole("adding", "length", length, 2, "one place for each marker")
        self.input_shape = (length, 2)

    def make(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """See `MadeSequences.make`."""
        import torch

        length, half = self.input_shape[0], self.input_shape[0] // 2
        numbers = torch.rand(count, length, generator=generator)
        first = torch.randint(half, (count, 1), generator=generator)
        second = torch.randint(half, length, (count, 1), generator=generator)
        markers = torch.zeros(count, length)
        for place in (first, second):
            markers.scatter_(1, place, 1.0)
        targets = numbers.gather(1, first) + numbers.gather(1, second)
        return torch.stack([numbers, markers], dim=2), targets


class CopyTask(MadeSequences):
    """Symbols to be said again after a wait; a loss of ln(symbols) is reached by guessing.

    Source: S. Hochreiter, J. Schmidhuber, "Long Short-Term Memory" (1997), in the form of
    M. Arjovsky, A. Shah, Y. Bengio, "Unitary Evolution Recurrent Neural Networks" (ICML 2016),
    section 4.1. Inputs int64 [length + 2 * remember]: `remember` symbols, length - 1 blanks, a
    delimiter, `remember` blanks. Targets int64 [remember]: the symbols, wanted at the last places
    (the paper scores the blanks before them too). Ids: symbols from 0, then blank, then delimiter.

    Args:
        length: steps from the last symbol to the delimiter, at least 1.
        symbols: different ones.
        remember: symbols in a sequence.
        train_size, val_size, test_size: sequences in each split.
        data_seed: of all symbols.
    """

    def __init__(
        self,
        length: int = 20,
        symbols: int = 8,
        remember: int = 10,
        train_size: int = 50000,
        val_size: int = 1000,
        test_size: int = 1000,
        data_seed: int = 0,
    ) -> None:
        super().__init__("copy", train_size, val_size, test_size, data_seed)
        check_whole("copy", "length", length, 1, "the delimiter")
        check_whole("copy", "symbols", symbols, 2)
        check_whole("copy", "remember", remember, 1)
        self.input_shape = (length + 2 * remember,)
        self.num_classes = symbols + 2
        self._remember = remember

    def make(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """See `MadeSequences.make`."""
        import torch

        length, blank = self.input_shape[0], self.num_classes - 2
        targets = torch.randint(blank, (count, self._remember), generator=generator)
        inputs = torch.full((count, length), blank)
        inputs[:, : self._remember] = targets
        inputs[:, -self._remember - 1] = blank + 1
        return inputs, targets
