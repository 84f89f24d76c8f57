"""An optimizer made from a rule: what all of our own have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import chain
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from optbench.optim.engine.compiled import is_small, run_compiled, split
from optbench.optim.engine.foreach import Slot, run_foreach
from optbench.optim.engine.form import Form, apply, hyperparameters
from optbench.optim.engine.held import HeldNumbers, HeldUpdate, held_update
from optbench.optim.engine.members import for_members, refuse_members
from optbench.optim.engine.ops import Operand
from optbench.optim.engine.ranges import at_least_zero
from optbench.torch_internals import add_param_group, unhooked

IMPLEMENTATIONS = ("loop", "foreach", "compiled")
NARROW = (torch.float16, torch.bfloat16)


class ParameterBatch(NamedTuple):
    """Parameters of a group that are updated together.

    Attributes:
        slots: of one device and dtype.
        step: the number of their update, from 1.
        vector: what a rule with `separate_vectors` is told of them.
        small: too small to be worth calling a compiled kernel for each.
    """

    slots: list[Slot]
    step: int
    vector: bool
    small: bool


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
            `foreach`, many at once, on a CPU the small ones; `compiled`, by `torch.compile`,
            which takes seconds once and then one pass over memory.

    Raises:
        ValueError: a complex parameter, an unknown implementation, a negative lr or weight decay,
            a population or a hyperparameter of several values with another than the loop.
        TypeError: a set of parameters, which has no order.
    """

    state_names: ClassVar[tuple[str, ...]] = ()
    decay: ClassVar[str] = "decoupled"
    implementations: ClassVar[tuple[str, ...]] = IMPLEMENTATIONS
    held: HeldNumbers | None = None
    """Where the numbers of updates stand, while these are to be repeated as they are."""

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
        super().__init__(params, {**defaults, "maximize": maximize})

    measure: Any = None
    norms_first: ClassVar[bool] = False
    separate_vectors: ClassVar[bool] = False
    """`measure` is a static method, what a layer-wise rule needs the norm of; see `Form`. A rule
    with `separate_vectors` is told in `hp.vector` whether it has vectors, such as biases."""

    @staticmethod
    def rule(parameter: Operand, gradient: Operand, state: Mapping[str, Operand], hp: Any) -> Any:
        """Return direction and size of what is subtracted from the parameter; change the state."""
        raise NotImplementedError

    @staticmethod
    def scalars(group: Mapping[str, Any], step: int) -> dict[str, Any]:
        """Return the rule's hyperparameters at an update, numbered from 1: the group's, and what
        follows from them and the step, such as bias corrections, computed in double precision."""
        return {}

    @staticmethod
    def initial_state(name: str, parameter: Tensor, group: Mapping[str, Any]) -> Tensor:
        """Return a parameter's state of that name before its first update, in the state's dtype."""
        return torch.zeros_like(parameter)

    @staticmethod
    def check(group: Mapping[str, Any]) -> None:
        """Raise ValueError for hyperparameters that are out of range, whatever they are."""

    @classmethod
    def is_rule_alone(cls) -> bool:
        """Return whether a step is the rule and nothing else: no method of its own around it."""
        names = ("step", "_apply_updates", "_batches", "_update", "_hyperparameters")
        pairs = [(getattr(cls, name), getattr(RuleOptimizer, name)) for name in names]
        return all(unhooked(own) is unhooked(plain) for own, plain in pairs)

    def decay_of(self, group: Mapping[str, Any]) -> str:
        """Return how this group's weight decay enters; see `Form`."""
        return self.decay

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group as torch does; refuse what no rule is defined for."""
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

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one update; `closure` as in torch."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        self._apply_updates()
        return loss

    @torch.no_grad()
    def _apply_updates(self) -> None:
        """Do the update from the gradients that are there.

        A subclass with a `step` of its own calls this, not `super().step()`: torch puts the step
        hooks and the profiler around every `step` in the class hierarchy, so they would run twice.
        """
        if self.held is not None:
            if not self.held.repeating:
                self.held.put(
                    [self._held(g, b) for g in self.param_groups for b in self._batches(g)]
                )
            for update in self.held.updates:
                self._run(update.group, update.batch, update.hp)
            return
        for group in self.param_groups:
            for batch in self._batches(group):
                self._update(group, batch)

    def _held(self, group: Mapping[str, Any], batch: ParameterBatch) -> HeldUpdate:
        hp = self._hyperparameters(group, batch)
        counts = [self.state[slot.parameter]["step"] for slot in batch.slots]
        return held_update(group, batch, self._decay(group), hp, counts)

    def is_ready(self) -> bool:
        """Reckon the numbers of the next update, of one that is noted and then repeated.

        `held.advance()` then has it go by them.

        Returns:
            False if it would be other operations than the last one's.
        """
        assert self.held is not None
        self.held.coming = []
        for update in self.held.updates:
            batch = update.batch._replace(step=update.batch.step + 1)
            hp = self._hyperparameters(update.group, batch)
            numbers, settings = split(hp, update.numbers.dtype)
            if not update.fits(settings, self._decay(update.group)):
                return False
            self.held.coming.append((batch, numbers))
        return True

    def _batches(self, group: Mapping[str, Any]) -> list[ParameterBatch]:
        """Sort the parameters that have gradients, and count a step of each.

        By device, dtype, steps taken, for some rules whether vectors, and whether too small for a
        kernel of their own.
        """
        found: dict[Any, list[Slot]] = {}
        population = int(group.get("population", False))
        counts = []
        for parameter in dict.fromkeys(group["params"]):  # of which torch lets one stand twice
            if parameter.grad is None:
                continue
            state = self.state[parameter]
            if "step" not in state:
                self.start_state(parameter, group)
            counts.append(state["step"])
            vector = self.separate_vectors and parameter.ndim - population < 2
            small = self.implementation == "compiled" and is_small(parameter)
            step = int(state["step"]) + 1
            key = (parameter.device, parameter.dtype, step, vector, small)
            slot = Slot(parameter, {name: state[name] for name in self.state_names})
            found.setdefault(key, []).append(slot)
        if counts:
            torch._foreach_add_(counts, 1)
        return [ParameterBatch(slots, *key[2:]) for key, slots in found.items()]

    def start_state(self, parameter: Tensor, group: Mapping[str, Any]) -> None:
        """Give a parameter the state that it has before its first update."""
        state = self.state[parameter]
        state["step"] = torch.tensor(0.0)
        like = parameter.detach()
        if parameter.dtype in NARROW:
            like = like.float()
        for name in self.state_names:
            state[name] = self.initial_state(name, like, group)

    def _update(self, group: Mapping[str, Any], batch: ParameterBatch) -> None:
        self._run(group, batch, self._hyperparameters(group, batch))

    def _run(self, group: Mapping[str, Any], batch: ParameterBatch, hp: Any) -> None:
        given: list[Any] = [slot.parameter.grad for slot in batch.slots]
        gradients = [g.to_dense() if g.is_sparse else g for g in given]
        narrow = batch.slots[0].parameter.dtype
        wide = torch.float32 if narrow in NARROW else None
        cls = type(self)
        maximize, decay = bool(group["maximize"]), self._decay(group)
        form = Form(cls.rule, cls.measure, maximize, decay, wide, cls.norms_first)
        if self.implementation == "compiled" and not batch.small:
            run_compiled(form, batch.slots, gradients, hp)
        elif self.implementation == "loop":
            for slot, gradient in zip(batch.slots, gradients, strict=True):
                own = for_members(hp, slot.parameter.ndim) if hp.population else hp
                apply(form, slot.parameter.detach(), gradient, slot.state, own)
        else:
            run_foreach(form, batch.slots, gradients, hp)

    def _decay(self, group: Mapping[str, Any]) -> str:
        weight_decay = group.get("weight_decay", 0.0)
        off = not isinstance(weight_decay, Tensor) and weight_decay == 0
        return "none" if off else self.decay_of(group)

    def _hyperparameters(self, group: Mapping[str, Any], batch: ParameterBatch) -> Any:
        dtype = batch.slots[0].parameter.dtype
        values = {"lr": group["lr"], "weight_decay": group.get("weight_decay", 0.0)}
        values["population"] = bool(group.get("population", False))
        values.update(self.scalars(group, batch.step))
        self._refuse_members(values)
        values.update(norms=(), measured=(), vector=batch.vector)
        values.update(narrow=dtype if dtype in NARROW else None)
        return hyperparameters(values)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load as torch does, but let state keep its own dtype beside narrower parameters.

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
        for parameter, saved in self._saved(taken[0]):
            state = self.state[parameter]
            state["step"] = torch.as_tensor(
                state["step"], dtype=torch.float32, device="cpu"
            ).clone()
            for name in self.state_names:
                if name in saved and state[name].dtype != saved[name].dtype:
                    state[name] = saved[name].to(state[name].device, copy=True)

    def _saved(self, state_dict: dict[str, Any]) -> list[tuple[Tensor, dict[str, Any]]]:
        """Return each parameter with what the state has for it; none where never updated."""
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
