"""The meta-optimizer's steps, and all that decides the next one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from optbench.meta.estimate import Slot, Source, meta_gradient
from optbench.meta.plan import MetaPlan
from optbench.optim.learned.weights import ARCHITECTURES


@dataclass(frozen=True)
class MetaStep:
    """What a meta-step came to: its number, the mean meta-loss, the norm before clipping."""

    step: int
    loss: float
    norm: float
    lr: float


class MetaTrainer:
    """Trains a learned optimizer; a pure function of its plan, whenever it was interrupted.

    Args:
        plan: what to do.
    """

    def __init__(self, plan: MetaPlan) -> None:
        self.plan, self.step = plan, 0
        rule = ARCHITECTURES[plan.architecture]
        self.weights = {n: w.requires_grad_() for n, w in rule.draw(plan.seed).items()}
        self._optimizer = torch.optim.AdamW(
            [*self.weights.values()], lr=plan.lr, weight_decay=plan.weight_decay, foreach=False
        )
        self._source = Source(
            rule=rule,
            seed=plan.seed,
            families=tuple(plan.families),
            low=plan.shortest,
            high=plan.longest,
            steps=plan.unroll,
            method=plan.gradient,
            second=plan.second,
            sigma=plan.sigma,
        )
        self._slots = [self._source.slot(number) for number in range(plan.tasks)]

    def take(self) -> MetaStep:
        """Take a meta-step."""
        self.step += 1
        plan, losses = self.plan, []
        total = {name: torch.zeros_like(each) for name, each in self.weights.items()}
        for number, slot in enumerate(self._slots):
            loss, gradients, after = meta_gradient(self._source, self.weights, slot, self.step)
            self._slots[number] = after
            losses.append(loss)
            for name, each in gradients.items():
                total[name] += each / plan.tasks
        for name, parameter in self.weights.items():
            parameter.grad = total[name].detach()
        norm = float(torch.nn.utils.clip_grad_norm_([*self.weights.values()], plan.clip))
        lr = plan.lr * 0.5 * (1 + math.cos(math.pi * (self.step - 1) / plan.steps))
        self._optimizer.param_groups[0]["lr"] = lr
        self._optimizer.step()
        finite = [each for each in losses if math.isfinite(each)]
        mean = sum(finite) / len(finite) if finite else math.inf
        return MetaStep(self.step, mean, norm, lr)

    def state(self) -> dict[str, Any]:
        """Return all that a checkpoint has to have."""
        return {
            "step": self.step,
            "weights": {name: each.detach() for name, each in self.weights.items()},
            "optimizer": self._optimizer.state_dict(),
            "slots": [slot.state() for slot in self._slots],
        }

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint.

        Raises:
            ValueError: names, shapes or slots are not those of this plan.
        """
        step = int(state["step"])
        if not 0 <= step <= self.plan.end:
            raise ValueError(f"meta-step {step} of {self.plan.end}")
        _same_shapes(state["weights"], self.weights)
        moments = state["optimizer"]["state"]
        for number, each in enumerate(self.weights.values() if step else ()):
            like = {"step": torch.zeros(()), "exp_avg": each, "exp_avg_sq": each}
            _same_shapes(moments[number], like)
        if len(state["slots"]) != self.plan.tasks:
            raise ValueError(f"{len(state['slots'])} tasks of {self.plan.tasks}")
        slots = [self._restored(number, each) for number, each in enumerate(state["slots"])]
        self._optimizer.load_state_dict(state["optimizer"])
        with torch.no_grad():
            for name, each in self.weights.items():
                each.copy_(state["weights"][name])
        self.step, self._slots = step, slots

    def _restored(self, number: int, state: Mapping[str, Any]) -> Slot:
        found = self._source.restored(number, state)
        fresh = self._source.slot(number, found.before)
        for place, like in zip(found.places, fresh.places, strict=True):
            _same_shapes(place.point, like.point)
            _same_shapes({"memory": place.memory}, {"memory": like.memory})
        if found.noise:
            _same_shapes(found.noise, self.weights)
        return found


def _same_shapes(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    """Raise ValueError for tensors of other names or shapes."""
    shapes, others = ({n: [*t.shape] for n, t in each.items()} for each in (found, wanted))
    if shapes != others:
        raise ValueError(f"tensors {shapes}; expected {others}")
