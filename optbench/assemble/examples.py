"""Which examples of a data set a run is trained on, validated on and tested on."""

from __future__ import annotations

import torch
from torch import Tensor

from optbench.assemble.data import Fold, Split, batch_size
from optbench.config.run_config import RunConfig
from optbench.data.dataset import Dataset, Source
from optbench.data.order import split_fold, split_validation
from optbench.data.permutation import Indices, all_of
from optbench.training.batches import BatchStream
from optbench.training.distributed import World
from optbench.training.settings import EvaluationSet


def batches(config: RunConfig, dataset: Dataset, world: World, carries: bool) -> BatchStream:
    """Return the examples of each step.

    Args:
        config: says how many a step has, in which order, and what is split off for validation.
        dataset: of the run.
        world: the ranks, of which each takes its share.
        carries: whether a state is carried from step to step.
    """
    source = dataset.open("train", world.device)
    split = Split.of(config, dataset)
    train: Indices = all_of(split.train) if split.own else _split_off(config, dataset)[0]
    size = batch_size(config, dataset)
    return BatchStream(
        source=source,
        indices=train,
        batch_size=size,
        accumulate=config.accumulate,
        seed=config.seed,
        rank=world.rank,
        ranks=world.size,
        lanes=carries,
        shuffle=config.shuffle,
    )


def _split_off(config: RunConfig, dataset: Dataset) -> tuple[Tensor, Tensor]:
    """Return the examples to train on, and those of the validation set that is split off."""
    node, fold = config.dataset, Fold.of(config)
    if fold is not None:
        return split_fold(dataset.train_size, fold.number, fold.count, node["split_seed"])
    return split_validation(dataset.train_size, node["val_fraction"], node["split_seed"])


def evaluation_sets(
    config: RunConfig, dataset: Dataset, source: Source, device: torch.device
) -> tuple[EvaluationSet | None, EvaluationSet | None]:
    """Return the validation and the test set, None where there is none.

    Args:
        config: says what is split off for validation.
        dataset: of the run, or another one.
        source: of its training examples.
        device: where the examples are to be.
    """
    split = Split.of(config, dataset)
    if split.own:
        val = torch.arange(split.validation)
        scored = dataset.open("val", device) if split.validation else source
    else:
        scored, (_, val) = source, _split_off(config, dataset)
    most = config.eval.examples
    if most is not None and most < len(val):
        val = val[torch.arange(most) * len(val) // most]
    test = None
    if dataset.test_size:
        indices = torch.arange(dataset.test_size)
        test = EvaluationSet("test", dataset.open("test", device), indices)
    return EvaluationSet("val", scored, val) if len(val) else None, test
