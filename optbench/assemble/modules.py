"""The players' modules: made, given their shapes, initialised, and laid out in memory."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from optbench.assemble.blame import named
from optbench.assemble.create import created, kind_of, own_target
from optbench.assemble.data import known_sizes, wanted
from optbench.assemble.fitting import scored
from optbench.config.run_config import RunConfig
from optbench.config.suggest import did_you_mean
from optbench.data.dataset import Dataset, Source
from optbench.data.permutation import Indices
from optbench.errors import UserError
from optbench.models.checkpointing import enable_activation_checkpointing
from optbench.models.init import INITIALISATIONS, initialise
from optbench.tasks.base import Task

MODEL_OURS = ("task", "init", "init_std", "init_bias")
"""Keys of the model node that are not the model's own arguments."""


def build_modules(
    config: RunConfig,
    dataset: Dataset,
    task: Task,
    source: Source,
    indices: Indices,
    device: torch.device,
    choices: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, nn.Module]:
    """Return the players' modules by name.

    Args:
        source, indices: examples to train on; what a lazy module wants to see.
        choices: the file that each group chose, for messages.

    Raises:
        UserError: no module, or one that the task or the settings do not fit.
    """
    node = {k: v for k, v in config.model.items() if k not in MODEL_OURS}
    target = own_target(node, "model")
    module: nn.Module = created(node, "model", **wanted(target, known_sizes(dataset)))
    if not isinstance(module, nn.Module):
        raise UserError(
            f"model._target_={node['_target_']}: gives {kind_of(module)}; "
            "expected a torch.nn.Module"
        )
    modules = by_player(config, module, choices)
    module.to(device)
    _materialise(config, task, modules, source, indices, choices)
    _initialise(config, module)
    try:
        if config.activation_checkpointing:
            if config.compile and any(True for _ in module.buffers()):
                raise ValueError("compile with activation_checkpointing: not with batch norm")
            enable_activation_checkpointing(module)
    except ValueError as error:
        raise UserError(f"model: {error}") from None
    layout = torch.channels_last if config.channels_last else torch.preserve_format
    module.to(memory_format=layout)
    if config.compile:
        # On a CPU it would be told that there is no CUDA, in torch's own words.
        logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
        for each in modules.values():
            each.compile()
    return modules


def _initialise(config: RunConfig, module: nn.Module) -> None:
    """Draw the weights by the rule that the config names."""
    rule, std, bias = (config.model[key] for key in ("init", "init_std", "init_bias"))
    if rule not in INITIALISATIONS:
        raise UserError(f"model.init={rule}: no such rule; {did_you_mean(rule, INITIALISATIONS)}")
    if rule == "trunc_normal" and not std > 0:
        raise UserError(f"model.init_std={std}: not positive, which model.init={rule} needs")
    initialise(module, rule, std=std, bias=bias)


def by_player(
    config: RunConfig, module: nn.Module, choices: Mapping[str, str]
) -> dict[str, nn.Module]:
    """Return the parts of a model by the player that trains them."""
    names = list(config.players)
    if not config.player:
        if isinstance(module, nn.ModuleDict):
            parts = " and ".join(module)
            raise UserError(f"model: it has the players {parts}, of which the task knows nothing")
        return {names[0]: module}
    if not isinstance(module, nn.ModuleDict) or set(module) != set(names):
        said = named("model", config.model, choices)
        raise UserError(f"{said}: the task needs one with the parts {' and '.join(names)}")
    return {name: module[name] for name in names}


def _lazy(modules: Mapping[str, nn.Module]) -> list[str]:
    tensors: list[tuple[str, Any]] = [
        pair
        for module in modules.values()
        for pair in (*module.named_parameters(), *module.named_buffers())
    ]
    return [name for name, tensor in tensors if is_lazy(tensor)]


def _materialise(
    config: RunConfig,
    task: Task,
    modules: Mapping[str, nn.Module],
    source: Source,
    indices: Indices,
    choices: Mapping[str, str],
) -> None:
    """Give lazy parameters (`nn.LazyLinear`) the shapes that two examples lead to.

    Their values are drawn from torch's global generator, in the order in which they are used.
    """
    if not _lazy(modules):
        return
    for module in modules.values():
        module.eval()
    scored(config, task, modules, source, indices, choices)
    for module in modules.values():
        module.train()
    left = _lazy(modules)
    if left:
        said = named("model", config.model, choices)
        raise UserError(f"{said}: {left[0]} is lazy, and no example leads through it")
