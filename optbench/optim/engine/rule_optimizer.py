"""An optimizer made from a rule: what all of our own have in common."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from optbench.optim.engine.blocks import Plan, Slot, block_for, run_blocks
from optbench.optim.engine.compiled import run_compiled
from optbench.optim.engine.form import Form, apply
from optbench.optim.engine.ops import Operand

IMPLEMENTATIONS = ("loop", "foreach", "compiled")
NARROW = (torch.float16, torch.bfloat16)


class RuleOptimizer(torch.optim.Optimizer):
    """Runs the update rule of a subclass over all parameters.

    A group with `population: true` holds stacks of parameters, [members, ...], and may have a
    hyperparameter for each member, shaped to broadcast, `[members, 1, ...]`; by the loop only.

    A subclass says `rule`, `state_names` and, where it differs, the rest. The state dict is built
    like torch's, whatever the implementation, so a checkpoint of one loads into another. Parameters
    in fp16 and bf16 are computed with, and have their state, in float32.

    Args:
        params: parameters or groups of them, as in torch.
        defaults: the hyperparameters by name; `lr` and `weight_decay` are among them.
        maximize: climb instead of descending.
        implementation: `loop`, one parameter after the other in plain torch, the reference;
            `foreach`, many at once, on a CPU in blocks that fit its cache; `compiled`, by
            `torch.compile`, which takes seconds once and then one pass over memory.

    Raises:
        ValueError: a complex parameter, an unknown implementation, a negative lr or weight decay.
    """

    state_names: ClassVar[tuple[str, ...]] = ()
    decay: ClassVar[str] = "decoupled"
    implementations: ClassVar[tuple[str, ...]] = IMPLEMENTATIONS

    def __init__(
        self,
        params: Any,
        defaults: Mapping[str, Any],
        *,
        maximize: bool = False,
        implementation: str = "foreach",
    ) -> None:
        if implementation not in self.implementations:
            have = ", ".join(self.implementations)
            raise ValueError(f"implementation={implementation}: {type(self).__name__} has {have}")
        self.implementation = implementation
        self._plans: dict[Any, tuple[tuple[int, ...], Plan]] = {}
        super().__init__(params, {**defaults, "maximize": maximize})

    measure: Any = None
    """A static method, what a layer-wise rule needs the norms of; see `Form`."""

    @staticmethod
    def rule(parameter: Operand, gradient: Operand, state: Mapping[str, Operand], h: Any) -> Any:
        """Direction and size of what is subtracted from the parameter; changes the state."""
        raise NotImplementedError

    @staticmethod
    def numbers(group: Mapping[str, Any], step: int) -> dict[str, Any]:
        """The rule's hyperparameters at an update, numbered from 1: the group's, and what follows
        from them and the step, such as bias corrections, computed in double precision."""
        return {}

    @staticmethod
    def initial_state(name: str, parameter: Tensor, group: Mapping[str, Any]) -> Tensor:
        """A parameter's state of that name before its first update, in the dtype of the state."""
        return torch.zeros_like(parameter)

    @staticmethod
    def check(group: Mapping[str, Any]) -> None:
        """ValueError for hyperparameters that are out of range, whatever they are."""

    def decay_of(self, group: Mapping[str, Any]) -> str:
        """How this group's weight decay enters; see `Form`."""
        return self.decay

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """As in torch; refuses what no rule is defined for."""
        params = param_group["params"]
        tensors = [params] if isinstance(params, Tensor) else list(params)
        param_group = {**param_group, "params": tensors}
        for item in tensors:
            tensor = item[1] if isinstance(item, tuple) else item
            if isinstance(tensor, Tensor) and tensor.is_complex():
                raise ValueError(
                    f"{type(self).__name__}: a complex parameter; pass torch.view_as_real of it"
                )
        given = {**self.defaults, **param_group}
        for name in ("lr", "weight_decay"):
            value = given.get(name, 0.0)
            if not isinstance(value, Tensor) and not value >= 0:
                raise ValueError(f"{name} must be at least 0, got {value}")
        self.check(given)
        # Behind torch's decorator, which imports the compiler: a second for nothing.
        plain = getattr(torch.optim.Optimizer.add_param_group, "__wrapped__", None)
        (plain or torch.optim.Optimizer.add_param_group)(self, param_group)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One update; `closure` as in torch."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for number, group in enumerate(self.param_groups):
            for key, parameters in self._alike(group).items():
                self._update(group, (number, *key), parameters)
        return loss

    def _alike(self, group: Mapping[str, Any]) -> dict[Any, list[Tensor]]:
        """The parameters with gradients, by device, dtype, number of this update, and, for rules
        that take norms, whether they are vectors."""
        found: dict[Any, list[Tensor]] = {}
        with_gradients = [p for p in group["params"] if p.grad is not None]
        for parameter in with_gradients:
            if "step" not in self.state[parameter]:
                self._start(parameter, group)
        steps = [self.state[p]["step"] for p in with_gradients]
        if steps:
            torch._foreach_add_(steps, 1)
        for parameter, step in zip(with_gradients, steps, strict=True):
            vector = self.measure is not None and parameter.ndim < 2
            key = (parameter.device, parameter.dtype, int(step.item()), vector)
            found.setdefault(key, []).append(parameter)
        return found

    def _start(self, parameter: Tensor, group: Mapping[str, Any]) -> None:
        state = self.state[parameter]
        state["step"] = torch.tensor(0.0)
        like = parameter.detach()
        if parameter.dtype in NARROW:
            like = like.float()
        for name in self.state_names:
            state[name] = self.initial_state(name, like, group)

    def _update(self, group: Mapping[str, Any], key: Any, parameters: list[Tensor]) -> None:
        number, device, dtype, step, vector = key
        slots = [
            Slot(p, {name: self.state[p][name] for name in self.state_names}) for p in parameters
        ]
        gradients = [_dense(p.grad) for p in parameters]
        h = self._hyperparameters(group, step, vector)
        wide = torch.float32 if dtype in NARROW else None
        cls = type(self)
        form = Form(cls.rule, cls.measure, bool(group["maximize"]), self._decay(group), wide)
        if self.implementation == "compiled":
            run_compiled(form, slots, gradients, h)
        elif self.implementation == "loop":
            for slot, gradient in zip(slots, gradients, strict=True):
                apply(form, slot.parameter.detach(), gradient, slot.state, h)
        else:
            plan = self._plan((number, device, dtype, vector), slots, device)
            run_blocks(form, plan, gradients, h)

    def _decay(self, group: Mapping[str, Any]) -> str:
        weight_decay = group.get("weight_decay", 0.0)
        off = not isinstance(weight_decay, Tensor) and weight_decay == 0
        return "none" if off else self.decay_of(group)

    def _hyperparameters(self, group: Mapping[str, Any], step: int, vector: bool) -> Any:
        values = {"lr": group["lr"], "weight_decay": group.get("weight_decay", 0.0)}
        population = bool(group.get("population", False))
        values |= {"norms": (), "population": population, "vector": vector}
        values |= {**self.numbers(group, step)}
        return _kind(tuple(values))(*values.values())

    def _plan(self, key: Any, slots: list[Slot], device: torch.device) -> Plan:
        where = tuple(t.data_ptr() for s in slots for t in (s.parameter, *s.state.values()))
        if key not in self._plans or self._plans[key][0] != where:
            self._plans[key] = where, Plan(slots, block_for(device))
        return self._plans[key][1]

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As in torch, but state keeps its own dtype beside narrower parameters."""
        super().load_state_dict(state_dict)
        self._plans.clear()
        parameters = [p for group in self.param_groups for p in group["params"]]
        for index, saved in state_dict["state"].items():
            state = self.state[parameters[index]]
            for name in self.state_names:
                if state[name].dtype != saved[name].dtype:
                    state[name] = saved[name].to(state[name].device, copy=True)

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "implementation": self.implementation}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._plans = {}


_KINDS: dict[tuple[str, ...], Any] = {}


def _kind(names: tuple[str, ...]) -> Any:
    """A tuple type with these fields, the same for the same names: cheap, and the compiler can
    look into it."""
    if names not in _KINDS:
        _KINDS[names] = namedtuple("Hyperparameters", names)
    return _KINDS[names]


def _dense(gradient: Tensor | None) -> Tensor:
    assert gradient is not None
    return gradient.to_dense() if gradient.is_sparse else gradient


def betas_in_range(betas: Iterable[float]) -> None:
    """ValueError unless every one lies in [0, 1)."""
    for number, beta in enumerate(betas, start=1):
        if not isinstance(beta, Tensor) and not 0 <= beta < 1:
            raise ValueError(f"beta{number} must be in [0, 1), got {beta}")
