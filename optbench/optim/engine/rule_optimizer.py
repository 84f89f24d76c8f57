"""An optimizer made from a rule: what all of our own have in common."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
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
        self._known: dict[int, tuple[list[tuple[int, int]], list[_Alike]]] = {}
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

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One update; `closure` as in torch."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        self._apply_updates()
        return loss

    @torch.no_grad()
    def _apply_updates(self) -> None:
        """The update itself, from the gradients that are there.

        A subclass with a `step` of its own calls this, not `super().step()`: torch puts the step
        hooks and the profiler around every `step` in the class hierarchy, so they would run twice.
        """
        for number, group in enumerate(self.param_groups):
            parameters = [p for p in group["params"] if p.grad is not None]
            for alike in self._alike(number, group, parameters):
                torch._foreach_add_(alike.steps, _ONE)
                self._update(group, alike)

    def _alike(self, number: int, group: Mapping[str, Any], given: list[Tensor]) -> list[_Alike]:
        """The parameters with gradients, sorted; the same as last time while they stay."""
        where = [(id(p), p.data_ptr()) for p in given]
        known = self._known.get(number)
        if known is None or known[0] != where:
            known = self._known[number] = where, self._sorted(group, given)
        return known[1]

    def _sorted(self, group: Mapping[str, Any], given: list[Tensor]) -> list[_Alike]:
        """By device, dtype, steps taken, and, for rules that take norms, whether vectors."""
        found: dict[Any, list[Tensor]] = {}
        for parameter in given:
            if "step" not in self.state[parameter]:
                self._start(parameter, group)
            step = float(self.state[parameter]["step"])
            vector = self.measure is not None and parameter.ndim < 2
            key = (parameter.device, parameter.dtype, step, vector)
            found.setdefault(key, []).append(parameter)
        return [_Alike(some, self.state, self.state_names, key[3]) for key, some in found.items()]

    def _start(self, parameter: Tensor, group: Mapping[str, Any]) -> None:
        state = self.state[parameter]
        state["step"] = torch.tensor(0.0)
        like = parameter.detach()
        if parameter.dtype in NARROW:
            like = like.float()
        for name in self.state_names:
            state[name] = self.initial_state(name, like, group)

    def _update(self, group: Mapping[str, Any], alike: _Alike) -> None:
        gradients = [_dense(slot.parameter.grad) for slot in alike.slots]
        h = self._hyperparameters(group, int(alike.steps[0].item()), alike.vector)
        wide = torch.float32 if gradients[0].dtype in NARROW else None
        cls = type(self)
        form = Form(cls.rule, cls.measure, bool(group["maximize"]), self._decay(group), wide)
        if self.implementation == "compiled":
            run_compiled(form, alike.slots, gradients, h)
        elif self.implementation == "loop":
            for slot, gradient in zip(alike.slots, gradients, strict=True):
                apply(form, slot.parameter.detach(), gradient, slot.state, h)
        else:
            run_blocks(form, alike.plan, gradients, h)

    def _decay(self, group: Mapping[str, Any]) -> str:
        weight_decay = group.get("weight_decay", 0.0)
        off = not isinstance(weight_decay, Tensor) and weight_decay == 0
        return "none" if off else self.decay_of(group)

    def _hyperparameters(self, group: Mapping[str, Any], step: int, vector: bool) -> Any:
        values = {"lr": group["lr"], "weight_decay": group.get("weight_decay", 0.0)}
        population = bool(group.get("population", False))
        values |= {"norms": (), "measured": (), "population": population, "vector": vector}
        values |= {**self.numbers(group, step)}
        return _kind(tuple(values))(*values.values())

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As in torch, but state keeps its own dtype beside narrower parameters."""
        super().load_state_dict(state_dict)
        self._known.clear()
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
        self._known = {}


class _Alike:
    """Parameters of a group that are updated together, and have been so far.

    Args:
        parameters: of one device and dtype.
        states: of the optimizer.
        names: of the rule's state.
        vector: what the rule is told of them.
    """

    def __init__(
        self, parameters: list[Tensor], states: Any, names: Sequence[str], vector: bool
    ) -> None:
        self.slots = [Slot(p, {name: states[p][name] for name in names}) for p in parameters]
        self.steps = [states[p]["step"] for p in parameters]
        self.vector = vector

    @cached_property
    def plan(self) -> Plan:
        """For foreach."""
        return Plan(self.slots, block_for(self.slots[0].parameter.device))


_ONE = torch.tensor(1.0)

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
