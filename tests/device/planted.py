"""Optimizers with the faults that the device that is not there has to find."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class Plain(torch.optim.SGD):
    """Gradient descent that may be asked for more at each step."""

    def more(self, parameter: Tensor) -> Any:
        """Do nothing more."""

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:  # type: ignore[override]
        """Take a step."""
        for group in self.param_groups:
            for parameter in group["params"]:
                self.more(parameter)
        return super().step(closure)


class Item(Plain):
    """Reads a number."""

    def more(self, parameter: Tensor) -> Any:
        """Read it."""
        return parameter.sum().item()


class Branch(Plain):
    """Asks whether something is so."""

    def more(self, parameter: Tensor) -> Any:
        """Ask."""
        return 1 if parameter.sum() > 0 else 2


class Cpu(Plain):
    """Fetches a tensor."""

    def more(self, parameter: Tensor) -> Any:
        """Fetch it."""
        return parameter.cpu()


class To(Plain):
    """The same, in other words."""

    def more(self, parameter: Tensor) -> Any:
        """Fetch it."""
        return parameter.to("cpu")


class Numpy(Plain):
    """The same for numpy."""

    def more(self, parameter: Tensor) -> Any:
        """Fetch it."""
        return parameter.detach().cpu().numpy()


class Sent(Plain):
    """Makes a tensor on the CPU, and sends it over."""

    def more(self, parameter: Tensor) -> Any:
        """Send it."""
        return parameter + torch.ones(parameter.shape).to(parameter.device)


class Told(Plain):
    """Makes a tensor of a number of Python's, for which torch does the same."""

    def more(self, parameter: Tensor) -> Any:
        """Make it."""
        return parameter * torch.tensor([0.5], device=parameter.device)


class Mixed(Plain):
    """Adds tensors of two devices."""

    def more(self, parameter: Tensor) -> Any:
        """Add them."""
        return parameter + torch.ones(parameter.shape)


class Index(Plain):
    """Indexes by a tensor of the CPU."""

    def more(self, parameter: Tensor) -> Any:
        """Index by it."""
        return parameter[torch.arange(2)]


class Solve(Plain):
    """Solves, and has torch look whether that went well."""

    def more(self, parameter: Tensor) -> Any:
        """Solve."""
        eye = torch.eye(2, device=parameter.device)
        return torch.linalg.solve(eye, eye)


class Eigenvalues(Plain):
    """The same for eigenvalues."""

    def more(self, parameter: Tensor) -> Any:
        """Ask for them."""
        return torch.linalg.eigvalsh(torch.eye(2, device=parameter.device))


class Mask(Plain):
    """Puts a row where something is so."""

    def more(self, parameter: Tensor) -> Any:
        """Put it there, into matrices."""
        copy = parameter.detach().clone()
        if copy.ndim == 2:
            copy[copy.sum(dim=1) > 0] = torch.ones_like(copy[0])
        return copy


class Nonzero(Plain):
    """Has to know how many there are."""

    def more(self, parameter: Tensor) -> Any:
        """Count them."""
        return parameter[parameter > 0]
