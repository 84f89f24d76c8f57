"""Number formats: autocast and the gradient scaler."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from optbench.torch_internals import handle_no_skips, take_step


class Precision:
    """Autocast for forward passes, and the scaler that fp16's small exponents need.

    Args:
        device: where the model computes.
        autocast: the dtype of autocast, or None for none.
        scaler: whether gradients are scaled (Micikevicius et al. 2018, section 3.2).
        initial_scale: the scaler's first scale.

    Attributes:
        scale: of the last step's loss.
        autocast: its dtype, or None.
    """

    def __init__(
        self,
        device: torch.device,
        autocast: torch.dtype | None = None,
        scaler: bool = False,
        initial_scale: float = 2.0**16,
    ) -> None:
        self._type = device.type
        self.autocast = autocast
        self._plain = nullcontext()
        self.scale = initial_scale if scaler else 1.0
        self._next: float | None = None
        self.scaler = (
            torch.amp.GradScaler(device.type, init_scale=initial_scale) if scaler else None
        )

    def forward(self) -> AbstractContextManager[object]:
        """Return the context of a forward pass."""
        if self.autocast is None:
            return self._plain
        return torch.autocast(self._type, dtype=self.autocast)

    def step(self, optimizer: torch.optim.Optimizer) -> bool:
        """Take one optimizer step on unscaled gradients; return False if the scaler skipped it.

        That is read from the scale, which falls when and only when a gradient was not finite. Fused
        optimizers would skip inside their kernel, and torch's SGD leave new momentum buffers
        unset when it does; so they are not called at all.
        """
        if self.scaler is None:
            take_step(optimizer)
            return True
        handle_no_skips(optimizer)
        self.scale = self.scaler.get_scale() if self._next is None else self._next
        self.scaler.step(optimizer)
        self.scaler.update()
        self._next = self.scaler.get_scale()  # once: on a GPU it is waited for
        return self._next >= self.scale

    def state_dict(self) -> dict[str, Any] | None:
        """Return the scaler's state, and the scale of the last step; None without a scaler."""
        return None if self.scaler is None else {**self.scaler.state_dict(), "used": self.scale}

    def load_state_dict(self, state: Mapping[str, Any] | None) -> None:
        """Go on from `state_dict()`, which may be of a run without a scaler."""
        if self.scaler is not None and state is not None:
            self._next = None
            self.scaler.load_state_dict({k: v for k, v in state.items() if k != "used"})
            self.scale = state.get("used", self.scaler.get_scale())


def set_matmul(precision: str) -> None:
    """Set the precision of float32 matrix products and convolutions: highest or high (tf32)."""
    torch.set_float32_matmul_precision(precision)
    torch.backends.cudnn.allow_tf32 = precision != "highest"
