"""Parameters as one vector, and optimizers that take them so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any

import torch
from torch import Tensor


class Flat:
    """Parameters as one vector, at least float32.

    Args:
        parameters: in the order of the vector's parts.

    Example:
        >>> flat = Flat(list(module.parameters()))
        >>> flat.put(flat.point() - 0.1 * flat.gradient())
    """

    def __init__(self, parameters: Sequence[Tensor]) -> None:
        self.parameters = list(parameters)
        self._sizes = [parameter.numel() for parameter in self.parameters]
        self.size = sum(self._sizes)

    def point(self) -> Tensor:
        """Return where the parameters are, a copy [n]."""
        return self.join([parameter.detach() for parameter in self.parameters])

    def gradient(self) -> Tensor:
        """Return their gradients [n]; none is 0."""
        return self.join([_gradient(parameter) for parameter in self.parameters])

    @torch.no_grad()
    def put(self, point: Tensor) -> None:
        """Move the parameters."""
        for parameter, part in zip(self.parameters, self.split(point), strict=True):
            parameter.copy_(part)

    @contextmanager
    def tried(self) -> Iterator[Tensor]:
        """Give the point, from which the block tries others; an exception leads back to it."""
        point = self.point()
        try:
            yield point
        except BaseException:
            self.put(point)
            raise

    def join(self, tensors: Sequence[Tensor]) -> Tensor:
        """Return tensors of the parameters' shapes as one vector, [n]; of stacked ones [K, n]."""
        ahead = tensors[0].ndim - self.parameters[0].ndim
        joined = torch.cat([tensor.flatten(start_dim=ahead) for tensor in map(_wide, tensors)], -1)
        return joined

    def split(self, vector: Tensor) -> list[Tensor]:
        """Return the parts of a vector [n], or of several [K, n], in the parameters' shapes."""
        parts = vector.split(self._sizes, dim=-1)
        return [
            part.reshape(*vector.shape[:-1], *parameter.shape).to(parameter.dtype)
            for part, parameter in zip(parts, self.parameters, strict=True)
        ]


class OfOneVector(torch.optim.Optimizer):
    """What optimizers share that take all parameters as one vector.

    Their settings can't differ by group. Their state is the first parameter's, as L-BFGS's of
    torch.

    Args:
        params: as in torch; one group.
        defaults: of the group.

    Raises:
        ValueError: several groups.
    """

    def __init__(self, params: Any, defaults: dict[str, Any]) -> None:
        super().__init__(params, defaults)
        if len(self.param_groups) > 1:
            name = type(self).__name__
            raise ValueError(
                f"groups: {name} takes all parameters as one vector, so none can have settings of "
                "its own"
            )

    @property
    def settings(self) -> dict[str, Any]:
        """The group."""
        group: dict[str, Any] = self.param_groups[0]
        return group

    @property
    def kept(self) -> dict[str, Any]:
        """The state."""
        state: dict[str, Any] = self.state[self.settings["params"][0]]
        return state

    def rests(self, gradient: Tensor) -> bool:
        """Return whether there is nowhere to go: a gradient of 0, or not finite, an lr of 0."""
        some = bool(gradient.isfinite().all()) and bool(gradient.any())
        return not some or not float(self.settings["lr"]) > 0

    def flat(self) -> Flat:
        """Return the parameters as a vector."""
        return Flat(self.settings["params"])


def one_of(settings: Mapping[str, Any], name: str, *words: str) -> None:
    """Raise ValueError unless a setting is one of some words."""
    value = settings[name]
    if value in words:
        return
    near = get_close_matches(str(value), words, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise ValueError(f"{name} is {', '.join(words[:-1])} or {words[-1]}, got {value}{hint}")


def _gradient(parameter: Tensor) -> Tensor:
    gradient = parameter.grad
    if gradient is None:
        return torch.zeros_like(parameter)
    return gradient.detach().to_dense()


def _wide(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor
