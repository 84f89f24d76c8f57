"""A run's players: modules, each with its optimizer and schedules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from optbench.assemble.optimizer import Built, lr_factor
from optbench.assemble.schedules import build_schedules
from optbench.assemble.stages import build_any
from optbench.config.counted import counted
from optbench.config.run_config import PlayerConfig, RunConfig
from optbench.errors import UserError
from optbench.models.checkpointing import repeated_blocks
from optbench.optim.needs import needs_of
from optbench.tasks.base import Task
from optbench.training.batches import BatchStream
from optbench.training.distributed import World
from optbench.training.drawn import no_distribution
from optbench.training.ema import Ema
from optbench.training.losses import TrainingLoss
from optbench.training.player import Player
from optbench.training.strategy import Strategy


def build_players(
    config: RunConfig,
    modules: Mapping[str, nn.Module],
    task: Task,
    feed: BatchStream,
    total_steps: int,
    world: World,
    strategy: Strategy,
) -> tuple[list[Player], str]:
    """Return the players in the order of their turns, and which implementations of a step run.

    Args:
        modules: by player.
        total_steps: of the run.
        strategy: how the ranks train; it has the modules before the optimizers.

    Raises:
        UserError: whatever does not fit together.
    """
    if all(own.update_every > 1 for own in config.players.values()):
        raise UserError("update_every: of at least one player 1, or no step uses every batch")
    built = [
        _player(config, name, own, modules[name], task, feed, total_steps, world, strategy)
        for name, own in config.players.items()
    ]
    for player, _ in built:
        strategy.share(player)
    implementations = dict.fromkeys(implementation for _, implementation in built)
    return [player for player, _ in built], " and ".join(implementations)


def _player(
    config: RunConfig,
    name: str,
    own: PlayerConfig,
    module: nn.Module,
    task: Task,
    feed: BatchStream,
    total_steps: int,
    world: World,
    strategy: Strategy,
) -> tuple[Player, str]:
    every = own.update_every
    steps = total_steps // every
    if not steps:
        raise UserError(
            f"{own.at}update_every={every}: longer than the run of {counted(total_steps, 'step')}"
        )
    forward = strategy.prepare(module, repeated_blocks(module))
    with strategy.own(module):
        return _with_optimizer(config, name, own, module, forward, task, feed, steps, world)


def _with_optimizer(
    config: RunConfig,
    name: str,
    own: PlayerConfig,
    module: nn.Module,
    forward: nn.Module,
    task: Task,
    feed: BatchStream,
    steps: int,
    world: World,
) -> tuple[Player, str]:
    """Return the player, over the parameters that stand in the module."""
    every = own.update_every
    factor = lr_factor(config.scale_lr, feed.batch_size, config.base_batch_size)
    try:
        epoch = -(-feed.steps_per_epoch // every)
        run = {"num_iterations": steps, "num_data": len(feed.indices), "steps_per_epoch": epoch}
        built = build_any(config, own, module, world.device, factor, run, task)
        this = replace(config, optimizer=own.optimizer, schedule=own.schedule, player={})
        schedules = build_schedules(this, built.optimizer, task, epoch, steps)
    except UserError as error:
        raise type(error)(f"{own.at}{error}") from error.__cause__
    weights = [p for p in module.parameters() if p.requires_grad]
    ema = Ema(weights, config.ema) if config.ema else None
    player = Player(
        name=name,
        module=module,
        forward=forward,
        optimizer=built.optimizer,
        schedule=schedules.main,
        schedule_steps=steps,
        ema=ema,
        group_schedules=schedules.groups,
        values=schedules.values,
        replayed=schedules.replayed,
        every=every,
        loss=TrainingLoss(min(feed.batch_size, len(feed.indices))),
    )
    _check(config, player, built, world.size)
    _check_loss(config, own, player, task)
    _check_fisher(config, player, task)
    return player, built.implementation


def _check(config: RunConfig, player: Player, built: Built, ranks: int) -> None:
    """Refuse what an optimizer can't do together with a setting of the run."""
    inside = getattr(built.optimizer, "members", [built.optimizer])
    if config.channels_last and any(isinstance(each, torch.optim.LBFGS) for each in inside):
        raise UserError("channels_last=true: L-BFGS needs contiguous gradients")
    name = type(built.optimizer).__name__
    if player.needs.closure and config.precision.scaler:
        raise UserError(
            f"precision={config.precision.name}: {name} evaluates the loss "
            "several times a step, which a gradient scaler can't follow; use bf16 or fp32"
        )
    if config.compile and (player.needs.create_graph or player.needs.hvp):
        raise UserError(
            f"compile=true: {name} differentiates the gradients, which "
            "torch.compile can't; use compile=false"
        )
    if player.needs.create_graph and (config.precision.scaler or ranks > 1):
        raise UserError(
            f"optimizer: {name} differentiates the gradients, which "
            "neither a gradient scaler nor several ranks allow; use one rank and bf16 or fp32"
        )


def _check_loss(config: RunConfig, own: PlayerConfig, player: Player, task: Task) -> None:
    """Refuse a loss, or something done to its gradients, that an optimizer can't work with."""
    needs, name = player.needs, type(_asking(player.optimizer)).__name__
    if needs.ggn and not (task.splits and task.curved):
        what = "linear in" if task.splits else "no criterion of"
        raise UserError(
            f"optimizer: {name} asks for the Gauss-Newton matrix, and the loss of "
            f"{type(task).__name__} is {what} one model's outputs, so there is none; take an "
            "optimizer that goes by the Hessian or by gradients"
        )
    if not needs.own_gradient:
        return
    clipped = {key: value for key, value in vars(config.clip).items() if key != "per_group"}
    done = [f"clip.{key}={value}" for key, value in clipped.items() if value is not None]
    if own.optimizer["centralize_gradients"]:
        done.append("optimizer.centralize_gradients=true")
    if done:
        raise UserError(
            f"{done[0]}: {name} holds losses and products against gradients, which have to be the "
            "loss's own; leave it out"
        )


def _check_fisher(config: RunConfig, player: Player, task: Task) -> None:
    """Refuse what has no Fisher matrix, for an optimizer that wants one."""
    if player.needs.fisher == "none":
        return
    name, loss = type(_asking(player.optimizer)).__name__, type(task).__name__
    if config.compile:
        raise UserError(
            f"compile=true: {name} looks at what goes into layers, which torch.compile has no "
            "place for; use compile=false"
        )
    if not task.splits:
        raise UserError(
            f"optimizer: {name} needs a loss that is the criterion of one model's outputs, "
            f"which that of {loss} is not"
        )
    if player.needs.fisher == "sampled" and not task.draws:
        raise UserError(f"optimizer.fisher=sampled: {no_distribution(loss)}")


def _asking(optimizer: Any) -> Any:
    """Return the optimizer within others that wants a Fisher matrix."""
    inside = [m for m in getattr(optimizer, "members", ()) if needs_of(m).fisher != "none"]
    return _asking(inside[0]) if inside else optimizer
