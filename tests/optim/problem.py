"""A small problem that every optimizer is tried on, and trajectories over it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from omegaconf import OmegaConf
from torch import Tensor, nn
from training.objectives import Problem

from optbench.assemble.optimizer import Built, build_optimizer
from optbench.assemble.stages import build_any
from optbench.compose.composer import hydra_session
from optbench.compose.paths import configs_folder
from optbench.config.run_config import PlayerConfig
from optbench.models.mlp import MLP
from optbench.optim.needs import needs_of
from optbench.tasks.classification import Classification
from optbench.training.averaged import with_modes

from .plain_objective import Plain

YAMLS = configs_folder() / "optimizer"
SHARED = {
    **{"implementation": "auto", "decay_norm_and_bias": True, "groups": [], "layer_decay": 1.0},
    **{"decay": "own", "centralize_gradients": False},
}
"""What configs/config.yaml says about every optimizer."""

NAMED: dict[str, dict[str, Any]] = {
    "zoo": {"name": "madgrad", "arguments": {"momentum": 0.8}},
    "custom": {
        "_target_": "optbench.optim.first_order.heavy_ball.HeavyBall",
        "arguments": {"momentum": 0.8},
    },
}
"""What those that are named in the config are tried with."""

STAGES = "[{optimizer: adam, until: 4}, {optimizer: sgd, momentum: 0.9, keep: momentum, lr: 0.1}]"
CPU = torch.device("cpu")
Make = Callable[[nn.Module], torch.optim.Optimizer]


def node_of(name: str, **changes: Any) -> dict[str, Any]:
    """The config's `optimizer` for a YAML."""
    values = OmegaConf.to_container(OmegaConf.load(YAMLS / f"{name}.yaml"))
    assert isinstance(values, dict)
    values.pop("_about_", None)
    return numbers({**SHARED, **values, **NAMED.get(name, {}), **changes})


def numbers(value: Any) -> Any:
    """YAML 1.1 reads 1e-3 as a text; composing makes it a number."""
    if isinstance(value, dict):
        return {key: numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [numbers(item) for item in value]
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def network(dtype: torch.dtype = torch.float64) -> MLP:
    """Two hidden matrices, an output layer, and biases."""
    torch.manual_seed(0)
    return MLP(input_shape=(5,), num_classes=3, hidden=[7, 6], activation="tanh").to(dtype)


def data(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(24, 5, generator=generator, dtype=torch.float64)
    return inputs.to(dtype), torch.randint(3, (24,), generator=generator)


def staged(module: nn.Module) -> Built:
    """How the program makes `progressive`, of which 4 steps are Adam's."""
    with hydra_session() as composer:
        spec = composer.variant(["optimizer=progressive", "optimizer.stages=" + STAGES])
    run = {"num_iterations": 1000, "num_data": 24, "steps_per_epoch": 1}
    own = PlayerConfig(spec.config.optimizer, spec.config.schedule)
    task = Classification(label_smoothing=0.0)
    return build_any(spec.config, own, module, CPU, 1.0, run, task)


def built(name: str, **changes: Any) -> Make:
    """How the program makes a YAML's optimizer."""
    if name == "progressive":
        return lambda module: staged(module).optimizer
    return lambda module: build_optimizer(node_of(name, **changes), module, CPU).optimizer


def walk(module: nn.Module, optimizer: torch.optim.Optimizer, steps: int) -> list[Tensor]:
    """The weights after each step."""
    dtype = next(module.parameters()).dtype
    inputs, targets = data(dtype)
    closure, path = Plain(module, inputs, targets), []
    objective: Any = closure
    if needs_of(optimizer).fisher != "none":
        objective = Problem(module, Classification(), inputs, targets).objective()
    for each in with_modes(optimizer):
        each.train()
    for _ in range(steps):
        if needs_of(optimizer).closure:
            optimizer.step(objective)
        else:
            closure()
            optimizer.step()
        path.append(nn.utils.parameters_to_vector(module.parameters()).detach().clone())
    return path


def trajectory(make: Make, steps: int = 50) -> Tensor:
    """The weights after each of the steps, [steps, n]."""
    module = network()
    return torch.stack(walk(module, make(module), steps))
