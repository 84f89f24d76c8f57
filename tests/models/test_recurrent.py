"""optbench.models.recurrent"""

import copy

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from optbench.models.recurrent import GRU, LSTM, RNN, Recurrent

KINDS = (RNN, GRU, LSTM)
each_kind = pytest.mark.parametrize("kind", KINDS)
EXAMPLES = {"tokens": ((9,), 5), "numbers": ((9, 2), 1)}


def small(kind: type[Recurrent], example: str = "tokens", **changes: object) -> Recurrent:
    torch.manual_seed(0)
    shape, classes = EXAMPLES[example]
    settings = {"input_shape": shape, "num_classes": classes, "width": 6, **changes}
    return kind(**settings)  # type: ignore[call-arg]


def inputs_of(example: str, batch: int = 4) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    shape, classes = EXAMPLES[example]
    if example == "tokens":
        return torch.randint(classes, (batch, *shape), generator=generator)
    return torch.rand(batch, *shape, generator=generator)


def parts(state: Tensor | tuple[Tensor, Tensor]) -> list[Tensor]:
    return [state] if isinstance(state, Tensor) else list(state)


@each_kind
@pytest.mark.parametrize("example", EXAMPLES)
@pytest.mark.parametrize("layers", [1, 2])
def test_trains_every_parameter(kind: type[Recurrent], example: str, layers: int) -> None:
    model = small(kind, example, layers=layers)
    outputs, _ = model(inputs_of(example))
    assert outputs.shape == (4, 9, EXAMPLES[example][1])
    outputs.square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in model.parameters())


@each_kind
@pytest.mark.parametrize("example", EXAMPLES)
def test_a_sequence_in_two_parts_is_the_whole(kind: type[Recurrent], example: str) -> None:
    model, inputs = small(kind, example, layers=2), inputs_of(example)
    with torch.no_grad():
        whole, last = model(inputs)
        first, state = model(inputs[:, :4])
        second, end = model(inputs[:, 4:], state)
    torch.testing.assert_close(torch.cat([first, second], dim=1), whole)
    torch.testing.assert_close(parts(end), parts(last))


def test_the_plain_one_is_elmans() -> None:
    model, inputs = small(RNN, "numbers", nonlinearity="relu"), inputs_of("numbers")
    core = dict(model.core.named_parameters())
    hidden = torch.zeros(4, 6)
    with torch.no_grad():
        for place in range(9):
            drive = inputs[:, place] @ core["weight_ih_l0"].T + core["bias_ih_l0"]
            hidden = torch.relu(drive + hidden @ core["weight_hh_l0"].T + core["bias_hh_l0"])
        torch.testing.assert_close(model(inputs)[0][:, -1], model.head(hidden))


@each_kind
def test_recurrent_weights_start_as_told(kind: type[Recurrent]) -> None:
    def gates(**changes: object) -> tuple[Tensor, ...]:
        model = small(kind, layers=2, **changes)
        return model.core.weight_hh_l0.split(6) + model.core.weight_hh_l1.split(6)

    one = torch.eye(6)
    for gate in gates(recurrent_init="orthogonal"):
        torch.testing.assert_close(gate @ gate.T, one)
        assert not torch.equal(gate, one)
    assert all(torch.equal(gate, one) for gate in gates(recurrent_init="identity"))
    assert all(gate.abs().max() <= 6**-0.5 for gate in gates())
    drawn = gates(recurrent_init="orthogonal")
    assert not torch.equal(drawn[0], drawn[-1])


def test_forget_gates_start_open() -> None:
    def biases(forget_bias: float | None) -> list[Tensor]:
        core = dict(small(LSTM, layers=2, forget_bias=forget_bias).core.named_parameters())
        return [core[f"bias_ih_l{i}"] + core[f"bias_hh_l{i}"] for i in range(2)]

    for opened, drawn in zip(biases(2.5), biases(None), strict=True):
        assert opened[6:12].tolist() == [2.5] * 6
        assert torch.equal(opened[:6], drawn[:6])
        assert torch.equal(opened[12:], drawn[12:])
        assert (drawn[6:12] != 2.5).all()


@each_kind
def test_dropout_acts_in_training_alone(kind: type[Recurrent], recwarn) -> None:
    inputs = inputs_of("tokens")
    for layers in (1, 2):
        model = small(kind, dropout=0.5, layers=layers)
        with torch.no_grad():
            assert not torch.equal(model(inputs)[0], model(inputs)[0])
            model.eval()
            assert torch.equal(model(inputs)[0], model(inputs)[0])
    assert not recwarn.list


@each_kind
def test_bf16_trains(kind: type[Recurrent]) -> None:
    inputs = inputs_of("tokens")
    plain, narrow = small(kind, layers=2), small(kind, layers=2)
    for model, on in ((plain, False), (narrow, True)):
        with torch.autocast("cpu", torch.bfloat16, enabled=on):
            outputs, _ = model(inputs)
            cross_entropy(outputs.flatten(0, 1), inputs.flatten()).backward()
    for one, other in zip(plain.parameters(), narrow.parameters(), strict=True):
        torch.testing.assert_close(other.grad, one.grad, atol=0.02, rtol=0.1)


@each_kind
def test_copies_are_independent(kind: type[Recurrent]) -> None:
    model = small(kind)
    twin = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    assert twin(inputs_of("tokens"))[0].abs().sum() > 0


def test_embedding_has_its_own_length() -> None:
    assert small(GRU).embedding.weight.shape == (5, 6)
    assert small(GRU, embedding=3).embedding.weight.shape == (5, 3)
    assert small(GRU, "numbers").embedding is None


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        (RNN, {"input_shape": (1, 8, 8)}, r"RNN: takes sequences .*\(1, 8, 8\)"),
        (RNN, {"nonlinearity": "tanhh"}, "nonlinearity='tanhh' is not known; did you mean tanh"),
        (GRU, {"recurrent_init": "ortogonal"}, "did you mean orthogonal"),
        (LSTM, {"width": 0}, "LSTM: width=0"),
        (LSTM, {"layers": 0}, "LSTM: layers=0"),
        (LSTM, {"dropout": -0.1}, "LSTM: dropout=-0.1"),
        (GRU, {"embedding": 0}, "GRU: embedding=0"),
        (GRU, {"input_shape": (9, 2), "embedding": 4}, "embedding=4, but .* not tokens"),
    ],
)
def test_settings_without_sense_are_named(
    kind: type[Recurrent], changes: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        small(kind, **changes)
