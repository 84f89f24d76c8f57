"""What a learning rate range test trains, of what `train` would train."""

from __future__ import annotations

from dataclasses import replace

from optbench.compose.composer import Composer
from optbench.compose.players import choice_key
from optbench.config.run_config import RunConfig
from optbench.config.run_spec import RunSpec
from optbench.config.suggest import did_you_mean
from optbench.errors import UserError


def resolve_player(config: RunConfig, asked: str) -> str:
    """Return the player whose learning rate is looked for.

    Raises:
        UserError: there is none of that name, or several and none is named.
    """
    names = list(config.players)
    if asked in names:
        return asked
    if asked:
        raise UserError(f"--player {asked}: no such player; {did_you_mean(asked, names)}")
    if len(names) > 1:
        raise UserError(f"find-lr: of which player? --player {' or --player '.join(names)}")
    return names[0]


def range_test_config(spec: RunSpec, composer: Composer, steps: int, player: str) -> RunConfig:
    """Return the config of the test, with the ramp in place of schedules, EMA and length.

    Raises:
        UserError: an optimizer that has no learning rate, reads it only once, or searches for its
            steps' lengths.
    """
    config, own = spec.config, spec.config.players[player]
    optimizer = dict(own.optimizer)
    if config.resume:
        raise UserError(f"resume={config.resume}: not with find-lr, which begins anew")
    name = spec.choices[choice_key(player, "optimizer") if own.at else "optimizer"]
    if "lr" not in optimizer:
        raise UserError(f"{own.at}optimizer={name}: has no lr to find")
    if "stages" in optimizer:
        raise UserError(
            f"{own.at}optimizer={name}: has stages; find the lr of each with its own optimizer"
        )
    if optimizer.get("lr_is_initial"):
        raise UserError(
            f"{own.at}optimizer={name}: reads lr once, at its first step, so no ramp has an "
            "effect; try optimizer.lr with train -m"
        )
    searched = optimizer.get("line_search", optimizer.get("line_search_fn"))
    if searched not in (None, "none"):
        key = "line_search" if "line_search" in optimizer else "line_search_fn"
        raise UserError(
            f"{own.at}optimizer={name}: {key}={searched} finds each step's length, and lr is the "
            "first that it tries: leave optimizer.lr=1"
        )
    if optimizer["lr"] is not None and not float(optimizer["lr"]) > 0:
        key = f"{own.at}optimizer.lr"
        raise UserError(f"{key}={optimizer['lr']}: find-lr scales it; it has to be above 0")
    patterns = optimizer["groups"]
    optimizer["groups"] = [{k: v for k, v in p.items() if k != "schedule"} for p in patterns]
    return replace(
        config.with_player(player, optimizer, composer.files.file("schedule", "constant")),
        momentum_schedule=None,
        beta2_schedule=None,
        weight_decay_schedule=None,
        steps=steps,
        epochs=None,
        ema=0.0,
        nonfinite="stop",
    )
