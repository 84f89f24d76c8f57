"""Draws of gradient noise, the data set of test functions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from optbench.data.cache import SourceMemo
from optbench.errors import Argument, ArgumentError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

OFFSETS = {"train": 0, "val": 1, "test": 2}
"""Added to the seed, so that no two splits are alike."""


class Draws:
    """A data set of noise vectors, each N(0, noise^2) in every coordinate, drawn once.

    They come from numpy's RandomState, whose numbers never change, rounded to float32, so with
    data_seed 42, 100 dimensions, noise 0.6 and 1000 examples training and validation set are the
    training and test set of DeepOBS's `quadratic_deep` (Schneider et al. 2019), which it scores
    after each epoch. Without noise all are 0 and take no memory.

    Args:
        dim: coordinates: the function's, which alone knows how many it can have.
        noise: standard deviation in training, at least 0.
        drift: how far the mean of training draws moves, in every coordinate, from 0 at the first to
            the last: with `shuffle=none` an objective that is not stationary.
        eval_noise: the same of the validation and the test set; 0 evaluates the function itself.
        train_size: at least 1.
        val_size, test_size: at least 0; without noise 1 is enough.
        data_seed: of the training set; validation and test set have the next two.

    Raises:
        ArgumentError: an argument out of range.
    """

    num_classes = 0

    def __init__(
        self,
        dim: int | None,
        noise: float = 0.0,
        eval_noise: float = 0.0,
        train_size: int = 1000,
        val_size: int = 1,
        test_size: int = 0,
        data_seed: int = 42,
        drift: float = 0.0,
    ) -> None:
        if dim is None:
            raise ArgumentError(
                "draws: noise for test functions, but the model is none (has no dim)"
            )
        least = {"train_size": 1, "val_size": 0, "test_size": 0, "data_seed": 0}
        given = {"train_size": train_size, "val_size": val_size, "test_size": test_size}
        given["data_seed"] = data_seed
        for name, value in given.items():
            if value < least[name]:
                what = f" must be at least {least[name]}"
                raise ArgumentError("draws: ", Argument(name, value), what)
        for name, deviation in (("noise", noise), ("eval_noise", eval_noise)):
            if not 0 <= deviation < float("inf"):
                raise ArgumentError("draws: ", Argument(name, deviation), " must not be negative")
        if not abs(drift) < float("inf"):
            raise ArgumentError("draws: ", Argument("drift", drift), " must be a finite number")
        self.input_shape: tuple[int, ...] = (dim,)
        self._drift = drift
        self.train_size, self.val_size, self.test_size = train_size, val_size, test_size
        self._deviations = {"train": noise, "val": eval_noise, "test": eval_noise}
        self._seed = data_seed
        self._sources: SourceMemo[DrawSource] = SourceMemo()

    def open(self, split: str, device: torch.device) -> DrawSource:
        """Return the split (train, val or test) on the device, drawn at the first call and kept."""
        return self._sources.get(split, device, lambda: self._make_source(split, device))  # type: ignore[arg-type]

    def _make_source(self, split: str, device: torch.device) -> DrawSource:
        import torch

        size, deviation = getattr(self, f"{split}_size"), self._deviations[split]
        drift = self._drift if split == "train" else 0.0
        if not deviation and not drift:
            zero = torch.zeros(1, *self.input_shape, device=device)
            return DrawSource(zero.expand(size, -1), same=True)
        random = np.random.RandomState((self._seed + OFFSETS[split]) % 2**32)
        drawn = random.normal(0.0, deviation, (size, *self.input_shape))
        drawn = (drawn + drift * np.linspace(0.0, 1.0, size)[:, None]).astype(np.float32)
        return DrawSource(torch.from_numpy(drawn).to(device))


class DrawSource:
    """One split: vectors float32 [n, dim] on one device; with `same` all are alike."""

    augments = False

    def __init__(self, vectors: Tensor, same: bool = False) -> None:
        self._vectors, self._same = vectors, same

    def __len__(self) -> int:
        """Return the number of draws."""
        return len(self._vectors)

    def stream(
        self,
        indices: Tensor,
        bounds: Sequence[tuple[int, int]],
        augment_key: int | None = None,
    ) -> Iterator[tuple[Tensor]]:
        """Yield batches of one float32 tensor [n, dim]; see `Source.stream`. Augment nothing."""
        if self._same:
            for start, stop in bounds:
                yield (self._vectors[:1].expand(stop - start, -1),)
            return
        order = indices.to(self._vectors.device)
        for start, stop in bounds:
            yield (self._vectors.index_select(0, order[start:stop]),)
