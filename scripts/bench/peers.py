"""The same training by other means: DataLoader, accelerate, lightning."""

from __future__ import annotations

import itertools
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Sampler, TensorDataset

from timing import Clock

Loop = Callable[[int], float | None]
"""Takes a number of steps; returns their seconds if not all that it did counts."""


@dataclass(frozen=True)
class Problem:
    """What is trained.

    Attributes:
        images, labels: on the CPU, normalised.
        indices: the examples of the training set.
        batch_size: examples in a step.
        model: makes a network.
        optimizer: makes an optimizer of parameters.
    """

    images: Tensor
    labels: Tensor
    indices: Tensor
    batch_size: int
    model: Callable[[], nn.Module]
    optimizer: Callable[..., torch.optim.Optimizer]

    @property
    def steps_per_epoch(self) -> int:
        """The last, smaller batch counts too."""
        return -(-len(self.indices) // self.batch_size)

    def order(self) -> Tensor:
        """An epoch's order of the examples."""
        return self.indices[torch.randperm(len(self.indices))]

    def fresh(self) -> tuple[nn.Module, torch.optim.Optimizer]:
        """A network and its optimizer."""
        model = self.model()
        return model, self.optimizer(model.parameters())


class _Shuffled(Sampler[int]):
    """Like torch's RandomSampler, of some of the examples."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem

    def __iter__(self) -> Iterator[int]:
        yield from self._problem.order().tolist()

    def __len__(self) -> int:
        return len(self._problem.indices)


class _Fetched(TensorDataset):
    """A TensorDataset that fetches a batch at once."""

    def __getitems__(self, indices: Sequence[int]) -> tuple[Tensor, ...]:
        picked = torch.tensor(indices)
        return tuple(tensor.index_select(0, picked) for tensor in self.tensors)


def _batched(problem: Problem) -> DataLoader[Any]:
    return DataLoader(
        _Fetched(problem.images, problem.labels),
        batch_size=problem.batch_size,
        sampler=_Shuffled(problem),
        collate_fn=lambda batch: batch,
    )


def _forever(loader: Any) -> Iterator[Any]:
    while True:
        yield from loader


def data_loader(problem: Problem) -> Loop:
    """torch's DataLoader over a TensorDataset, as its tutorials have it."""
    data = TensorDataset(problem.images, problem.labels)
    loader = DataLoader(data, batch_size=problem.batch_size, sampler=_Shuffled(problem))
    stream = _forever(loader)
    model, optimizer = problem.fresh()

    def run(steps: int) -> None:
        for inputs, targets in itertools.islice(stream, steps):
            loss = cross_entropy(model(inputs), targets)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    return run


def accelerated(problem: Problem) -> Loop:
    """Hugging Face's accelerate."""
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=True)
    model, optimizer = problem.fresh()
    model, optimizer, loader = accelerator.prepare(model, optimizer, _batched(problem))
    stream = _forever(loader)

    def run(steps: int) -> None:
        for inputs, targets in itertools.islice(stream, steps):
            loss = cross_entropy(model(inputs), targets)
            accelerator.backward(loss)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    return run


def lightning(problem: Problem, folder: Path | None, clock: Clock) -> Loop:
    """Lightning's trainer with all that can be switched off, off.

    Its start and end are not counted: the clock runs from the first step to the last.

    Args:
        problem: what is trained.
        folder: where it logs to TensorBoard, every 10 steps; None logs nothing.
        clock: gives seconds.
    """
    import lightning as pl
    from lightning.pytorch.loggers import TensorBoardLogger

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")

    class Module(pl.LightningModule):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.net, self.taken, self.started, self.ended = problem.model(), 0, 0.0, 0.0

        def training_step(self, batch: Any, index: int) -> Tensor:
            self.ended = clock()
            self.started = self.started or self.ended
            inputs, targets = batch
            loss = cross_entropy(self.net(inputs), targets)
            if folder is not None:
                self.log("train/loss", loss)
            return loss

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return problem.optimizer(self.net.parameters())

    def run(steps: int) -> float:
        module = Module()
        trainer = pl.Trainer(
            max_steps=steps,
            accelerator="cpu",
            logger=False if folder is None else TensorBoardLogger(folder / "lightning"),
            log_every_n_steps=10,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(module, _batched(problem))
        return (module.ended - module.started) * steps / (steps - 1)

    return run
