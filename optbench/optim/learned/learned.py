"""An optimizer whose update rule was learned."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from optbench.optim.learned.base import Sizes
from optbench.optim.learned.weights import ARCHITECTURES, DEFAULT, fingerprint, load_rule

NARROW = (torch.float16, torch.bfloat16)
BATCH = 1 << 18
"""Coordinates of small tensors that are updated together."""


class Learned(torch.optim.Optimizer):
    """Applies a learned rule: a coordinate-wise LSTM (Andrychowicz et al. 2016), or a small MLP for
    each parameter (after Metz et al. 2022).

        theta_t = theta_{t-1} + lr * rule(g_t, theta_{t-1}, memory)

    It goes by gradients alone. Which of the two it is, the file says. `lr` multiplies what the rule
    gives; 1 is as it was trained. Parameters in fp16 and bf16 are computed with in float32, in
    which their memory is: 4 numbers a coordinate of an MLP, 80 of an LSTM.

    Args:
        params: as in torch.
        lr: at least 0.
        weights: a file as `save_rule` writes it, or `default`: the one that comes with optbench.

    Raises:
        ValueError: lr below 0, weights of a group's own, a complex parameter, or a file that holds
            no rule's weights.
    """

    def __init__(self, params: Any, lr: float = 1.0, weights: str = "default") -> None:
        if not lr >= 0:
            raise ValueError(f"lr={lr}: expected at least 0")
        try:
            self.architecture, theta = load_rule(DEFAULT if weights == "default" else weights)
        except ValueError as error:
            raise ValueError(f"weights={error}") from None
        self._theta = theta
        self._casts: dict[Any, dict[str, Tensor]] = {}
        super().__init__(params, {"lr": lr, "fingerprint": fingerprint(theta)})

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group as torch does; refuse what no rule is there for."""
        if "weights" in param_group:
            raise ValueError("weights: the same for all groups")
        super().add_param_group(param_group)
        for parameter in self.param_groups[-1]["params"]:
            if parameter.is_complex():
                raise ValueError("Learned: a complex parameter; pass torch.view_as_real of it")

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one update; `closure` as in torch."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for step, batch in self._batches(group):
                self._update(batch, step, group["lr"])
        return loss

    def _batches(self, group: Mapping[str, Any]) -> list[tuple[int, list[Tensor]]]:
        """Return parameters that are updated together, with the number of the update.

        They are of one device and dtype; a large one is alone.
        """
        found: dict[Any, list[list[Tensor]]] = {}
        for parameter in group["params"]:
            if parameter.grad is None or not parameter.numel():
                continue
            state = self.state[parameter]
            if not state:
                state["step"] = torch.tensor(0.0)
                width = ARCHITECTURES[self.architecture].memory
                state["memory"] = torch.zeros(
                    (parameter.numel(), width), dtype=_wide(parameter), device=parameter.device
                )
            state["step"] = state["step"] + 1
            key = (parameter.device, parameter.dtype, int(state["step"]))
            batches = found.setdefault(key, [[]])
            if sum(p.numel() for p in batches[-1]) + parameter.numel() > BATCH and batches[-1]:
                batches.append([])
            batches[-1].append(parameter)
        return [(key[2], batch) for key, batches in found.items() for batch in batches]

    def _update(self, batch: list[Tensor], step: int, lr: Any) -> None:
        rule, dtype = ARCHITECTURES[self.architecture], _wide(batch[0])
        given: list[Any] = [p.grad for p in batch]
        gradients = [g.to_dense() if g.is_sparse else g for g in given]
        memories = [self.state[p]["memory"] for p in batch]
        sizes = [Sizes(p.numel(), p.ndim) for p in batch]
        counts = [each.size for each in sizes]
        added, memory = rule.update(
            self._weights(batch[0].device, dtype),
            _flat(batch, dtype),
            _flat(gradients, dtype),
            torch.cat(memories),
            sizes,
            step,
        )
        for parameter, own, kept in zip(
            batch, added.split(counts), memory.split(counts), strict=True
        ):
            parameter.add_((own * lr).to(parameter.dtype).view(parameter.shape))
            self.state[parameter]["memory"].copy_(kept)

    def _weights(self, device: torch.device, dtype: torch.dtype) -> dict[str, Tensor]:
        key = (device, dtype)
        if key not in self._casts:
            self._casts[key] = {n: w.to(device, dtype) for n, w in self._theta.items()}
        return self._casts[key]

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load as torch does, but let memory keep its dtype beside narrower parameters.

        Raises:
            ValueError: the state of another rule, or of other weights.
        """
        own = self.defaults["fingerprint"]
        for group in state_dict["param_groups"]:
            if group.get("fingerprint") != own:
                raise ValueError("weights: the file is not the one that the run began with")
        super().load_state_dict(state_dict)
        saved = state_dict["state"]
        parameters = [p for group in self.param_groups for p in group["params"]]
        for index, state in saved.items():
            given, parameter = state.get("memory"), parameters[index]
            width = ARCHITECTURES[self.architecture].memory
            if given is None or given.shape != (parameter.numel(), width):
                raise ValueError("Learned: the state is not of these parameters")
            kept = self.state[parameter]
            kept["memory"] = given.to(kept["memory"].device, _wide(parameter), copy=True)

    def __getstate__(self) -> dict[str, Any]:
        kept = {n: getattr(self, n) for n in ("architecture", "_theta", "_casts")}
        return {**super().__getstate__(), **kept}


def _wide(parameter: Tensor) -> torch.dtype:
    return torch.float32 if parameter.dtype in NARROW else parameter.dtype


def _flat(tensors: list[Tensor], dtype: torch.dtype) -> Tensor:
    return torch.cat([tensor.detach().reshape(-1).to(dtype) for tensor in tensors])
