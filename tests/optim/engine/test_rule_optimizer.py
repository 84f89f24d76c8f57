"""optbench.optim.engine: what every rule gets from it, tried with a few of them."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from optbench.optim.adabound import AdaBound
from optbench.optim.adan import Adan
from optbench.optim.amsgrad import AMSGrad
from optbench.optim.engine import blocks
from optbench.optim.engine.rule_optimizer import RuleOptimizer
from optbench.optim.lamb import LAMB
from optbench.optim.lars import LARS
from optbench.optim.lion import Lion
from optbench.optim.momentum import Momentum

SOME: list[type[RuleOptimizer]] = [AMSGrad, Adan, LAMB, LARS, Lion, Momentum]
some = pytest.mark.parametrize("cls", SOME)


def weights(dtype: torch.dtype = torch.float64) -> list[nn.Parameter]:
    """Of many shapes: a matrix, an image kernel in channels_last, a vector, a number, nothing."""
    generator = torch.Generator().manual_seed(0)
    shapes = [(7, 9), (4, 3, 5, 5), (11,), (), (0, 3)]
    made = [torch.randn(s, generator=generator, dtype=torch.float64).to(dtype) for s in shapes]
    made[1] = made[1].to(memory_format=torch.channels_last)
    return [nn.Parameter(tensor) for tensor in made]


def walk(optimizer: Any, parameters: list[nn.Parameter], steps: int, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        for parameter in parameters:
            draw = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.grad = draw.to(parameter.dtype) + parameter.detach()
        optimizer.step()
    return torch.cat([p.detach().double().flatten() for p in parameters])


def made(cls: Any, parameters: Any, **settings: Any) -> Any:
    return cls(parameters, lr=0.01, weight_decay=0.1, **settings)


@some
@pytest.mark.parametrize("block", [1, 7, 50, 1000])
def test_blocks_of_any_size_change_nothing(
    cls: type[RuleOptimizer], block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "BLOCK", block)
    found = weights()
    walk(made(cls, found), found, 5)
    expected = weights()
    walk(made(cls, expected, implementation="loop"), expected, 5)
    for one, other in zip(found, expected, strict=True):
        assert torch.allclose(one, other, rtol=1e-12, atol=1e-14)


@some
def test_one_batch_of_everything_as_on_a_gpu(
    cls: type[RuleOptimizer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("optbench.optim.engine.rule_optimizer.block_for", lambda device: None)
    found, expected = weights(), weights()
    one = walk(made(cls, found), found, 5)
    other = walk(made(cls, expected, implementation="loop"), expected, 5)
    assert torch.allclose(one, other, rtol=1e-12, atol=1e-14)


@some
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_narrow_parameters_have_wide_state(cls: type[RuleOptimizer], dtype: torch.dtype) -> None:
    parameters = weights(dtype)
    optimizer = made(cls, parameters)
    walk(optimizer, parameters, 3)
    for parameter in parameters:
        for name in cls.state_names:
            assert optimizer.state[parameter][name].dtype == torch.float32
    reference = [nn.Parameter(p.detach().float()) for p in weights(dtype)]
    wide = made(cls, reference)
    optimizer, parameters = made(cls, start := weights(dtype)), start
    for parameter, twin in zip(parameters, reference, strict=True):
        parameter.grad = torch.ones_like(parameter)
        twin.grad = torch.ones_like(twin)
    optimizer.step()
    wide.step()
    for parameter, twin in zip(parameters, reference, strict=True):
        assert torch.equal(parameter, twin.to(dtype))
    again = made(cls, weights(dtype))
    again.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for parameter in again.param_groups[0]["params"]:
        assert again.state[parameter][cls.state_names[0]].dtype == torch.float32


@some
def test_a_state_dict_loads_into_another_implementation(cls: type[RuleOptimizer]) -> None:
    first = weights()
    one = made(cls, first, implementation="loop")
    walk(one, first, 4)
    second = [nn.Parameter(p.detach().clone()) for p in first]
    other = made(cls, second, implementation="foreach")
    other.load_state_dict(copy.deepcopy(one.state_dict()))
    assert torch.allclose(walk(one, first, 4, 2), walk(other, second, 4, 2), rtol=1e-12)
    assert set(one.state_dict()) == {"state", "param_groups"}
    assert one.state_dict()["state"][0]["step"] == torch.tensor(8.0)


@some
def test_copies_and_pickles_go_on_alike(cls: type[RuleOptimizer]) -> None:
    parameters = weights()
    optimizer = made(cls, parameters, implementation="loop")
    walk(optimizer, parameters, 2)
    twin = pickle.loads(pickle.dumps(optimizer))
    assert twin.implementation == "loop"
    theirs = twin.param_groups[0]["params"]
    assert torch.equal(walk(twin, theirs, 2), walk(optimizer, parameters, 2))


@some
def test_parameters_without_gradients_stay_and_count_their_own_steps(
    cls: type[RuleOptimizer],
) -> None:
    parameters = weights()
    optimizer = made(cls, parameters)
    for step in range(4):
        for number, parameter in enumerate(parameters):
            parameter.grad = torch.ones_like(parameter) if (number or step > 1) else None
        before = parameters[0].detach().clone()
        optimizer.step()
        assert torch.equal(parameters[0], before) == (step <= 1)
    steps = [int(optimizer.state[p]["step"]) for p in parameters]
    assert steps == [2, 4, 4, 4, 4]
    for parameter in parameters:
        parameter.grad = None
    optimizer.step()  # with nothing to do


@some
def test_sparse_gradients_count_as_dense_ones(cls: type[RuleOptimizer]) -> None:
    ends = []
    for sparse in (False, True):
        parameter = nn.Parameter(torch.linspace(-1, 1, 12, dtype=torch.float64).reshape(4, 3))
        optimizer = made(cls, [parameter])
        for row in range(4):
            gradient = torch.zeros_like(parameter)
            gradient[row] = 1.0
            parameter.grad = gradient.to_sparse() if sparse else gradient
            optimizer.step()
        ends.append(parameter.detach())
    assert torch.equal(*ends)


@some
def test_a_tensor_for_lr_and_weight_decay(cls: type[RuleOptimizer]) -> None:
    ends = []
    for as_tensor in (False, True):
        parameters = weights()
        lr, decay = (torch.tensor(v, dtype=torch.float64) if as_tensor else v for v in (0.01, 0.1))
        for implementation in ("loop", "foreach"):
            parameters = weights()
            optimizer: Any = cls(
                parameters, lr=lr, weight_decay=decay, implementation=implementation
            )  # type: ignore[call-arg]
            ends.append(walk(optimizer, parameters, 5))
    for end in ends[1:]:
        assert torch.allclose(end, ends[0], rtol=1e-12)


@some
def test_groups_have_settings_of_their_own(cls: type[RuleOptimizer]) -> None:
    a, b = weights()[:2], weights()[:2]
    together: Any = cls([{"params": a[:1], "lr": 0.1}, {"params": a[1:], "lr": 0.001}], lr=1.0)  # type: ignore[call-arg]
    walk(together, a, 3)
    first: Any = cls(b[:1], lr=0.1)  # type: ignore[call-arg]
    second: Any = cls(b[1:], lr=0.001)  # type: ignore[call-arg]

    class Both:
        @staticmethod
        def step() -> None:
            first.step()
            second.step()

    walk(Both, b, 3)
    for one, other in zip(a, b, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("cls", [AMSGrad, Adan, LAMB, LARS, Lion, Momentum])
def test_a_population_with_a_learning_rate_for_each_member(cls: Any) -> None:
    """The rule itself, on parameters stacked along a leading dimension."""
    members, rates = 3, [0.1, 0.01, 0.001]
    single = [nn.Parameter(torch.linspace(-1, 2, 12).double().reshape(3, 4)) for _ in rates]
    for parameter, lr in zip(single, rates, strict=True):
        optimizer = cls([parameter], lr=lr, weight_decay=0.1, implementation="loop")
        for step in range(3):
            parameter.grad = torch.full_like(parameter, 0.5 - step) * parameter.detach()
            optimizer.step()
    stacked = nn.Parameter(
        torch.linspace(-1, 2, 12).double().reshape(1, 3, 4).repeat(members, 1, 1)
    )
    lr = torch.tensor(rates, dtype=torch.float64).reshape(-1, 1, 1)
    optimizer = cls([stacked], lr=lr, weight_decay=0.1, implementation="loop")
    optimizer.param_groups[0]["population"] = True
    for step in range(3):
        stacked.grad = torch.full_like(stacked, 0.5 - step) * stacked.detach()
        optimizer.step()
    for member, parameter in zip(stacked, single, strict=True):
        assert torch.allclose(member, parameter, rtol=1e-12)


def test_bounds_follow_the_schedule_from_the_lr_of_the_start() -> None:
    parameter = nn.Parameter(torch.ones(3))
    optimizer = AdaBound([parameter], lr=0.5)
    assert optimizer.param_groups[0]["base_lr"] == 0.5
    optimizer.param_groups[0]["lr"] = 0.25
    assert AdaBound.numbers(optimizer.param_groups[0], 1)["upper"] == pytest.approx(
        0.05 * (1 + 1 / 1e-3)
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lr": -1.0}, "lr must be at least 0"),
        ({"weight_decay": -1.0}, "weight_decay must be at least 0"),
        ({"betas": (0.9, 1.0)}, r"beta2 must be in \[0, 1\)"),
        ({"implementation": "fused"}, "implementation=fused: Lion has loop, foreach, compiled"),
    ],
)
def test_what_is_out_of_range_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Lion([nn.Parameter(torch.ones(2))], **settings)


def test_complex_parameters_are_refused() -> None:
    with pytest.raises(ValueError, match="complex parameter"):
        Lion([nn.Parameter(torch.ones(2, dtype=torch.complex64))])


def test_replaced_weights_are_noticed() -> None:
    """`parameter.data = ...` moves them; the plan of blocks has to be made anew."""
    parameter = nn.Parameter(torch.ones(5))
    optimizer = Momentum([parameter], lr=0.5, momentum=0.0)
    for _ in range(2):
        parameter.data = torch.zeros(5)
        parameter.grad = torch.ones(5)
        optimizer.step()
        assert torch.equal(parameter, torch.full((5,), -0.5))


def test_a_step_of_its_own_runs_the_hooks_once() -> None:
    class Own(Momentum):
        def step(self, closure: Any) -> Any:  # type: ignore[override]
            loss = closure()
            self._apply_updates()
            return loss

    parameters, calls = weights(), []
    optimizer = made(Own, parameters)
    optimizer.register_step_pre_hook(lambda *_: calls.append("before"))
    optimizer.register_step_post_hook(lambda *_: calls.append("after"))
    for parameter in parameters:
        parameter.grad = torch.ones_like(parameter)
    assert optimizer.step(lambda: 3.0) == 3.0
    assert calls == ["before", "after"]
    assert all(int(optimizer.state[p]["step"]) == 1 for p in parameters)


@pytest.mark.slow
def test_the_graph_of_lists_that_a_gpu_compiles(monkeypatch: pytest.MonkeyPatch) -> None:
    from optbench.optim.engine import compiled

    def as_on_a_gpu(form: Any, slots: Any, gradients: Any, h: Any) -> None:
        numbers, settings = compiled.split(h, slots[0].parameter.dtype)
        run = compiled.run_lists(form, tuple(slots[0].state), settings)
        states = [list(slot.state.values()) for slot in slots]
        run([slot.parameter.detach() for slot in slots], list(gradients), states, numbers)

    monkeypatch.setattr("optbench.optim.engine.rule_optimizer.run_compiled", as_on_a_gpu)
    for cls in (Lion, LAMB):
        found, expected = weights()[:3], weights()[:3]
        one = walk(made(cls, found, implementation="compiled"), found, 4)
        other = walk(made(cls, expected, implementation="loop"), expected, 4)
        assert torch.allclose(one, other, rtol=1e-10)
