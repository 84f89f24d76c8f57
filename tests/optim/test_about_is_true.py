"""What the YAMLs say about state and implementations, measured."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from optbench.assemble.create import locate
from optbench.assemble.optimizer import choose_implementation
from optbench.compose.paths import description_of
from optbench.config.about import About, about
from optbench.errors import UserError
from optbench.models.mlp import MLP
from optbench.optim.needs import needs_of
from optbench.training.averaged import with_modes

from .plain_objective import Plain
from .population import with_losses
from .problem import CPU, YAMLS, built, node_of

NAMES = sorted(path.stem for path in YAMLS.glob("*.yaml"))
IMPLEMENTATIONS = ("loop", "foreach", "fused", "compiled")


def of(name: str) -> About:
    return about(description_of(YAMLS / f"{name}.yaml"))


MEASURABLE = [n for n in NAMES if of(n).state[0] in "<0123456789"]
COUNTABLE = [n for n in NAMES if of(n).implementations != "its own"]


def one_matrix() -> nn.Module:
    """Wide enough that the state of its biases does not count, nor a row and a column."""
    torch.manual_seed(0)
    module = MLP(input_shape=(40,), num_classes=2, hidden=[60])
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(name == "blocks.0.0.weight")
    return module


def walked(name: str, steps: int) -> torch.optim.Optimizer:
    module = one_matrix()
    optimizer = built(name)(module)
    inputs = torch.randn(16, 40, generator=torch.Generator().manual_seed(0))

    closure = Plain(module, inputs, torch.arange(16) % 2)
    with_losses(closure, module, closure.loss)
    for each in with_modes(optimizer):
        each.train()
    for _ in range(steps):
        if needs_of(optimizer).closure:
            optimizer.step(closure)
        else:
            closure()
            optimizer.step()
    return optimizer


def tensors(value: Any) -> list[Tensor]:
    """All in nested state; L-BFGS keeps lists of them, Shampoo objects."""
    if torch.is_tensor(value):
        return [value] if value.dim() > 0 else []
    if isinstance(value, str | int | float | None):
        return []
    if isinstance(value, dict):
        return tensors(list(value.values()))
    inside = value if isinstance(value, list | tuple) else vars(value).values()
    return [tensor for item in inside for tensor in tensors(item)]


def numbers_kept(optimizer: torch.optim.Optimizer) -> int:
    """In all state tensors."""
    members = getattr(optimizer, "members", [optimizer])
    found = [t for member in members for state in member.state.values() for t in tensors(state)]
    return sum(tensor.numel() for tensor in found)


@pytest.mark.parametrize("name", MEASURABLE)
def test_the_state_is_as_large_as_said(name: str) -> None:
    kept = numbers_kept(walked(name, 12)) / (40 * 60)
    said = of(name).state.partition(";")[0]
    if said.startswith("< "):
        assert 0 < kept < float(said[2:])
    else:
        assert kept == pytest.approx(float(said), abs=0.05)


@pytest.mark.parametrize("name", COUNTABLE)
def test_the_implementations_are_those_that_it_has(name: str) -> None:
    cls, has = locate(node_of(name)["_target_"], ""), []
    for asked in IMPLEMENTATIONS:
        try:
            choose_implementation(cls, asked, CPU)
        except UserError:
            continue
        has.append(asked)
    assert ", ".join(has) == of(name).implementations
