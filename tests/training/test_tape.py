"""The double of a CUDA graph finds what a graph would not repeat."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from optbench.optim.first_order.lion import Lion
from optbench.tasks.classification import Classification
from optbench.training.clipping import Clipping

from .graphed import Graphed
from .tape import Tape


def differs(change: Callable[[Graphed], object]) -> bool:
    """Whether steps that are repeated differ from the same in pieces; they have to be noted."""
    found = []
    for pieces in (False, True):
        each = Graphed("optimizer=lion", pieces=pieces)
        change(each)
        found.append(each.train())
        assert bool(each.step.replayed) != pieces, each.reasons
    return not torch.equal(*found)


def reason(change: Callable[[Graphed], object], *overrides: str) -> str:
    """Why steps can't be noted; they are right all the same."""
    found = []
    for pieces in (False, True):
        each = Graphed("optimizer=lion", *overrides, pieces=pieces)
        change(each)
        found.append(each.train())
        (said,) = each.reasons
        assert not each.step.replayed
        if not pieces:
            kept = said
    assert torch.equal(*found)
    return kept


def test_nothing_planted_is_no_difference() -> None:
    assert not differs(lambda graphed: None)


def clipped_by(factor: Callable[[Any], Any]) -> Callable[[Graphed], object]:
    """Plants something between gradients and update."""

    class Planted(Clipping):
        @property
        def acts(self) -> bool:
            return True

        def apply(self, parameters: Any, groups: Any, across: Any = None) -> None:
            with torch.no_grad():
                for parameter in parameters:
                    parameter.grad.mul_(1 + 0.1 * factor(parameter))

    def change(graphed: Graphed) -> None:
        graphed.step.clipping = Planted()

    return change


class Counts:
    """A number of Python's that is another at each look."""

    def __init__(self, made: Callable[[float], Any] = float) -> None:
        self._made, self._calls = made, 0

    def __call__(self, parameter: Tensor) -> Any:
        self._calls += 1
        return self._made(self._calls)


def planted(kind: type[Counts] | Any, *given: Any) -> Callable[[Graphed], object]:
    """The same plant, fresh for each of two runs."""
    return lambda graphed: clipped_by(kind(*given))(graphed)


def test_a_number_of_the_host_is_found() -> None:
    assert differs(planted(Counts))


def test_a_tensor_of_the_host_is_found() -> None:
    assert differs(planted(Counts, torch.tensor))


def test_a_schedule_that_reaches_the_kernel_as_a_number_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A rule that goes by the step as it was when it was made."""

    def scalars(group: Mapping[str, Any], step: int) -> dict[str, Any]:
        told.append(step)
        return {"beta1": group["betas"][0], "beta2": group["betas"][1]}

    def rule(parameter: Any, gradient: Any, state: Any, hp: Any) -> Any:
        return original(parameter, gradient, state, hp)[0] * (1 + 0.1 * told[-1]), hp.lr

    told: list[int] = []
    original = Lion.rule
    monkeypatch.setattr(Lion, "scalars", staticmethod(scalars))
    monkeypatch.setattr(Lion, "rule", staticmethod(rule))
    assert differs(lambda graphed: None)


def test_a_number_that_the_held_rule_is_told_is_no_difference(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same, told as rules are."""

    def scalars(group: Mapping[str, Any], step: int) -> dict[str, Any]:
        beta1, beta2 = group["betas"]
        return {"beta1": beta1, "beta2": beta2, "more": 1 + 0.1 * step}

    def rule(parameter: Any, gradient: Any, state: Any, hp: Any) -> Any:
        return original(parameter, gradient, state, hp)[0] * hp.more, hp.lr

    original = Lion.rule
    monkeypatch.setattr(Lion, "scalars", staticmethod(scalars))
    monkeypatch.setattr(Lion, "rule", staticmethod(rule))
    assert not differs(lambda graphed: None)


def test_a_number_that_is_read_ends_it() -> None:
    said = reason(clipped_by(lambda parameter: float(parameter.grad.norm() > 1)))
    assert "not permitted when stream is capturing: aten._local_scalar_dense" in said


def test_places_that_depend_on_numbers_end_it() -> None:
    said = reason(clipped_by(lambda parameter: parameter.grad[parameter.grad > 0].sum()))
    assert "not permitted when stream is capturing" in said


def test_a_tensor_that_is_sent_ends_it() -> None:
    ones = clipped_by(lambda parameter: torch.ones(parameter.shape))
    assert "on the same device" in reason(ones)
    told = clipped_by(lambda parameter: torch.tensor(1.0, device=parameter.device))
    assert "a tensor made of numbers is sent to the device" in reason(told)


def test_an_update_that_is_left_to_the_host_is_found() -> None:
    """As an average that the trainer would update beside the graph."""

    def change(graphed: Graphed) -> None:
        (player,) = graphed.made.state.players
        forward = type(player.module).forward
        calls = [0]

        def counted(x: Tensor) -> Tensor:
            calls[0] += 1
            return forward(player.module, x) * (1 + 0.01 * calls[0])

        player.module.forward = counted  # type: ignore[method-assign]

    assert differs(change)


def test_a_buffer_that_is_put_at_a_new_place_ends_it() -> None:
    def change(graphed: Graphed) -> None:
        (player,) = graphed.made.state.players
        module, forward = player.module, type(player.module).forward
        (norm,) = [each for each in module.modules() if isinstance(each, nn.BatchNorm1d)]

        def assigned(x: Tensor) -> Tensor:
            norm.running_mean = norm.running_mean * 0.9
            return forward(module, x)

        module.forward = assigned  # type: ignore[method-assign]

    said = reason(change, "model.batch_norm=true")
    assert said == "a step puts buffers or state at new places"


def test_noting_changes_nothing_on_the_device() -> None:
    graphed = Graphed("optimizer=lion", "model.dropout=0.5", "ema=0.5")
    graphed.train(3)
    work = graphed.made.feed.step_at(0, 3)
    generator = torch.get_rng_state()
    before = [tensor.clone() for tensor in graphed.step.standing()]
    noted: list[list[Tensor]] = []
    note = graphed.graphs.note

    def looking(function: Any) -> Callable[[], None]:
        replay = note(function)
        noted.append([tensor.clone() for tensor in graphed.step.standing()])
        assert torch.equal(torch.get_rng_state(), generator)
        return replay

    graphed.graphs.note = looking  # type: ignore[method-assign]
    graphed.step.loss_and_gradients(work, unseen=True)
    assert all(map(torch.equal, before, noted[0]))
    assert not all(map(torch.equal, before, graphed.step.standing()))


def test_a_tape_repeats_on_the_same_tensors() -> None:
    weights, examples = torch.ones(3), torch.ones(3)
    tape = Tape([weights, examples])
    tape.note(lambda: weights.add_(functional.relu(examples * 2)))
    assert weights.tolist() == [1, 1, 1]
    examples.fill_(-1)
    tape.replay()
    assert weights.tolist() == [1, 1, 1]
    examples.fill_(3)
    tape.replay()
    assert weights.tolist() == [7, 7, 7]


def test_unknown_code_is_in_pieces_unless_asked_for() -> None:
    from optbench.training.graph.why_in_pieces import Ways, held_or_why

    class Own(nn.Linear):
        pass

    class OwnTask(Classification):
        pass

    made = Graphed("optimizer=lion").made
    (player,) = made.state.players
    assert not isinstance(held_or_why(made.state, Ways()), str)
    made.state.task.__class__ = OwnTask
    said = "OwnTask is the user's own code; cuda_graph=true takes it for repeatable"
    assert held_or_why(made.state, Ways()) == said
    assert not isinstance(held_or_why(made.state, Ways(asked=True)), str)
    made.state.task.__class__ = Classification
    player.module.add_module("own", Own(1, 1))
    assert held_or_why(made.state, Ways()) == said.replace("OwnTask", "Own")
