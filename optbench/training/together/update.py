"""One optimizer step of all members at once, by their optimizers' rules over stacked tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from optbench.optim.engine.form import Form, apply, hyperparameters
from optbench.optim.engine.members import for_members
from optbench.optim.engine.rule_optimizer import RuleOptimizer
from optbench.training.together.fused import FusedUpdate, kernel_of
from optbench.training.together.settings import MemberSettings, cast
from optbench.training.together.stack import Rows, rehome
from optbench.training.together.torch_rules import RULES, TorchRule

NUMBERS = (torch.float32, torch.float64)
"""Dtypes of parameters that are computed with as they are."""


class MemberRule(Protocol):
    """What is asked of a rule, torch's or ours."""

    state_names: Sequence[str]
    counts: bool

    def form(self, group: Mapping[str, Any]) -> Form:
        """Return what does not change from step to step."""
        ...

    def scalars(self, group: Mapping[str, Any], step: int) -> dict[str, Any]:
        """Return the rule's hyperparameters."""
        ...

    def start(self, optimizer: torch.optim.Optimizer, parameter: Tensor, group: Any) -> None:
        """Give a parameter without state the state before its first update."""
        ...


class _Ours:
    """A rule of ours."""

    counts = True

    def __init__(self, optimizer: RuleOptimizer) -> None:
        self._optimizer, self._cls = optimizer, type(optimizer)
        self.state_names = self._cls.state_names
        self.whole = self._cls.measure is not None or self._cls.separate_vectors

    def form(self, group: Mapping[str, Any]) -> Form:
        cls = self._cls
        decay = self._optimizer.decay_of(group)
        return Form(cls.rule, cls.measure, group["maximize"], decay, None, cls.norms_first)

    def scalars(self, group: Mapping[str, Any], step: int) -> dict[str, Any]:
        return self._cls.scalars(group, step)

    def vector(self, parameter: Tensor) -> bool:
        """Return what the rule is told of a stack: whether a member's part is a vector."""
        return self._cls.separate_vectors and parameter.ndim < 3

    def start(self, optimizer: Any, parameter: Tensor, group: Any) -> None:
        optimizer.start_state(parameter, group)


class _Torchs:
    """A rule of torch's."""

    whole = False

    def __init__(self, rule: TorchRule) -> None:
        self._rule = rule
        self.state_names, self.counts = rule.state_names, rule.counts

    def form(self, group: Mapping[str, Any]) -> Form:
        return Form(self._rule.rule, None, group["maximize"], self._rule.decay, None)

    def scalars(self, group: Mapping[str, Any], step: int) -> dict[str, Any]:
        return self._rule.scalars(group, step)

    def vector(self, parameter: Tensor) -> bool:
        return False

    def start(self, optimizer: Any, parameter: Tensor, group: Any) -> None:
        state = optimizer.state[parameter]
        if self.counts:
            state["step"] = torch.tensor(0.0)
        for name in self.state_names:
            state[name] = torch.zeros_like(parameter)


def rule_of(optimizer: torch.optim.Optimizer, group: Mapping[str, Any]) -> Any:
    """Return the rule of an optimizer's group; None where there is none for stacks."""
    if isinstance(optimizer, RuleOptimizer) and optimizer.is_rule_alone():
        return _Ours(optimizer)
    found = RULES.get(type(optimizer))
    return None if found is None else _Torchs(found(group))


class GroupStack:
    """One parameter group of all members, of parameters of one dtype.

    Args:
        optimizers: of the members.
        place: of the group in each of them.
        parameters: of each member.

    Attributes:
        weights: the parameters; members' own are views of it from now on.
        gradients: as they are.
    """

    def __init__(
        self,
        optimizers: Sequence[torch.optim.Optimizer],
        place: int,
        parameters: Sequence[Sequence[Tensor]],
    ) -> None:
        self._optimizers, self._parameters = optimizers, parameters
        self._groups = [optimizer.param_groups[place] for optimizer in optimizers]
        self.rule = rule_of(optimizers[0], self._groups[0])
        self.form = self.rule.form(self._groups[0])
        first = parameters[0]
        shapes, members = [each.shape for each in first], len(optimizers)
        self.weights = Rows(shapes, members, first[0])
        self.gradients = Rows(shapes, members, first[0])
        for stack, own in zip(self.weights.stacks, zip(*parameters, strict=True), strict=True):
            rehome(own, stack)
        self.settings = MemberSettings(self._groups, first[0].device)
        self._states = {n: Rows(shapes, members, first[0]) for n in self.rule.state_names}
        self._counts = torch.zeros(members, len(first))
        self._take_states()
        self._pieces = list(self._make_pieces())
        kernel = kernel_of(optimizers[0], self._groups[0], self.weights.flat.shape[1])
        rows = (self.weights.flat, self.gradients.flat, self._flat_states())
        of = (self._groups, self.settings, *rows)
        self._fused = None if kernel is None else FusedUpdate(kernel, *of)

    def _take_states(self) -> None:
        """Have the optimizers' state lie in stacks, from wherever each of them is."""
        if not self.rule.counts and not self._states:
            return
        counts = self._counts.unbind(0)
        for member, optimizer in enumerate(self._optimizers):
            for number, parameter in enumerate(self._parameters[member]):
                state = optimizer.state[parameter]
                if not all(name in state for name in self.rule.state_names):
                    self.rule.start(optimizer, parameter, self._groups[member])
                for name, rows in self._states.items():
                    place = rows.stacks[number][member]
                    state[name] = place.copy_(state[name])
                if self.rule.counts:
                    state["step"] = counts[member][number].copy_(torch.as_tensor(state["step"]))

    def _make_pieces(self) -> Any:
        """Yield what the rule is applied to: all at once, or, where it asks for norms, each."""
        if not self.rule.whole:
            yield self.weights.flat, self.gradients.flat, self._flat_states(), False
            return
        for number, weights in enumerate(self.weights.stacks):
            states = {name: rows.stacks[number] for name, rows in self._states.items()}
            vector = self.rule.vector(weights)
            yield weights, self.gradients.stacks[number], states, vector

    def _flat_states(self) -> dict[str, Tensor]:
        return {name: rows.flat for name, rows in self._states.items()}

    def read_settings(self, member: int) -> None:
        """Take a member's hyperparameters as they are now."""
        if self.settings.read(member) and self._fused is not None:
            self._fused.moved = True

    def step(self, number: int) -> None:
        """Update all members; `number`: of the update, from 1."""
        self._counts.add_(1)
        if self._fused is not None:
            self._fused.step(number)
            return
        group = self.settings.values
        values = {"lr": group["lr"], "weight_decay": group.get("weight_decay", 0.0)}
        values["population"] = True
        values.update(self.rule.scalars(group, number))
        values.update(norms=(), measured=(), vector=False, narrow=None)
        hp = hyperparameters(cast(values, self.weights.flat))
        for weights, gradients, states, vector in self._pieces:
            own = hp._replace(vector=vector) if vector else hp
            apply(self.form, weights, gradients, states, for_members(own, weights.ndim))


class StackedUpdate:
    """All parameter groups of all members.

    Args:
        optimizers: of the members: of one class, with groups of the same parameters.
        own: of each member, its trained parameters in the model's order.
    """

    def __init__(
        self, optimizers: Sequence[torch.optim.Optimizer], own: Sequence[Sequence[Tensor]]
    ) -> None:
        self.groups: list[GroupStack] = []
        places = {id(parameter): number for number, parameter in enumerate(own[0])}
        self._orders: list[list[int]] = []
        for place, group in enumerate(optimizers[0].param_groups):
            by_dtype: dict[torch.dtype, list[int]] = {}
            for parameter in group["params"]:
                by_dtype.setdefault(parameter.dtype, []).append(places[id(parameter)])
            for order in by_dtype.values():
                parameters = [[member[number] for number in order] for member in own]
                self.groups.append(GroupStack(optimizers, place, parameters))
                self._orders.append(order)

    def in_order(self) -> tuple[list[Tensor], list[Tensor]]:
        """Return the stacks of weights and of gradients in the model's order of parameters."""
        weights: dict[int, Tensor] = {}
        gradients: dict[int, Tensor] = {}
        for group, order in zip(self.groups, self._orders, strict=True):
            weights.update(zip(order, group.weights.stacks, strict=True))
            gradients.update(zip(order, group.gradients.stacks, strict=True))
        numbers = sorted(weights)
        return [weights[n] for n in numbers], [gradients[n] for n in numbers]

    def take_gradients(self, gradients: Sequence[Tensor]) -> None:
        """Take gradients [members, *shape] in, in the model's order of parameters."""
        for group, order in zip(self.groups, self._orders, strict=True):
            group.gradients.fill([gradients[number] for number in order])

    def moved(self, before: Sequence[Tensor]) -> list[Tensor]:
        """Return what the weights have changed by, stacks in the model's order of parameters.

        Args:
            before: the groups' weights as they were, `flat`.
        """
        found: dict[int, Tensor] = {}
        for group, order, old in zip(self.groups, self._orders, before, strict=True):
            parts = group.weights.parts_of(group.weights.flat - old)
            found.update(zip(order, parts, strict=True))
        return [found[number] for number in sorted(found)]

    def read_settings(self, member: int) -> None:
        """Take a member's hyperparameters as they are now."""
        for group in self.groups:
            group.read_settings(member)

    @torch.no_grad()
    def step(self, number: int) -> None:
        """Take one update of all members."""
        for group in self.groups:
            group.step(number)
