"""Gradients of batches that are drawn from the training set, each example with replacement."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from optbench.data.hashing import mix64
from optbench.instruments.look import CHUNK, Look, Mode


def drawn_batches(
    look: Look,
    size: int,
    count: int,
    mode: Mode = "eval",
    seed: int = 0,
    among: int | None = None,
    chunk: int = CHUNK,
) -> Iterator[list[Tensor]]:
    """Yield the gradients of so many batches, a tensor for each parameter.

    With replacement, so that the covariance of a batch's gradient is that of a single example's
    over its size, without a correction for a finite set. In mode `train` each batch has draws of
    its own for dropout.

    Args:
        size: examples in a batch.
        count: batches.
        mode: of the modules.
        seed: with size and number of a batch it says which examples it has.
        among: so many examples, evenly over the training set, are drawn from; None is all.
        chunk: examples in a forward pass.
    """
    there = look.size()
    few = there if among is None else min(among, there)
    with look.still(mode):
        for number in range(count):
            word = mix64(seed, size, number) >> 1
            generator = torch.Generator().manual_seed(word)
            chosen = torch.randint(few, (size,), generator=generator) * there // few
            torch.manual_seed(word)  # of dropout; `still` puts the generators back
            with look.objective(chosen, mode=mode, chunk=chunk) as objective:
                _, gradient = objective.gradients(look.parameters)
            yield gradient
