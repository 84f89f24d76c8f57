"""optbench.optim.second_order.kfac.layers: which layers there are, and that each is a matrix."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from optbench.models.gpt import GPT
from optbench.optim.second_order.kfac.layers import Layer, layers, preconditioned

CONVOLUTIONS: list[dict[str, Any]] = [
    {"kernel_size": 3},
    {"kernel_size": (2, 3), "stride": (2, 1), "padding": (1, 2)},
    {"kernel_size": 3, "padding": "same", "dilation": (2, 1)},
    {"kernel_size": 2, "padding": "same"},  # of which one side is padded
    {"kernel_size": 3, "padding": 1, "padding_mode": "reflect", "stride": 2},
    {"kernel_size": 3, "padding": (1, 2), "padding_mode": "circular"},
    {"kernel_size": 3, "padding": 1, "padding_mode": "replicate", "bias": False},
    {"kernel_size": 3, "groups": 2},
    {"kernel_size": 3, "groups": 4, "padding": 1, "stride": 2},
]


def by_matrix(layer: Layer, inputs: Tensor) -> Tensor:
    """What a layer gives, by its matrix and columns, [n, groups, b, places]."""
    for parameter in layer.parameters:
        parameter.grad = parameter.detach().clone()  # `matrix` is of the gradients
    return torch.einsum("gba,ngap->ngbp", layer.matrix(), layer.columns(inputs))


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@pytest.mark.parametrize("settings", CONVOLUTIONS, ids=str)
def test_a_convolution_is_a_matrix_on_what_its_kernel_sees(settings: dict[str, Any]) -> None:
    torch.manual_seed(0)
    (layer,) = layers(nn.Conv2d(4, 8, **settings).double())
    inputs = torch.randn(3, 4, 7, 6, dtype=torch.float64)
    wanted = layer.module(inputs)
    found = by_matrix(layer, inputs)
    assert layer.sides == (found.shape[2] and layer.columns(inputs).shape[2], found.shape[2])
    torch.testing.assert_close(found, layer.rows(wanted))


@pytest.mark.parametrize("settings", [{"stride": 2, "padding": 1}, {"dilation": 2, "groups": 2}])
def test_a_convolution_of_sequences(settings: dict[str, Any]) -> None:
    torch.manual_seed(0)
    (layer,) = layers(nn.Conv1d(4, 6, 3, **settings).double())
    inputs = torch.randn(3, 4, 9, dtype=torch.float64)
    torch.testing.assert_close(by_matrix(layer, inputs), layer.rows(layer.module(inputs)))


@pytest.mark.parametrize("shape", [(5,), (3, 5), (3, 4, 5), (3, 2, 4, 5)])
def test_a_linear_layer_at_places_of_a_sequence(shape: tuple[int, ...]) -> None:
    (layer,) = layers(nn.Linear(5, 2).double())
    inputs = torch.randn(shape, dtype=torch.float64)
    torch.testing.assert_close(by_matrix(layer, inputs), layer.rows(layer.module(inputs)))


def test_some_places_are_some_of_all_and_others_in_each_turn() -> None:
    (layer,) = layers(nn.Conv2d(2, 3, 3))
    inputs = torch.randn(1, 2, 9, 9)
    every = {tuple(column.tolist()) for column in layer.columns(inputs)[0, 0].t()}
    turns = [layer.columns(inputs, 7, turn)[0, 0].t() for turn in range(40)]
    seen = [{tuple(column.tolist()) for column in turn} for turn in turns]
    assert all(len(some) == 7 and some <= every for some in seen)
    assert set.union(*seen) == every and len(every) == 49


def test_matrices_go_back_to_the_parameters() -> None:
    for module in (nn.Conv2d(4, 6, 3, groups=2), nn.Linear(4, 3), nn.Embedding(5, 3)):
        (layer,) = layers(module)
        for parameter in layer.parameters:
            parameter.grad = torch.randn_like(parameter)
        for parameter, part in zip(layer.parameters, layer.split(layer.matrix()), strict=True):
            assert torch.equal(part, parameter.grad)  # type: ignore[arg-type]


def test_what_is_left_to_a_companion() -> None:
    model = nn.ModuleDict(
        {
            "known": nn.Linear(2, 2),
            "norm": nn.BatchNorm1d(2),
            "rnn": nn.LSTM(2, 2),
            "turned": nn.ConvTranspose1d(2, 2, 3),
            "sparse": nn.Embedding(3, 2, sparse=True),
            "frozen": nn.Linear(2, 2).requires_grad_(False),
            "halved": nn.Linear(2, 2),
        }
    )
    model["halved"].bias.requires_grad_(False)
    assert preconditioned(model) == {"known.weight", "known.bias", "halved.weight"}


def test_tied_weights_are_left_to_it_too() -> None:
    taken = preconditioned(GPT(input_shape=(4,), num_classes=5, layers=1, heads=2, width=4))
    assert taken and not any("head" in name or "token" in name for name in taken)


def test_a_model_without_such_layers_is_refused_with_what_it_has() -> None:
    with pytest.raises(ValueError, match=r"has none that is trained: LSTM, LayerNorm$"):
        preconditioned(nn.Sequential(nn.LSTM(2, 2), nn.LayerNorm(2)))
