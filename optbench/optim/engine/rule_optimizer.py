"""An optimizer made from a rule: what all of our own have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import chain
from typing import Any, ClassVar

import torch
from torch import Tensor

from optbench.optim.engine.alike import ParameterBatch, StorageFingerprint, same
from optbench.optim.engine.blocks import run_blocks
from optbench.optim.engine.compiled import is_small, run_compiled
from optbench.optim.engine.entry import hooked_when_asked, without_gradients
from optbench.optim.engine.form import Form, apply, hyperparameters
from optbench.optim.engine.members import for_members, refuse_members
from optbench.optim.engine.ops import Operand
from optbench.optim.engine.ranges import at_least_zero
from optbench.torch_internals import add_param_group

IMPLEMENTATIONS = ("loop", "foreach", "compiled")
NARROW = (torch.float16, torch.bfloat16)


class RuleOptimizer(torch.optim.Optimizer):
    """Runs the update rule of a subclass over all parameters.

    A group with `population: true` holds stacks of parameters, [members, ...], and may have any
    hyperparameter for each member, as a tensor [members] or [members, 1, ...]. Populations are
    stepped by the loop only; any other implementation refuses them.

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
        ValueError: a complex parameter, an unknown implementation, a negative lr or weight decay,
            a population or a hyperparameter of several values with another than the loop.
        TypeError: a set of parameters, which has no order.
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
        self._forget()
        super().__init__(params, {**defaults, "maximize": maximize})

    _known: dict[int, tuple[int, StorageFingerprint, list[ParameterBatch]]]
    _states: list[dict[str, Any]]

    measure: Any = None
    norms_first: ClassVar[bool] = False
    vectors_apart: ClassVar[bool] = False
    light: ClassVar[bool] = False
    """`measure` is a static method, what a layer-wise rule needs the norm of; see `Form`. A rule
    with `vectors_apart` is told in `h.vector` whether it has vectors, such as biases; one that is
    `light` makes at most one tensor of its own."""

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
        if isinstance(params, set | frozenset):
            raise TypeError(
                f"{type(self).__name__}: a set of parameters has no order; pass a list of them"
            )
        tensors = [params] if isinstance(params, Tensor) else list(params)
        param_group = {**param_group, "params": tensors}
        given = {**self.defaults, **param_group}
        for item in tensors:
            tensor = item[1] if isinstance(item, tuple) else item
            if isinstance(tensor, Tensor):
                self._check_parameter(tensor, bool(given.get("population", False)))
        at_least_zero({"lr": 0.0, "weight_decay": 0.0, **given}, "lr", "weight_decay")
        self._refuse_members({key: value for key, value in given.items() if key != "params"})
        self.check(given)
        add_param_group(self, param_group)

    def _check_parameter(self, parameter: Tensor, population: bool) -> None:
        name = type(self).__name__
        if parameter.is_complex():
            raise ValueError(f"{name}: a complex parameter; pass torch.view_as_real of it")
        if population and parameter.ndim == 0:
            raise ValueError(f"{name}: a parameter of a population has no dimension for members")

    def _refuse_members(self, values: Mapping[str, Any]) -> None:
        refuse_members(type(self).__name__, self.implementation, values)

    @hooked_when_asked
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One update; `closure` as in torch."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        self._apply_updates()
        return loss

    @without_gradients
    def _apply_updates(self) -> None:
        """The update itself, from the gradients that are there.

        A subclass with a `step` of its own calls this, not `super().step()`: torch puts the step
        hooks and the profiler around every `step` in the class hierarchy, so they would run twice.
        """
        if not same(self.state.values(), self._states):
            self._known.clear()
        for number, group in enumerate(self.param_groups):
            parameters = [p for p in group["params"] if p.grad is not None]
            for alike in self._alike(number, group, parameters):
                alike.count()
                self._update(group, alike)

    def _alike(
        self, number: int, group: Mapping[str, Any], given: list[Tensor]
    ) -> list[ParameterBatch]:
        """The parameters with gradients, sorted; the same as last time while they stay."""
        population = int(group.get("population", False))
        known = self._known.get(number)
        if known is not None and known[0] == population and known[1].hold(given):
            alike = known[2]
            if (len(alike) == 1 and alike[0].holds()) or all(one.holds() for one in alike):
                return alike
        found = self._sorted(group, given, population)
        self._states = [*self.state.values()]
        self._known[number] = population, StorageFingerprint(given, self.state), found
        return found

    def _sorted(
        self, group: Mapping[str, Any], given: list[Tensor], population: int
    ) -> list[ParameterBatch]:
        """By device, dtype, steps taken, for some rules whether vectors, and whether too small for
        a kernel of their own."""
        found: dict[Any, list[Tensor]] = {}
        for parameter in given:
            if "step" not in self.state[parameter]:
                self._start(parameter, group)
            step = float(self.state[parameter]["step"])
            vector = self.vectors_apart and parameter.ndim - population < 2
            small = self.implementation == "compiled" and is_small(parameter)
            key = (parameter.device, parameter.dtype, step, vector, small)
            found.setdefault(key, []).append(parameter)
        own = (self.state, self.state_names, self.light, self.measure is not None)
        return [ParameterBatch(some, *own, *key[3:]) for key, some in found.items()]

    def _start(self, parameter: Tensor, group: Mapping[str, Any]) -> None:
        state = self.state[parameter]
        state["step"] = torch.tensor(0.0)
        like = parameter.detach()
        if parameter.dtype in NARROW:
            like = like.float()
        for name in self.state_names:
            state[name] = self.initial_state(name, like, group)

    def _update(self, group: Mapping[str, Any], alike: ParameterBatch) -> None:
        given: list[Any] = [slot.parameter.grad for slot in alike.slots]
        gradients = [g.to_dense() if g.is_sparse else g for g in given]
        narrow = alike.slots[0].parameter.dtype
        wide = torch.float32 if narrow in NARROW else None
        h = self._hyperparameters(group, alike, None if wide is None else narrow)
        cls = type(self)
        maximize, decay = bool(group["maximize"]), self._decay(group)
        form = Form(cls.rule, cls.measure, maximize, decay, wide, cls.norms_first)
        if self.implementation == "compiled" and not alike.small:
            run_compiled(form, alike, gradients, h)
        elif self.implementation == "loop":
            for slot, gradient in zip(alike.slots, gradients, strict=True):
                own = for_members(h, slot.parameter.ndim) if h.population else h
                apply(form, slot.parameter.detach(), gradient, slot.state, own)
        else:
            run_blocks(form, alike.plan, gradients, h)

    def _decay(self, group: Mapping[str, Any]) -> str:
        weight_decay = group.get("weight_decay", 0.0)
        off = not isinstance(weight_decay, Tensor) and weight_decay == 0
        return "none" if off else self.decay_of(group)

    def _hyperparameters(
        self, group: Mapping[str, Any], alike: ParameterBatch, narrow: torch.dtype | None
    ) -> Any:
        values = {"lr": group["lr"], "weight_decay": group.get("weight_decay", 0.0)}
        values["population"] = bool(group.get("population", False))
        values.update(self.numbers(group, alike.step))
        self._refuse_members(values)
        values.update(norms=(), measured=(), vector=alike.vector, narrow=narrow)
        return hyperparameters(values)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As in torch, but state keeps its own dtype beside narrower parameters.

        Raises:
            ValueError: not a state of this optimizer. Nothing is loaded then.
        """
        taken: list[dict[str, Any]] = []

        def see(_: Any, given: dict[str, Any]) -> None:
            self._check_state(given)
            taken.append(given)

        last = self.register_load_state_dict_pre_hook(see)
        try:
            super().load_state_dict(state_dict)
        finally:
            last.remove()
        self._known.clear()
        for parameter, saved in self._saved(taken[0]):
            state = self.state[parameter]
            for name in self.state_names:
                if name in saved and state[name].dtype != saved[name].dtype:
                    state[name] = saved[name].to(state[name].device, copy=True)

    def _saved(self, state_dict: dict[str, Any]) -> list[tuple[Tensor, dict[str, Any]]]:
        """Each parameter with what the state has for it; none where it has not been updated."""
        keys = chain.from_iterable(group["params"] for group in state_dict["param_groups"])
        own = chain.from_iterable(group["params"] for group in self.param_groups)
        states = state_dict["state"]
        return [(p, states[key]) for p, key in zip(own, keys, strict=False) if states.get(key)]

    def _check_state(self, state_dict: dict[str, Any]) -> None:
        for key in ("state", "param_groups"):
            if key not in state_dict:
                what = f"not an optimizer's state, it has no {key}"
                raise ValueError(f"{type(self).__name__}: {what}")
        for parameter, saved in self._saved(state_dict):
            lacking = [name for name in ("step", *self.state_names) if name not in saved]
            if lacking:
                raise ValueError(
                    f"{type(self).__name__}: another optimizer's state; for a parameter of shape "
                    f"{list(parameter.shape)} it lacks {', '.join(lacking)}, "
                    f"and has {', '.join(map(str, saved))}"
                )

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "implementation": self.implementation}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._forget()

    def _forget(self) -> None:
        """What was found out about the tensors is no longer true."""
        self._known = {}
        self._states = []
