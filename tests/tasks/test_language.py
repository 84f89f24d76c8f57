"""optbench.tasks.language, and samples of text."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot

from optbench.models.gpt import GPT
from optbench.models.recurrent import GRU
from optbench.tasks.language import SAMPLE_LENGTH, Language
from optbench.tasks.sampling import sample

VOCABULARY = list("abcdefg")
CPU = torch.device("cpu")


class Successor(nn.Module):
    """Knows that the next id is one more; notes what it is given."""

    def __init__(self, sharp: float = 100.0) -> None:
        super().__init__()
        self.sharp = sharp
        self.seen: list[Tensor] = []

    def forward(self, inputs: Tensor) -> Tensor:
        self.seen.append(inputs)
        return self.sharp * one_hot((inputs + 1) % 7, 7).float()


class RecurrentSuccessor(Successor):
    """The same one id at a time: the state is what the next id will be."""

    def forward(self, inputs: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        if state is not None:
            assert torch.equal(inputs[:, 0], state)
        return super().forward(inputs), (inputs[:, -1] + 1) % 7


def batch(count: int = 6, length: int = 8) -> tuple[Tensor, Tensor]:
    ids = torch.randint(7, (count, length + 1), generator=torch.Generator().manual_seed(3))
    return ids[:, :-1], ids[:, 1:]


def models() -> list[nn.Module]:
    torch.manual_seed(0)
    gpt = GPT(input_shape=(8,), num_classes=7, layers=1, heads=1, width=8)
    return [gpt, GRU(input_shape=(8,), num_classes=7, width=8)]


@pytest.mark.parametrize("model", models(), ids=["gpt", "gru"])
def test_loss_is_the_mean_over_tokens_and_score_its_sum_over_examples(model: nn.Module) -> None:
    task, (inputs, targets) = Language((8,), VOCABULARY), batch()
    outputs = model(inputs)
    logits = outputs[0] if isinstance(outputs, tuple) else outputs
    expected = torch.stack(
        [cross_entropy(logits[i], targets[i], reduction="mean") for i in range(len(inputs))]
    )
    loss = task.loss({"model": model}, (inputs, targets), "model")
    torch.testing.assert_close(loss, expected.mean())
    scores = task.score({"model": model}, (inputs, targets))
    torch.testing.assert_close(scores["loss"], expected.sum())
    assert task.size((inputs, targets)) == 6


def test_smoothing_is_for_training_alone() -> None:
    task, plain, data = Language((8,), None, 0.2), Language((8,)), batch()
    modules = {"model": models()[0]}
    assert task.loss(modules, data, "model") != plain.loss(modules, data, "model")
    assert torch.equal(task.score(modules, data)["loss"], plain.score(modules, data)["loss"])


def test_perplexity_and_bits_follow_from_the_mean_loss() -> None:
    task = Language((8,), VOCABULARY)
    assert task.metrics == ("loss", "perplexity", "bits_per_character")
    scores = task.derive({"loss": math.log(8)})
    assert scores == pytest.approx({"loss": math.log(8), "perplexity": 8, "bits_per_character": 3})
    assert task.derive({"loss": 1000.0})["perplexity"] == math.inf
    assert math.isnan(task.derive({"loss": math.nan})["perplexity"])
    assert (task.metric, task.mode, task.tokens) == ("val/loss", "min", 8)


def test_examples_that_are_no_tokens_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(1, 8, 8\) are not sequences of tokens"):
        Language((1, 8, 8))


def test_a_model_with_one_output_a_sequence_is_refused() -> None:
    class Classifier(nn.Module):
        def forward(self, inputs: Tensor) -> Tensor:
            return torch.zeros(len(inputs), 7)

    with pytest.raises(ValueError, match=r"\[6, 7\] are not one for each of the 8 places"):
        Language((8,)).loss({"model": Classifier()}, batch(), "model")


def test_a_sample_follows_the_model() -> None:
    shown = Language((8,), VOCABULARY).show({"model": Successor()}, batch())
    first = VOCABULARY[int(batch()[0][0, 0])]
    expected = "".join(VOCABULARY * 50)
    start = expected.index(first)
    assert shown.texts == {"sample": expected[start : start + SAMPLE_LENGTH + 1]}
    assert Language((8,)).show({"model": Successor()}, batch()) is None


def test_without_a_state_the_last_ids_are_looked_at_in_one_shape() -> None:
    model = Successor()
    assert sample(model, 2, 11, 5, CPU) == [2, 3, 4, 5, 6, 0, 1, 2, 3, 4, 5, 6]
    assert {tuple(inputs.shape) for inputs in model.seen} == {(1, 5)}
    assert model.seen[-1].tolist() == [[1, 2, 3, 4, 5]]


def test_with_a_state_one_id_is_looked_at() -> None:
    model = RecurrentSuccessor()
    assert sample(model, 5, 4, 5, CPU) == [5, 6, 0, 1, 2]
    assert {tuple(inputs.shape) for inputs in model.seen[1:]} == {(1, 1)}


@pytest.mark.parametrize("model", models(), ids=["gpt", "gru"])
def test_draws_are_always_the_same_and_nobody_elses(model: nn.Module) -> None:
    torch.manual_seed(1)
    first = sample(model, 0, 40, 8, CPU)
    torch.manual_seed(2)
    state = torch.get_rng_state()
    assert sample(model, 0, 40, 8, CPU) == first
    assert torch.equal(torch.get_rng_state(), state)
    assert len(set(first)) > 2


def test_draws_follow_the_probabilities() -> None:
    class Coin(nn.Module):
        def forward(self, inputs: Tensor) -> Tensor:
            return torch.log(torch.tensor([0.25, 0.75])).expand(*inputs.shape, 2)

    drawn = sample(Coin(), 0, 2000, 1, CPU)[1:]
    assert sum(drawn) / 2000 == pytest.approx(0.75, abs=0.05)


def test_a_broken_model_ends_the_sample() -> None:
    assert sample(Successor(sharp=math.nan), 3, 10, 5, CPU) == [3]
