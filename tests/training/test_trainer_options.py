"""The trainer with the switches that change how it computes, not what."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from optbench.assemble.experiment import Experiment
from optbench.errors import UserError
from optbench.monitor.record import Recorder
from optbench.training.loss_reader import LossReader
from optbench.training.signals import Interruption
from optbench.training.trainer import Trainer

from .experiments import Live, Memory, experiment, fit, player_of, trained, weights_of
from .runs import assert_same_run, metrics_of, state_of, train, whole_and_resumed
from .test_trainer_ends import spoil_loss

RUN = ["steps=20", "eval.every=7", "monitor.every=5", "checkpoint.every=6"]


def late_readers(patch: pytest.MonkeyPatch) -> None:
    """Every trainer reads its losses one step late, as on a GPU."""
    made = Trainer.__init__

    def late(self: Trainer, *arguments: object, **named: object) -> None:
        made(self, *arguments, **named)  # type: ignore[arg-type]
        self._readers = [LossReader(late=True) for _ in self.players]
        self._at_once = False

    patch.setattr(Trainer, "__init__", late)


def test_losses_read_late_give_the_same_run(monkeypatch: pytest.MonkeyPatch) -> None:
    assert train(Path("soon"), *RUN) == 0
    late_readers(monkeypatch)
    assert train(Path("late"), *RUN) == 0
    assert_same_run(Path("soon"), Path("late"))


def test_losses_read_late_are_not_lost_with_a_kill(monkeypatch: pytest.MonkeyPatch) -> None:
    late_readers(monkeypatch)
    assert_same_run(*whole_and_resumed(16, *RUN))


def test_a_loss_read_late_stops_the_run_one_step_late(monkeypatch: pytest.MonkeyPatch) -> None:
    late_readers(monkeypatch)
    spoil_loss(monkeypatch, 4)
    made = experiment("steps=20")
    outcome, _ = fit(made)
    assert outcome.state == "diverged"
    assert outcome.message.startswith("loss is nan at step 4; first parameter not finite: ")
    assert made.state.progress.step == 5


def test_the_last_loss_read_late_is_heeded(monkeypatch: pytest.MonkeyPatch) -> None:
    late_readers(monkeypatch)
    spoil_loss(monkeypatch, 20)
    outcome, memory = fit(experiment("steps=20"))
    assert outcome.state == "diverged"
    assert "at step 20" in outcome.message
    assert memory.kinds("test") == []


CONVOLUTIONS = ["dataset=synthetic", "dataset.train_size=200", "dataset.test_size=50", "steps=8"]


def convolutional(*overrides: str) -> Experiment:
    return experiment("model=2c2d", "batch_size=16", "optimizer=sgd", *CONVOLUTIONS, *overrides)


@pytest.mark.parametrize("wrapper", ["none", "lookahead"])
def test_lbfgs_has_no_channels_last(wrapper: str) -> None:
    with pytest.raises(UserError, match="channels_last=true: L-BFGS needs contiguous gradients"):
        convolutional("channels_last=true", "optimizer=lbfgs", f"wrapper={wrapper}")


def test_channels_last_gives_the_same_run() -> None:
    plain, last = convolutional(), convolutional("channels_last=true")
    weight = next(p for p in player_of(last).parameters if p.ndim == 4)
    assert weight.is_contiguous(memory_format=torch.channels_last)
    for made in (plain, last):
        fit(made)
    distance = torch.dist(weights_of(plain), weights_of(last))
    assert distance <= 1e-5 * weights_of(plain).norm()


@pytest.mark.slow
def test_a_compiled_model_trains_alike_and_saves_plain_names() -> None:
    # Activations are not looked at in a compiled model.
    assert train(Path("plain"), *RUN, "monitor.doctor=false") == 0
    assert train(Path("compiled"), *RUN, "compile=true") == 0
    names = list(state_of(Path("plain"))["state.pt"]["players"]["model"]["module"])
    assert list(state_of(Path("compiled"))["state.pt"]["players"]["model"]["module"]) == names
    for one, other in zip(metrics_of(Path("plain")), metrics_of(Path("compiled")), strict=True):
        kinds = one.pop("kind"), other.pop("kind")
        assert kinds[0] == kinds[1]
        assert one == pytest.approx(other, rel=1e-3, abs=1e-6)


def test_bf16_is_near_to_fp32() -> None:
    full, half = trained("steps=20"), trained("steps=20", "precision=bf16")
    assert not torch.equal(full, half)
    assert torch.dist(full, half) <= 0.05 * full.norm()
    assert half.dtype == torch.float32


def test_histograms_when_asked() -> None:
    taken: list[tuple[int, str]] = []

    class Board:
        def write_histograms(self, step: int, histograms: dict[str, object]) -> None:
            taken.extend((step, tag) for tag in histograms)

    made = experiment("steps=9", "monitor.histograms=4", "monitor.every=3")
    recorder = Recorder([Memory()], tensorboard=Board(), live=Live(lambda step: None))
    made.trainer(recorder, None, Interruption()).fit()
    names = player_of(made).names
    for kind in ("parameters", "gradients"):
        for name in names:
            assert [step for step, tag in taken if tag == f"{kind}/{name}"] == [4, 8]
