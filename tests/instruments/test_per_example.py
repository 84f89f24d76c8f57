"""Single examples' gradients against a loop over the examples."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from training.experiments import experiment

from optbench.instruments.look import Look
from optbench.instruments.per_example import chosen, statistics, why_not

from .dense import dense, digits


@pytest.mark.parametrize("examples", [None, 300], ids=["the next step's", "evenly spread"])
def test_statistics_are_those_of_a_loop_over_the_examples(examples: int | None) -> None:
    look = Look(digits())
    found, (losses, rows) = statistics(look, examples), dense(look, examples)
    mean = rows.mean(0)
    assert found.examples == len(rows) == (examples or 64)
    torch.testing.assert_close(found.losses, losses, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(found.norms, rows.square().sum(1), rtol=1e-5, atol=1e-9)
    torch.testing.assert_close(found.dots, rows @ mean, rtol=1e-4, atol=1e-7)
    squares = torch.cat([each.reshape(-1) for each in found.squares]).double()
    torch.testing.assert_close(squares, rows.square().mean(0), rtol=1e-4, atol=1e-9)
    assert found.signal == pytest.approx(float(mean.square().sum()), rel=1e-5)
    assert found.trace == pytest.approx(float(rows.var(0).sum()), rel=1e-5)


def test_the_next_steps_examples_are_those_that_the_run_takes() -> None:
    trainer = digits("batch_size=10", "accumulate=2")
    look = Look(trainer)
    (((whole, _), _),) = chosen(look, None).micros
    micros = trainer.feed.step_at(0, 0).micros
    assert torch.equal(whole, torch.cat([batch[0] for batch, _ in micros]))


def test_dropout_draws_for_each_example_alone_and_leaves_the_generator() -> None:
    look = Look(experiment("dataset=digits", "model.hidden=[8]", "model.dropout=0.5").trainer())
    drawn = torch.get_rng_state()
    once, again = statistics(look, 20, "train"), statistics(Look(look.trainer), 20, "train")
    assert torch.equal(torch.get_rng_state(), drawn)
    assert torch.equal(once.norms, again.norms)
    assert float(once.dots.mean()) == pytest.approx(once.signal, rel=1e-4)
    assert not torch.allclose(once.norms, statistics(look, 20).norms)


def test_it_is_reckoned_once_at_a_point_and_anew_at_another() -> None:
    look = Look(digits())
    first = statistics(look, 20)
    assert statistics(look, 20) is first
    with look.moved([torch.zeros_like(p) for p in look.parameters]):
        assert float(statistics(look, 20).losses.mean()) == pytest.approx(2.302585, rel=1e-5)
    assert torch.equal(statistics(look, 20).losses, first.losses)


def test_what_vmap_cant_take_is_said_in_a_line() -> None:
    norm = Look(digits("model.batch_norm=true"))
    assert why_not(norm) is None
    assert "BatchNorm in train mode" in str(why_not(norm, "train"))
    sequences = ("dataset=adding", "model=lstm", "dataset.train_size=40", "dataset.val_size=4")
    small = ("dataset.test_size=0", "model.width=4", "batch_size=10")
    recurrent = Look(experiment(*sequences, *small).trainer())
    assert str(why_not(recurrent)).startswith("LSTM: ")


def test_a_model_that_vmap_cant_differentiate_is_left_out_with_torchs_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    look = Look(experiment("dataset=digits", "model.hidden=[8]").trainer())
    forward = look.module.forward

    def reading(inputs: Tensor) -> Tensor:
        assert inputs.sum().item() > 0  # a number of one example is asked for
        outputs: Tensor = forward(inputs)
        return outputs

    monkeypatch.setattr(look.module, "forward", reading)
    assert "vmap can't differentiate it example by example" in str(why_not(look))
