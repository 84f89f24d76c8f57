"""What all instruments share that look at a matrix of second derivatives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import get_args

import torch
from torch import Tensor, nn

from optbench.errors import UserError
from optbench.instruments.lanczos import Matvec
from optbench.instruments.look import CHUNK, Look, Mode, Split
from optbench.optim.second_order.flat import Flat
from optbench.training.averaged import statistics
from optbench.training.objective import Objective

EXAMPLES = 2000
"""Of a set that is larger; what is measured changes little with more."""
MATRICES = ("hessian", "ggn")
DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout)
HALF = (torch.float16, torch.bfloat16)
MEMORY = 2 * 2**30
"""Bytes that the vectors of a measurement may take together."""


@dataclass(frozen=True)
class Matrix:
    """A matrix of second derivatives at a point, as products with vectors.

    Attributes:
        matvec: the product with a vector [size], of the same kind.
        size: parameters.
        dtype, device: of vectors.
        flat: parameters as one vector.
        objective: whose.
    """

    matvec: Matvec
    size: int
    dtype: torch.dtype
    device: torch.device
    flat: Flat
    objective: Objective

    @property
    def room(self) -> int:
        """How many vectors there is memory for."""
        return max(8, MEMORY // (self.size * torch.finfo(self.dtype).bits // 8))


def matrix_of(parameters: Sequence[Tensor], objective: Objective, kind: str = "hessian") -> Matrix:
    """Return the Hessian or the GGN of an objective.

    Args:
        parameters: in which it is taken.
        objective: as `Look.objective` gives it.
        kind: `hessian`, or `ggn`: the generalized Gauss-Newton matrix.
    """
    flat = Flat(parameters)
    products = objective.hvp if kind == "hessian" else objective.ggnvp

    def matvec(vector: Tensor) -> Tensor:
        return flat.join(products(parameters, flat.split(vector)))

    point = flat.point()
    return Matrix(matvec, flat.size, point.dtype, point.device, flat, objective)


class OfCurvature:
    """An instrument that looks at second derivatives of the mean loss of many examples.

    Args:
        examples: how many, evenly spread over the split; null is all.
        split: `train` or `val`.
        mode: of the modules: `eval`, or `train`, in which batch norm takes each chunk's own
            statistics and dropout one draw.
        chunk: examples in a forward pass; more is faster and takes more memory.
        seed: of random vectors.

    Raises:
        ValueError: a value that is none of these.
    """

    name: str
    matrix = "hessian"

    def __init__(
        self,
        *,
        examples: int | None = EXAMPLES,
        split: Split = "train",
        mode: Mode = "eval",
        chunk: int = CHUNK,
        seed: int = 0,
    ) -> None:
        if examples is not None:
            check_count("examples", examples, 1)
        check_count("chunk", chunk, 1)
        check_count("seed", seed, 0)
        check_word("split", split, get_args(Split))
        check_word("mode", mode, get_args(Mode))
        self.examples, self.split, self.mode = examples, split, mode
        self.chunk, self.seed = chunk, seed

    def lacking(self, look: Look) -> str | None:
        """Return why the run has no such matrix to look at, None where it has."""
        return lacking(look, self.matrix, self.split)

    @contextmanager
    def looking(self, look: Look) -> Iterator[Matrix]:
        """Give the matrix; in the block the parameters stay where they are."""
        with (
            look.objective(self.examples, self.split, self.mode, self.chunk) as objective,
            objective.at_rest(),
        ):
            yield matrix_of(look.parameters, objective, self.matrix)

    def notes(self, look: Look) -> list[str]:
        """Return what was looked at, in lines."""
        return notes(look, self.examples, self.split, self.mode, self.chunk)


def lacking(look: Look, matrix: str = "hessian", split: str = "train") -> str | None:
    """Return why a run has no matrix of second derivatives to look at; None where it has one."""
    state = look.trainer.state
    if state.task.carries:
        return "task.carry=true: examples in no order have no state to begin with"
    if split == "val" and look.trainer.evaluations.validation is None:
        return "split=val: it has no validation set"
    narrow = {p.dtype for p in look.parameters} & {*HALF}
    if state.precision.autocast in HALF or narrow:
        word = str(state.precision.autocast or narrow.pop()).removeprefix("torch.")
        return f"{word} rounds second derivatives away; precision=fp32 measures the same weights"
    if not look.parameters:
        return "no parameter is trained"
    if matrix == "ggn" and not state.task.splits:
        name = type(state.task).__name__
        return f"the loss of {name} is not a criterion of one model's outputs: no GGN"
    return None


def notes(
    look: Look, examples: int | None, split: Split, mode: Mode = "eval", chunk: int = CHUNK
) -> list[str]:
    """Return of how many examples something is, and what mode=train does to it, in lines."""
    there = look.size(split)
    kind = "training" if split == "train" else "validation"
    count = there if examples is None else min(examples, there)
    if there == 1:
        found = []
    elif count < there:
        found = [f"of {count:,} of {there:,} {kind} examples"]
    else:
        found = [f"of all {there:,} {kind} examples"]
    if mode == "train":
        if statistics(look.module):
            size = "each chunk" if count > chunk else "the examples"
            found.append(f"mode=train: batch norm by the statistics of {size} ({chunk} at most)")
        if any(isinstance(part, DROPOUTS) and part.p for part in look.module.modules()):
            found.append("mode=train: with one draw of dropout")
    return found


def check_count(name: str, value: object, least: int, most: int | None = None) -> None:
    """Raise ValueError for something else than a whole number from `least` to `most`, both in."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name}={value}: a whole number, at least {least}")
    if most is not None and value > most:
        raise ValueError(f"{name}={value}: a whole number, at most {most}")


def check_number(name: str, value: object, low: float, high: float) -> None:
    """Raise ValueError for something else than a number between two, which are excluded."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not low < value < high:
        raise ValueError(f"{name}={value}: a number between {low:g} and {high:g}")


def check_word(name: str, value: object, words: Sequence[str]) -> None:
    """Raise ValueError for another word than these."""
    if value not in words:
        raise ValueError(f"{name}={value}: one of {', '.join(words)}")


def finite(values: Tensor, what: str) -> None:
    """Raise UserError where something that was measured is not finite."""
    if not bool(torch.isfinite(values).all()):
        raise UserError(f"{what} is not finite here, as of a run that diverged")
