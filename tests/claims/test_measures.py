"""What measures give of runs whose closed form is known; and planted errors, which claims see."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import pytest

import optbench
from optbench.claims.found import Found, Ran
from optbench.claims.measures import final, lr_stability, rate, same_path
from optbench.errors import UserError
from tests.cli.program import call

from .conftest import write

USUAL = ("device=cpu", "threads=1", "checkpoint=none", "monitor.tensorboard=false")
LINE = ("model=quadratic", "model.dim=1", "model.eigenvalues=[0.1]", "optimizer=sgd", "steps=20")


def swept(*words: str, varied: Sequence[str] = ()) -> list[Ran]:
    results = optbench.sweep(*USUAL, *words, folder="runs/swept")
    return [Ran(result, varied) for result in results]


def test_a_rate_is_the_logarithm_of_the_factor_of_a_step() -> None:
    runs = swept(*LINE, "optimizer.lr=0.5,1", varied=["optimizer.lr"])
    found = Found({"gd": runs}, {}, [0])
    given = rate.measure(found, first="50%", power=False).values
    assert given["gd lr=0.5"][0] == pytest.approx(2 * math.log(0.95))
    assert given["gd lr=1"][0] == pytest.approx(2 * math.log(0.9))


def test_a_rate_may_be_told_in_parts_of_anothers() -> None:
    found = Found(
        {"slow": swept(*LINE, "optimizer.lr=0.5"), "fast": swept(*LINE, "optimizer.lr=1")}, {}, [0]
    )
    given = rate.measure(found, power=False, over="slow").values
    assert given == {"fast": {0: pytest.approx(math.log(0.9) / math.log(0.95))}}
    with pytest.raises(UserError, match="over=slo: no such part"):
        rate.measure(found, over="slo")
    with pytest.raises(UserError, match="first=half: expected a step, or such as 50%"):
        rate.measure(found, first="half")


def test_a_run_that_diverged_has_no_last_value() -> None:
    runs = swept(*LINE, "optimizer.lr=0.5,1e200", varied=["optimizer.lr"])
    given = final.measure(Found({"gd": runs}, {}, [0]), "val/loss_gap").values
    (good, lost) = (given[name][0] for name in ("gd lr=0.5", "gd lr=1e+200"))
    assert good == pytest.approx(0.05 * 0.95**40) and lost is None


def test_thresholds_lie_between_the_runs_that_part_them() -> None:
    two = ("model=quadratic", "model.dim=2", "model.eigenvalues=[0.5,4.0]", "optimizer=sgd")
    parts = {
        "overshoots": swept(*two, "steps=30", "optimizer.lr=0.24,0.28", varied=["optimizer.lr"]),
        "diverges": swept(*two, "steps=30", "optimizer.lr=0.48,0.54", varied=["optimizer.lr"]),
    }
    given = lr_stability.measure(Found(parts, {}, [0])).values
    assert given["overshoots"][0] == pytest.approx(0.26)
    assert given["diverges"][0] == pytest.approx(0.51)


def test_paths_of_one_optimizer_are_the_same_and_of_two_are_not() -> None:
    words = ("model=rosenbrock", "steps=20", "optimizer.lr=1e-4")
    parts = {name: swept(*words, f"optimizer={name}") for name in ("sgd", "adam")}
    given = same_path.measure(Found({**parts, "again": parts["sgd"]}, {}, [0]), to="sgd").values
    assert given["again"][0] == 0.0 and (given["adam"][0] or 0) > 0.01


FORGETFUL = """
import torch


class Forgetful(torch.optim.SGD):
    def __init__(self, params, lr, momentum=0.9):
        super().__init__(params, lr=lr)  # and what of the momentum?
"""


def test_a_momentum_that_forgets_is_no_heavy_ball(workplace: Path) -> None:
    write(workplace / "forgetful_momentum.py", FORGETFUL)
    yaml = "# Planted\n_target_: forgetful_momentum.Forgetful\nlr: 1e-2\nmomentum: 0.9\n"
    write(workplace / "own" / "optimizer" / "forgetful.yaml", yaml)
    claim = "claim heavy_ball_equals_momentum steps=30"
    planted = call(f"{claim} instead={{momentum:forgetful}} --config-dir own")
    assert planted.code == 0, planted.err
    assert "verdict: does not hold here" in planted.out


OFF = """
import torch


class Off(torch.optim.SGD):
    def __init__(self, params, lr, momentum=0.0):
        super().__init__(params, lr=1.1 * lr if momentum else lr, momentum=momentum)
"""


def test_a_rate_ten_per_cent_off_breaks_the_law_of_the_effective_lr(workplace: Path) -> None:
    write(workplace / "off_rate.py", OFF)
    yaml = "# Planted\n_target_: off_rate.Off\nlr: 1e-2\nmomentum: 0.0\n"
    write(workplace / "own" / "optimizer" / "off.yaml", yaml)
    claim = "claim effective_lr steps=2000 eval.every=20"
    planted = call(f"{claim} instead={{sgd:off}} --config-dir own")
    assert "momentum=0.9: 11 " in planted.out, planted.err
    assert "verdict: does not hold here" in planted.out
