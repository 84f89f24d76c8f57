"""What a run ends with is finite, or the run has diverged: also where nothing was measured."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from optbench.assemble.experiment import Experiment
from optbench.training.signals import Interruption

from .experiments import experiment, fit, player_of
from .test_trainer_ends import spoil_gradient

BLIND = ["steps=4", "monitor.every=0", "eval.every=0"]


@pytest.mark.parametrize("checkpoint", ["none", "final"])
@pytest.mark.parametrize("policy", ["stop", "skip", "raise"])
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_what_the_last_step_spoils_is_not_called_finished(
    value: float, policy: str, checkpoint: str
) -> None:
    """No later loss tells of it, nothing is measured, and what is left out has finite gradients."""
    made = experiment(*BLIND, f"checkpoint={checkpoint}", f"nonfinite={policy}")
    name = spoil_update(made, 4, value)
    if policy == "raise":
        with pytest.raises(FloatingPointError, match=f"a parameter is .* at step 4; .*{name}"):
            fit(made)
        return
    outcome, memory = fit(made, folder=Path("run").absolute())
    assert outcome.state == "diverged"
    assert outcome.message == (
        f"a parameter is not finite at step 4; first parameter not finite: {name}"
    )
    assert memory.kinds("val") == memory.kinds("test") == []
    assert not Path("run/checkpoints").exists()


def spoil_update(made: Experiment, step: int, value: float, number: int = 2) -> str:
    """One parameter is not finite after a step; its name."""
    player = made.state.players[-1]
    advance = player.advance

    def spoiling() -> None:
        if made.state.progress.step + 1 == step:
            player.parameters[number].data.view(-1)[0] = value
        advance()

    player.advance = spoiling  # type: ignore[method-assign]
    return player.names[number]


def test_a_gradient_that_is_not_finite_in_the_last_step_is_not_called_finished() -> None:
    made = experiment(*BLIND, "checkpoint=none")
    name = spoil_gradient(made, 4)
    outcome, _ = fit(made)
    assert outcome.state == "diverged" and outcome.message.endswith(name)


def test_of_several_players_the_last_step_is_looked_at_too() -> None:
    gan = ["model=dcgan", "model.width=4", "dataset=digits", "model.latent=6"]
    made = experiment(*gan, *BLIND, "checkpoint=none")
    name = spoil_update(made, 4, torch.nan)
    outcome, _ = fit(made)
    assert outcome.state == "diverged"
    assert outcome.message.endswith(f"first parameter of generator not finite: {name}")


def test_an_average_that_is_not_finite_is_not_called_finished() -> None:
    made = experiment(*BLIND, "checkpoint=none", "ema=0.9")
    player = player_of(made)
    assert player.ema is not None
    player.ema.averages[0].view(-1)[0] = torch.inf
    outcome, _ = fit(made)
    assert outcome.state == "diverged"
    assert outcome.message.endswith(f"not finite: {player.names[0]} (its average)")


@pytest.mark.parametrize("how", ["early", "signal"])
def test_weights_that_are_not_finite_are_no_end_of_another_kind(how: str) -> None:
    patience = ["early_stopping.patience=1", "eval.every=1"] if how == "early" else []
    made = experiment(*BLIND, *patience, "steps=8", "checkpoint=none")
    spoil_update(made, 4, torch.nan)
    interruption = Interruption()

    def tick(step: int) -> None:
        if how == "signal" and step == 4:
            interruption.number = signal.SIGTERM

    outcome, _ = fit(made, tick, interruption=interruption)
    assert (outcome.state, made.state.progress.step) == ("diverged", 4)


def test_a_score_that_is_not_finite_though_the_weights_are_is_told() -> None:
    made = experiment(*BLIND, "checkpoint=none", "model.batch_norm=true")
    norm = next(m for m in player_of(made).module.modules() if isinstance(m, nn.BatchNorm1d))
    assert norm.running_mean is not None
    norm.running_mean[0] = torch.nan
    outcome, _ = fit(made)
    assert outcome.state == "finished"
    assert outcome.message == "val/loss is nan, test/loss is nan, though all weights are finite"


@pytest.mark.parametrize("optimizer", ["adamw", "lbfgs"])
def test_what_is_left_out_leaves_no_trace_in_batch_statistics(
    optimizer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mean that took in what is not finite would never be finite again."""
    lines = [*BLIND, "model.batch_norm=true", f"optimizer={optimizer}", "nonfinite=skip"]
    made = experiment(*lines)
    module, calls = player_of(made).module, []
    monkeypatch.setattr(player_of(made), "_averaged", None)  # needless to undo a step

    def spoil(_: Any, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        calls.append(1)
        return tuple(each * torch.nan for each in inputs) if len(calls) == 1 else inputs

    def centre(of: nn.Module, _: Any, outputs: Tensor) -> None:
        of.centre = 0.9 * of.centre + outputs.detach().mean()  # type: ignore[operator]

    module.register_forward_pre_hook(spoil)
    module.register_buffer("centre", torch.zeros(()))
    module.register_forward_hook(centre)
    outcome, _ = fit(made)
    assert made.state.progress.skipped == 1 and module.centre != 0
    assert (outcome.state, outcome.message) == ("finished", "")
    assert all(buffer.isfinite().all() for buffer in module.buffers())
