"""optbench.tasks.regression and optbench.tasks.copying."""

import math

import pytest
import torch
from torch import Tensor, nn

from optbench.models.recurrent import LSTM, RNN
from optbench.tasks.copying import Copying
from optbench.tasks.regression import Regression


class Says(nn.Module):
    """Gives the outputs that it was made with."""

    def __init__(self, outputs: Tensor | tuple[Tensor, Tensor]) -> None:
        super().__init__()
        self.outputs = outputs

    def forward(self, _: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        return self.outputs


INPUTS = torch.zeros(3, 5, 2)
TARGETS = torch.tensor([[1.0, 0.0], [2.0, 2.0], [0.0, 4.0]])
ANSWERS = torch.tensor([[1.0, 2.0], [2.0, 2.0], [3.0, 3.0]])  # squares 0 4, 0 0, 9 1


def places() -> Tensor:
    """Outputs at five places, the answers at the last."""
    outputs = torch.full((3, 5, 2), 100.0)
    outputs[:, -1] = ANSWERS
    return outputs


@pytest.mark.parametrize(
    "outputs", [ANSWERS, places(), (places(), torch.zeros(1))], ids=["plain", "places", "state"]
)
def test_regression_is_the_mean_square_at_the_last_place(outputs: Tensor) -> None:
    task, modules = Regression(), {"model": Says(outputs)}
    assert float(task.loss(modules, (INPUTS, TARGETS), "model")) == pytest.approx(14 / 6)
    scores = task.score(modules, (INPUTS, TARGETS))
    assert {name: float(value) for name, value in scores.items()} == {"loss": 2 + 0 + 5}
    assert task.size((INPUTS, TARGETS)) == 3
    assert (task.metrics, task.metric, task.mode) == (("loss",), "val/loss", "min")


def test_regression_trains_a_recurrent_network() -> None:
    torch.manual_seed(0)
    model = RNN(input_shape=(6, 2), num_classes=1, width=8)
    inputs, targets = torch.rand(64, 6, 2), torch.rand(64, 1)
    task, before = Regression(), None
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(30):
        loss = task.loss({"model": model}, (inputs, targets), "model")
        before = float(loss.detach()) if before is None else before
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < before / 2


def test_copying_looks_at_the_last_places_alone() -> None:
    targets = torch.tensor([[1, 0, 2], [2, 2, 1]])
    logits = torch.zeros(2, 7, 4)
    logits[:, :4, 3] = 100.0  # whatever is said before does not count
    logits[0, 4:] = 50 * torch.eye(4)[targets[0]]  # all right, and sure of it
    logits[1, 4, 2] = 50.0  # right
    logits[1, 5, 0] = 0.1  # wrong; the last place: undecided, so the first one, wrong
    task, modules = Copying(), {"model": Says((logits, torch.zeros(1)))}
    data = (torch.zeros(2, 7, dtype=torch.int64), targets)
    scores = task.score(modules, data)
    assert float(scores["accuracy"]) == pytest.approx(1 + 1 / 3)
    wrong = [math.log(3 + math.exp(0.1)), math.log(4)]
    assert float(scores["loss"]) == pytest.approx(sum(wrong) / 3, rel=1e-6)
    assert float(task.loss(modules, data, "model")) == pytest.approx(sum(wrong) / 6, rel=1e-6)
    assert (task.metric, task.mode, task.size(data)) == ("val/loss", "min", 2)


def test_copying_smooths_in_training_alone() -> None:
    torch.manual_seed(0)
    modules = {"model": LSTM(input_shape=(7,), num_classes=4, width=5)}
    data = (torch.randint(4, (2, 7)), torch.randint(4, (2, 3)))
    smooth, plain = Copying(label_smoothing=0.3), Copying()
    assert smooth.loss(modules, data, "model") != plain.loss(modules, data, "model")
    assert torch.equal(smooth.score(modules, data)["loss"], plain.score(modules, data)["loss"])


def test_copying_refuses_a_model_with_one_output_a_sequence() -> None:
    data = (torch.zeros(2, 7, dtype=torch.int64), torch.zeros(2, 3, dtype=torch.int64))
    with pytest.raises(ValueError, match="are not one for each of the 3 places"):
        Copying().loss({"model": Says(torch.zeros(2, 4))}, data, "model")
