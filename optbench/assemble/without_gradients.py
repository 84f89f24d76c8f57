"""What does not go together with an optimizer that asks for no gradients."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch

from optbench.assemble.create import locate
from optbench.config.run_config import PlayerConfig, RunConfig
from optbench.config.schema import schedules_in
from optbench.errors import UserError
from optbench.optim.needs import needs_of
from optbench.schedules.base import watches_updates
from optbench.training.player import Player


def check_without_gradients(
    config: RunConfig, own: PlayerConfig, optimizer: torch.optim.Optimizer
) -> None:
    """Refuse whatever changes, bounds or watches gradients, where there are none.

    Args:
        own: the player's part of the config.
        optimizer: the player's, not yet wrapped.

    Raises:
        UserError: one line, for the first that there is.
    """
    if needs_of(optimizer).gradients:
        return
    name = type(optimizer).__name__
    if len(config.players) > 1:
        raise UserError(
            f"optimizer: {name} compares losses of one model, and here {len(config.players)} "
            "players change each other's; take an optimizer that goes by gradients"
        )
    for said, remedy in _wanted(config, own):
        raise UserError(f"{said}: {name} goes by losses and has no gradients; {remedy}")


def _wanted(config: RunConfig, own: PlayerConfig) -> Iterator[tuple[str, str]]:
    """Yield what is asked for that takes gradients, and what to use instead."""
    if config.precision.scaler:
        yield f"precision={config.precision.name}", "use bf16 or fp32"
    if config.wrapper.get("_target_"):
        yield f"wrapper={str(config.wrapper['_target_']).rpartition('.')[2]}", "use wrapper=none"
    for key, value in vars(config.clip).items():
        if value not in (None, False):
            yield f"clip.{key}={value}", "leave it out"
    if own.optimizer["centralize_gradients"]:
        yield "optimizer.centralize_gradients=true", "leave it out"
    if own.optimizer["decay"] != "own":
        yield f"optimizer.decay={own.optimizer['decay']}", "use decay=own"
    for at, node in schedules_in(config):
        metric = str(node.get("metric") or "")
        if metric.startswith("grad_norm/"):
            yield f"{at}.metric={metric}", "take train/loss or a score"
        if _watches(node):
            yield f"{at}={node['_target_']}", "take a schedule that does not watch them"


def _watches(node: Any) -> bool:
    target = node.get("_target_")
    return bool(target) and watches_updates(locate(str(target), "schedule._target_"))


def without_slope(players: Iterable[Player]) -> list[str]:
    """Return what is to be said of those that stay where they begin, for their loss has no slope.

    Args:
        players: of the run; each model may say that it is `flat`.
    """
    return [
        f"{type(player.module).__name__} has no slope anywhere, so "
        f"{type(player.optimizer).__name__}, which goes by gradients, stays where it begins; take "
        "optimizer=ga optimizer.values=[0,1]"
        for player in players
        if getattr(player.module, "flat", False) and player.needs.gradients
    ]
