"""optbench.training.strategy: what a way of sharing the training among ranks decides."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from optbench.assemble import experiment as assembled
from optbench.training.checkpointer import Checkpointer
from optbench.training.distributed import World
from optbench.training.player import Player
from optbench.training.strategy import DDP, Single, strategy_of

from .experiments import CPU, experiment

ALONE, FIRST, SECOND = World(CPU), World(CPU, 0, 2), World(CPU, 1, 2)


class Replacing(Single):
    """Replaces the parameters, as one that shards them does, and counts what it is asked for."""

    def __init__(self) -> None:
        self.contexts = self.states = 0

    def prepare(self, module: nn.Module, blocks: Any = ()) -> nn.Module:
        for each in module.modules():
            for name, parameter in list(each.named_parameters(recurse=False)):
                setattr(each, name, nn.Parameter(parameter.detach().clone()))
        return module

    def before_last(self, forward: nn.Module) -> Any:
        def entered() -> Any:
            self.contexts += 1
            return nullcontext()

        return entered

    def state(self, player: Player) -> dict[str, Any]:
        self.states += 1
        return super().state(player)


@pytest.fixture
def replacing(monkeypatch: pytest.MonkeyPatch) -> Replacing:
    strategy = Replacing()
    monkeypatch.setattr(assembled, "strategy_of", lambda world, name: strategy)
    return strategy


@pytest.fixture
def group() -> Iterator[None]:
    """A process group of this process alone."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def test_optimizer_and_average_have_the_parameters_that_the_strategy_leaves(
    replacing: Replacing,
) -> None:
    built = experiment("steps=3", "ema=0.5", "optimizer.lr=0.1")
    (player,) = built.state.players
    there = list(player.module.parameters())
    groups = player.optimizer.param_groups
    held = [parameter for each in groups for parameter in each["params"]]
    assert {id(p) for p in held} == {id(p) for p in there} == {id(p) for p in player.parameters}
    before = [parameter.detach().clone() for parameter in there]
    assert built.trainer().fit().state == "finished"
    assert not any(map(torch.equal, before, there))


def test_only_micro_batches_before_the_last_are_surrounded(replacing: Replacing) -> None:
    experiment("steps=3", "accumulate=4", "batch_size=8").trainer().fit()
    assert replacing.contexts == 3 * 3


def test_every_rank_gathers_the_state_and_rank_0_has_it(
    replacing: Replacing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[list[str]] = []
    monkeypatch.setattr(
        "optbench.training.checkpoint.write_checkpoint",
        lambda folder, step, parts, world, said: written.append(sorted(parts)),
    )
    for world in (FIRST, SECOND):
        state = experiment("steps=1").state
        state.world = world
        Checkpointer(tmp_path, state).save()
    assert replacing.states == 2
    assert written == [["rank-0.pt", "state.pt"], ["rank-1.pt"]]


def test_one_process_has_nothing_around_its_module() -> None:
    strategy, module = strategy_of(ALONE), nn.Linear(2, 2)
    assert isinstance(strategy, Single)
    assert strategy.prepare(module) is module and strategy.before_last(module) is None


def test_several_ranks_have_ddp_and_rank_0_the_state(group: None) -> None:
    strategy, module = strategy_of(FIRST), nn.Linear(2, 2)
    own = list(module.parameters())
    forward = strategy.prepare(module)
    assert isinstance(strategy, DDP) and isinstance(forward, DistributedDataParallel)
    assert all(ours is theirs for ours, theirs in zip(own, forward.parameters(), strict=True))
    assert strategy.before_last(forward) == forward.no_sync
    (player,) = experiment("steps=1").state.players
    state = strategy.state(player)
    assert state is not None and state.keys() == player.state_dict().keys()
    assert strategy_of(SECOND).state(player) is None
