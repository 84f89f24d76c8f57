"""optbench.optim.engine.compiled: what `test_our_rules.py` does not see of it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from optbench.optim.engine import compiled
from optbench.optim.first_order.heavy_ball import HeavyBall
from optbench.optim.first_order.lamb import LAMB
from optbench.optim.first_order.lars import LARS
from optbench.optim.first_order.lion import Lion

from ..rules import ROWS, ours
from .some import made, walk, weights


@pytest.fixture
def as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """All parameters in one graph."""

    def together(form: Any, slots: Any, gradients: Any, hp: Any) -> None:
        split = compiled.split(hp, form.wide or slots[0].parameter.dtype)
        compiled.run_together(form, slots, gradients, *split)

    monkeypatch.setattr("optbench.optim.engine.rule_optimizer.run_compiled", together)


@pytest.mark.slow
@pytest.mark.usefixtures("as_on_a_gpu")
def test_the_graph_of_lists_that_a_gpu_compiles() -> None:
    for cls in (Lion, LAMB):
        found, expected = weights()[:3], weights()[:3]
        one = walk(made(cls, found, implementation="compiled"), found, 4)
        other = walk(made(cls, expected, implementation="loop"), expected, 4)
        assert torch.allclose(one, other, rtol=1e-10)


def assert_as_the_loop(parameters: list[nn.Parameter]) -> None:
    """One step of a compiled rule ends where the loop's does."""
    twins = [nn.Parameter(parameter.detach().clone()) for parameter in parameters]
    found = walk(made(Lion, parameters, implementation="compiled"), parameters, 1)
    assert torch.allclose(found, walk(made(Lion, twins, implementation="loop"), twins, 1))


@pytest.mark.slow
@pytest.mark.usefixtures("as_on_a_gpu")
def test_more_shapes_than_the_compiler_has_code_for_on_a_gpu() -> None:
    for size in range(2, 12):
        parameters = [nn.Parameter(torch.ones(size))]
        assert_as_the_loop(parameters)


@pytest.mark.slow
def test_more_shapes_than_the_compiler_has_code_for() -> None:
    """Not dense, so that they are not vectors; and vectors of any length."""
    for size in range(2, 12):
        parameters = [nn.Parameter(torch.ones(2 * size, 3)[::2]), nn.Parameter(torch.ones(size))]
        assert_as_the_loop(parameters)


def gradients(count: int, dtype: torch.dtype) -> list[Tensor]:
    generator = torch.Generator().manual_seed(3)
    return [torch.randn(40, generator=generator).to(dtype) for _ in range(count)]


def states(optimizer: Any, parameter: nn.Parameter, steps: int) -> dict[str, Tensor]:
    """What is left after so many steps, the weights among it."""
    for gradient in gradients(steps, parameter.dtype):
        parameter.grad = gradient
        optimizer.step()
    return {**optimizer.state[parameter], "weights": parameter.detach()}


@pytest.mark.slow
@pytest.mark.parametrize("name", ROWS)
def test_compiled_is_as_exact_as_the_loop_in_float32(name: str) -> None:
    """1 - beta2 in float32 would make v 1.3e-5 too large."""
    found = []
    for implementation in ("loop", "compiled"):
        parameter = nn.Parameter(torch.linspace(-1, 1, 40))
        changes = {"weight_decay": 0.1}
        if "betas" in ours(name, [parameter]).defaults and name != "adan":
            changes["betas"] = (0.9, 0.999)  # type: ignore[assignment]
        optimizer = ours(name, [parameter], implementation, **changes)
        if name == "nag":
            optimizer.step = optimizer._apply_updates  # without the look-ahead
        found.append(states(optimizer, parameter, 10))
    for key, expected in found[0].items():
        apart = torch.dist(found[1][key].double(), expected.double())
        assert apart <= 1e-6 * expected.double().norm(), key


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_compiled_rounds_as_the_loop_does(dtype: torch.dtype) -> None:
    """The compiler leaves out roundings where it may."""
    found = []
    for implementation in ("loop", "compiled"):
        parameter = nn.Parameter(torch.linspace(-1, 1, 40).to(dtype))
        optimizer = HeavyBall([parameter], lr=1e-4, implementation=implementation)
        found.append(states(optimizer, parameter, 20))
    steps = [(s["weights"].float() - s["previous"]).norm() for s in found]
    assert torch.isclose(steps[0], steps[1], rtol=1e-4)
    assert torch.allclose(found[0]["previous"], found[1]["previous"], rtol=1e-5, atol=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize("cls", [Lion, LARS])
def test_small_tensors_are_left_to_foreach(cls: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """One with a kernel of its own and three without, all as by the loop."""
    monkeypatch.setattr(compiled, "SMALL", 20)
    seen: list[list[int]] = []
    run = compiled.run_compiled

    def recording(form: Any, slots: Any, gradients: Any, hp: Any) -> None:
        seen.append([slot.parameter.numel() for slot in slots])
        run(form, slots, gradients, hp)

    monkeypatch.setattr("optbench.optim.engine.rule_optimizer.run_compiled", recording)
    ends = []
    for implementation in ("loop", "compiled"):
        generator = torch.Generator().manual_seed(0)
        shapes = [(5, 4), (6,), (7, 5), (1,)]
        parameters = [torch.randn(s, generator=generator, dtype=torch.float64) for s in shapes]
        optimizer = cls([torch.nn.Parameter(p) for p in parameters], implementation=implementation)
        for _ in range(3):
            for parameter in optimizer.param_groups[0]["params"]:
                parameter.grad = torch.randn(
                    parameter.shape, generator=generator, dtype=torch.float64
                )
            optimizer.step()
        ends.append(optimizer.param_groups[0]["params"])
    assert seen == [[35]] * 3
    for one, other in zip(*ends, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-14)
