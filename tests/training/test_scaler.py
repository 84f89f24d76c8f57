"""fp16 on the CPU: a gradient that overflows leaves everything but the scale where it was."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor

from optbench.assemble.experiment import Experiment
from optbench.errors import UserError

from .experiments import experiment, fit, player_of, weights_of
from .runs import assert_same_bits

FP16 = ["precision=fp16", "schedule=cosine", "schedule.warmup_steps=2", "ema=0.5"]


def overflow_at(made: Experiment, *batches: int) -> None:
    """The gradient of one weight is infinite in these batches, counted from 1."""
    seen = []

    def hook(gradient: Tensor) -> Tensor:
        seen.append(1)
        return gradient * torch.inf if len(seen) in batches else gradient

    player_of(made).parameters[-1].register_hook(hook)


def observed(made: Experiment) -> dict[str, Any]:
    """What must not move when a step is skipped."""
    player = player_of(made)
    assert player.ema is not None
    return copy.deepcopy(
        {
            "weights": weights_of(made),
            "ema": player.ema.averages,
            "optimizer": player.optimizer.state_dict(),
            "player.step": player.step,
            "progress.step": made.state.progress.step,
            "lr": player.lr,
        }
    )


def history(made: Experiment) -> tuple[list[dict[str, Any]], list[float]]:
    """What was observed, and the scale, after each batch; and the run's end."""
    states, scales = [], []

    def keep(step: int) -> None:
        states.append(observed(made))
        scaler = made.state.precision.scaler
        assert scaler is not None
        scales.append(scaler.get_scale())

    outcome, _ = fit(made, keep)
    assert outcome.state == "finished"
    return states, scales


@pytest.mark.parametrize("implementation", ["fused", "loop"])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_an_overflow_moves_the_scale_only(optimizer: str, implementation: str) -> None:
    choice = [f"optimizer={optimizer}", f"optimizer.implementation={implementation}"]
    made = experiment(*FP16, *choice, "steps=8")
    overflow_at(made, 4)
    states, scales = history(made)
    assert len(states) == 9
    assert_same_bits(states[3], states[2])
    assert scales == [2**16] * 3 + [2**15] * 6
    assert [state["player.step"] for state in states] == [1, 2, 3, 3, 4, 5, 6, 7, 8]
    assert [state["progress.step"] for state in states] == [1, 2, 3, 3, 4, 5, 6, 7, 8]
    assert not torch.equal(states[4]["weights"], states[3]["weights"])


def test_an_overflow_costs_its_batch() -> None:
    """The next step takes the next examples; the epoch goes on."""
    made = experiment(*FP16, "steps=3", "monitor.every=1")
    overflow_at(made, 2)
    positions = []
    progress = made.state.progress
    _, memory = fit(made, lambda step: positions.append((step, progress.index, progress.skipped)))
    assert positions == [(1, 1, 0), (1, 2, 1), (2, 3, 1), (3, 4, 1)]
    assert memory.values("precision/skipped_steps") == {1: 0, 2: 1, 3: 1}
    assert memory.values("precision/loss_scale") == {1: 2**16, 2: 2**15, 3: 2**15}


OPTIMIZERS = {
    "sgd with momentum": ["optimizer=sgd", "optimizer.momentum=0.9"],
    "sgd by loop": ["optimizer=sgd", "optimizer.momentum=0.9", "optimizer.implementation=loop"],
    "adamw": ["optimizer=adamw"],
    "adagrad": ["optimizer=adagrad"],
    "muon": ["optimizer=muon"],
    "nadam": ["optimizer=nadam"],
}


@pytest.mark.parametrize("choice", OPTIMIZERS.values(), ids=OPTIMIZERS.keys())
def test_an_overflow_in_the_first_batches_leaves_no_trace(choice: list[str]) -> None:
    """Scales start high, so this is the usual case: state that is made then must be empty."""
    overflowing = experiment(*FP16, *choice, "steps=4")
    overflow_at(overflowing, 1, 2)
    # Memory that nobody has set shows itself when it is filled with NaN.
    with uninitialised_memory_is_nan():
        fit(overflowing)
    smooth = experiment(*FP16, *choice, "steps=4")
    scaler = smooth.state.precision.scaler
    assert scaler is not None
    scaler.load_state_dict(scaler.state_dict() | {"scale": 2.0**14})
    smooth.state.progress.index = 2
    fit(smooth)
    assert_same_bits(observed(overflowing), observed(smooth))


@contextmanager
def uninitialised_memory_is_nan() -> Iterator[None]:
    """torch.empty gives NaN, as deterministic mode does."""
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


def test_a_hundred_overflows_in_a_row_end_the_run() -> None:
    made = experiment(*FP16, "steps=300")
    overflow_at(made, *range(5, 1000))
    outcome, _ = fit(made)
    assert outcome.state == "diverged"
    assert "no finite gradient in 100 batches" in outcome.message
    assert made.state.progress.step == 4


def test_overflows_that_are_not_in_a_row_do_not() -> None:
    made = experiment(*FP16, "steps=20")
    overflow_at(made, *range(1, 20, 2))
    outcome, _ = fit(made)
    assert outcome.state == "finished"
    assert made.state.progress.skipped == 10


def test_a_fused_optimizer_is_really_tried() -> None:
    assert experiment(*FP16, "optimizer=adamw").implementation == "fused"


def test_lbfgs_refuses_a_scaler() -> None:
    with pytest.raises(UserError, match=r"precision=fp16.*LBFGS"):
        experiment("precision=fp16", "optimizer=lbfgs")
