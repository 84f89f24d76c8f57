"""The empirical Fisher matrix's diagonal: the mean over examples of squared gradients."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import unfold

from optbench.optim.second_order.flat import Flat


class Diagonal:
    """Squared gradients of examples, from what goes into layers and what comes back.

    Exact for linear layers and convolutions that are called once; what belongs to others has the
    squared gradient of the whole batch.

    Args:
        module: the model.
        flat: its parameters.

    Attributes:
        layers: what has to be captured while the objective is evaluated.
    """

    def __init__(self, module: nn.Module, flat: Flat) -> None:
        self._flat = flat
        own = {id(parameter) for parameter in flat.parameters}
        self.layers = [
            layer
            for layer in module.modules()
            if _can(layer) and any(id(p) in own for p in layer.parameters(recurse=False))
        ]

    def squares(self, seen: Any) -> list[Tensor]:
        """Return this rank's part of the means, by parameter.

        Args:
            seen: the capture: by layer the inputs and output gradients of each micro-batch.
        """
        found: dict[int, Tensor] = {}
        for layer in self.layers:
            for each in seen[layer]:
                factor = each.weight * len(each.inputs)
                for parameter, squares in _of_layer(layer, each.inputs, each.output_gradients):
                    sums = found.get(id(parameter))
                    part = factor * squares.to(parameter.dtype).view_as(parameter)
                    found[id(parameter)] = part if sums is None else sums + part
        if not found:  # a rank without a share; the batch's gradients are everybody's
            for layer in self.layers:
                for parameter in layer.parameters(recurse=False):
                    found[id(parameter)] = torch.zeros_like(parameter)
        return [
            found[id(parameter)] if id(parameter) in found else _of_batch(parameter)
            for parameter in self._flat.parameters
        ]


def _can(layer: nn.Module) -> bool:
    if isinstance(layer, nn.Conv2d):
        return layer.groups == 1 and layer.padding_mode == "zeros" and layer.padding != "same"
    return isinstance(layer, nn.Linear)


def _of_layer(layer: nn.Module, inputs: Tensor, slopes: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Return parameters with the sums over examples of squared gradients."""
    assert isinstance(layer, nn.Linear | nn.Conv2d)
    if isinstance(layer, nn.Conv2d):
        assert not isinstance(layer.padding, str)
        columns = unfold(
            inputs,
            layer.kernel_size,
            dilation=layer.dilation,
            padding=layer.padding,
            stride=layer.stride,
        )
        inputs, slopes = columns.transpose(1, 2), slopes.flatten(start_dim=2).transpose(1, 2)
    inputs = inputs.to(slopes.dtype)
    if inputs.ndim == 2:
        weight, bias = slopes.square().T @ inputs.square(), slopes.square().sum(dim=0)
    else:
        count = len(inputs)
        inputs, slopes = (each.reshape(count, -1, each.shape[-1]) for each in (inputs, slopes))
        weight = torch.zeros_like(slopes[0].T @ inputs[0])
        for one, other in zip(slopes, inputs, strict=True):
            weight += (one.T @ other).square()
        bias = slopes.sum(dim=1).square().sum(dim=0)
    return [(layer.weight, weight)] + ([] if layer.bias is None else [(layer.bias, bias)])


def _of_batch(parameter: Tensor) -> Tensor:
    gradient = parameter.grad
    return torch.zeros_like(parameter) if gradient is None else gradient.to_dense().square()
