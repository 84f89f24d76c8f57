"""An optimizer of several stages from its node."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import nn

from optbench.assemble.create import call
from optbench.assemble.decay import set_decay
from optbench.assemble.metric_checks import mode_of
from optbench.assemble.optimizer import Built, build_optimizer
from optbench.assemble.without_gradients import check_without_gradients
from optbench.assemble.wrapper import wrapped
from optbench.config.flow import flow
from optbench.config.lengths import Length
from optbench.config.run_config import PlayerConfig, RunConfig
from optbench.config.stages import RATES, STAGES, SWATS, settings_of, stages_of
from optbench.errors import UserError
from optbench.optim.first_order.heavy_ball import HeavyBall
from optbench.optim.first_order.momentum import Momentum
from optbench.optim.needs import needs_of
from optbench.optim.progressive.ends import Bound, Plateau, Until
from optbench.optim.progressive.progressive import Progressive, Stage
from optbench.tasks.base import Task

LIKE_SGD = (torch.optim.SGD, Momentum, HeavyBall)
"""Those whose steps are lr times the gradient, with a momentum perhaps."""


def build_any(
    config: RunConfig,
    own: PlayerConfig,
    module: nn.Module,
    device: torch.device,
    lr_factor: float,
    run: Mapping[str, int],
    task: Task,
) -> Built:
    """Return the optimizer of a node, with what goes around it and how its weight decay enters.

    Args:
        config: the run's.
        own: the player's part of it, with its `optimizer`.
        module: whose parameters that want gradients are optimized.
        device: where they are.
        lr_factor: what every learning rate is multiplied with.
        run: its `num_iterations`, `num_data` and `steps_per_epoch`.
        task: tells which way its metrics are better.

    Raises:
        UserError: whatever does not fit together.
    """
    node = own.optimizer
    if STAGES not in node:
        built = build_optimizer(node, module, device, lr_factor, run)
        check_without_gradients(config, own, built.optimizer)
        built = wrapped(built, config.wrapper)
        set_decay(built.optimizer, node["decay"])
        return built
    if config.wrapper.get("_target_"):
        raise UserError(
            "wrapper: of an optimizer with stages it goes around one of them: "
            "{optimizer: sgd, wrapper: sam}"
        )
    ends = list(_ends(config, node, run, task))
    built_ones: list[Built] = []
    stages: list[Stage] = []
    for (at, stage), until in zip(stages_of(node, "optimizer"), ends, strict=True):
        first = not stages
        one = _one(stage, at, module, device, lr_factor, run, node["lr"] if first else None)
        built_ones.append(one)
        estimated = stage["lr"] if stage.get("lr") in RATES else ""
        if estimated and not isinstance(one.optimizer, LIKE_SGD):
            name = type(one.optimizer).__name__
            raise UserError(f"{at}.lr={estimated}: a rate for SGD and its kin, which {name} is not")
        stages.append(Stage(one.optimizer, until, tuple(stage["keep"]), estimated))
        _check_so_far(stages, at)
    parameters = [p for p in module.parameters() if p.requires_grad]
    optimizer = call(Progressive, f"optimizer.{STAGES}", stages, parameters)
    implementations = dict.fromkeys(one.implementation for one in built_ones)
    return Built(optimizer, " and ".join(implementations))


def _check_so_far(stages: list[Stage], at: str) -> None:
    """Have what can't follow what is before it be refused with its own key."""
    *before, last = stages
    alone = [*before, Stage(last.optimizer, None, last.keep, last.estimated)]
    call(Progressive, at, alone)


def _one(
    stage: Mapping[str, Any],
    at: str,
    module: nn.Module,
    device: torch.device,
    lr_factor: float,
    run: Mapping[str, int],
    lr: float | None,
) -> Built:
    """Return the optimizer of one stage, over the parameters that it trains."""
    node = settings_of(stage)
    if lr is not None and "lr" in node:
        node["lr"] = lr
    names = [name for name, p in module.named_parameters() if p.requires_grad]
    trained = {name for name in names if any(fnmatchcase(name, g) for g in stage["train"])}
    for glob in stage["train"]:
        if not any(fnmatchcase(name, glob) for name in names):
            known = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
            raise UserError(f"{at}.train: {glob} matches no parameter; there are {known}")
    factor = 1.0 if stage.get("lr") in RATES else lr_factor
    try:
        built = build_optimizer(node, module, device, factor, run, trained)
        if not needs_of(built.optimizer).gradients:
            name = type(built.optimizer).__name__
            raise UserError(
                f"optimizer: {name} goes by losses and has no gradients, as stages have"
            )
        if stage["wrapper"] is not None:
            built = wrapped(built, stage["wrapper"])
        set_decay(built.optimizer, node["decay"])
    except UserError as error:
        said = str(error)
        where = (
            said.replace("optimizer", at, 1) if said.startswith("optimizer") else f"{at}: {said}"
        )
        raise type(error)(where) from error.__cause__
    return built


def _ends(
    config: RunConfig, node: Mapping[str, Any], run: Mapping[str, int], task: Task
) -> Iterator[Until | None]:
    """Yield when each stage ends; refuse an end that can't come."""
    total, last = run["num_iterations"], 0
    for at, stage in stages_of(node, "optimizer"):
        said = stage["until"]
        if said is None:
            yield None
            continue
        by = said.get("by") if isinstance(said, Mapping) else said
        key = f"{at}.until" + (".by" if isinstance(said, Mapping) else "")
        step = None
        if by is not None:
            step = Length.parse(by).steps(run["steps_per_epoch"], total)
            if step <= last:
                raise UserError(
                    f"{key}={by}: step {step}, where the stage before ends at {last}; until counts "
                    "from the run's beginning"
                )
            if step >= total:
                raise UserError(
                    f"{key}={by}: never comes: step {step} of a run of {total} leaves none for the "
                    "next stage"
                )
            last = step
        if not isinstance(said, Mapping):
            yield Until(step)
        elif SWATS in said:
            yield call(Until, f"{at}.until", step, None, said[SWATS])
        else:
            condition = _condition(said, f"{at}.until", task)
            if isinstance(condition, Plateau) and step is None:
                _refuse_patience(config, condition, f"{at}.until", run)
            yield Until(step, condition)


def _condition(said: Mapping[str, Any], at: str, task: Task) -> Plateau | Bound:
    if "below" in said:
        side = "below" if said["below"] is not None else "above"
        bound: Bound = call(Bound, at, said["metric"], said[side], side)
        return bound
    own = {key: said[key] for key in ("patience", "threshold", "threshold_mode")}
    plain_mode = said["mode"]
    mode = mode_of(plain_mode, said["metric"], task)
    plateau: Plateau = call(Plateau, at, said["metric"], mode, **own)
    return plateau


def _refuse_patience(
    config: RunConfig, condition: Plateau, at: str, run: Mapping[str, int]
) -> None:
    """Refuse more patience than there are records in the run."""
    val = condition.metric.startswith("val/")
    cadence = config.eval.every if val else config.monitor.every
    every = cadence.steps(run["steps_per_epoch"], run["num_iterations"])
    records = run["num_iterations"] // every if every else 0
    if every and condition.patience + 2 > records:
        raise UserError(
            f"{at}.patience={condition.patience}: never comes: {condition.metric} is measured "
            f"{records} times in a run of {run['num_iterations']} steps; "
            f"{flow({'by': '50%'})[1:-1]} ends the stage at the latest then"
        )
