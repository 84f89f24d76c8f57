"""Tools shared by the tests of models."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

CONFIGS = Path(__file__).parents[2] / "configs" / "model"
INITIALISATION_KEYS = ("init", "init_std", "init_bias")

BuildModel = Callable[..., nn.Module]
Backward = Callable[..., dict[str, Tensor]]


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def build_model() -> BuildModel:
    """Instantiate the model of a YAML file as the experiment builder does."""

    def build(
        yaml: str, input_shape: tuple[int, ...], num_classes: int, **changes: Any
    ) -> nn.Module:
        config = OmegaConf.load(CONFIGS / f"{yaml}.yaml")
        keys = {key: config[key] for key in config if key not in INITIALISATION_KEYS}
        torch.manual_seed(0)
        return instantiate(
            keys | changes, input_shape=input_shape, num_classes=num_classes, _convert_="all"
        )

    return build


@pytest.fixture
def backward() -> Backward:
    """Return the gradients of a model on one random batch, always drawn alike."""

    def gradients(
        model: nn.Module, input_shape: tuple[int, ...], num_classes: int, batch: int = 2
    ) -> dict[str, Tensor]:
        torch.manual_seed(1)
        inputs = torch.randn(batch, *input_shape)
        targets = torch.randint(num_classes, (batch,))
        model.zero_grad()
        loss = cross_entropy(model(inputs), targets)
        assert torch.isfinite(loss)
        loss.backward()
        found = {name: parameter.grad for name, parameter in model.named_parameters()}
        missing = [name for name, gradient in found.items() if gradient is None]
        assert not missing, f"no gradient for {missing}"
        return {name: gradient for name, gradient in found.items() if gradient is not None}

    return gradients
