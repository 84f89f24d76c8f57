"""optbench.models.gpt"""

import math
from unittest.mock import Mock

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, gelu, layer_norm, linear

from optbench.models import checkpointing
from optbench.models.checkpointing import enable_activation_checkpointing
from optbench.models.gpt import GPT

SMALL = {"layers": 2, "heads": 2, "width": 16}


def small(**changes: object) -> GPT:
    torch.manual_seed(0)
    return GPT(**{"input_shape": (12,), "num_classes": 7, **SMALL, **changes})


def tokens(batch: int = 3, length: int = 12) -> Tensor:
    return torch.randint(7, (batch, length), generator=torch.Generator().manual_seed(1))


def slow_attention(block: nn.Module, x: Tensor) -> Tensor:
    """Attention written out, one head and one query at a time."""
    query, key, value = linear(x, block.query_key_value.weight).chunk(3, dim=-1)
    size = x.shape[-1] // block.heads
    result = torch.zeros_like(x)
    for head in range(block.heads):
        part = slice(head * size, (head + 1) * size)
        for place in range(x.shape[1]):
            scores = key[:, : place + 1, part] @ query[:, place, part, None] / math.sqrt(size)
            seen = value[:, : place + 1, part]
            result[:, place, part] = (scores.softmax(dim=1) * seen).sum(dim=1)
    return linear(result, block.projection.weight)


def test_is_the_transformer_written_out() -> None:
    model, inputs = small(), tokens()
    with torch.no_grad():
        x = model.tokens.weight[inputs] + model.positions.weight
        for block in model.blocks:
            x = x + slow_attention(block.attention, layer_norm(x, (16,), block.norm1.weight))
            inner = gelu(linear(layer_norm(x, (16,), block.norm2.weight), block.expand.weight))
            x = x + linear(inner, block.projection.weight)
        expected = layer_norm(x, (16,), model.norm.weight) @ model.tokens.weight.T
        torch.testing.assert_close(model(inputs), expected)


def test_no_place_sees_a_later_one_and_sequences_may_be_shorter() -> None:
    model, inputs = small(bias=True).eval(), tokens()
    changed = inputs.clone()
    changed[:, 6:] = (changed[:, 6:] + 1) % 7
    with torch.no_grad():
        one, other = model(inputs), model(changed)
        assert torch.equal(one[:, :6], other[:, :6])
        assert not torch.equal(one[:, 6:], other[:, 6:])
        torch.testing.assert_close(model(inputs[:, :5]), one[:, :5])


def test_has_nanogpts_size_and_first_loss() -> None:
    # 804,096; nanoGPT says 0.80M, for it leaves out the positions
    torch.manual_seed(0)
    model = GPT(input_shape=(64,), num_classes=65)
    assert (
        sum(p.numel() for p in model.parameters())
        == 65 * 128 + 64 * 128 + 4 * (2 * 128 + 12 * 128**2) + 128
    )
    inputs = torch.randint(65, (4, 64), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        loss = cross_entropy(model(inputs).flatten(0, 1), inputs.roll(1).flatten())
    assert float(loss) == pytest.approx(math.log(65), abs=0.1)


def test_weights_start_as_in_nanogpt() -> None:
    torch.manual_seed(0)
    model = GPT(input_shape=(256,), num_classes=65, layers=8, bias=True)
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            assert not parameter.any()
        elif "norm" in name:
            assert (parameter == 1).all()
        else:
            std = 0.02 / 4 if "projection" in name else 0.02
            assert float(parameter.detach().std()) == pytest.approx(std, rel=0.05), name


def test_weights_are_tied_or_not() -> None:
    tied, free = small(), small(tie=False)
    assert tied.head.weight is tied.tokens.weight
    assert "head.weight" not in dict(tied.named_parameters())
    assert "head.weight" in dict(free.named_parameters())
    fresh = small()
    fresh.load_state_dict(free.state_dict() | tied.state_dict())
    assert fresh.head.weight is fresh.tokens.weight


@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_recomputing_blocks_changes_no_gradient(dropout: float, monkeypatch) -> None:
    spy = Mock(side_effect=checkpointing.checkpoint)
    monkeypatch.setattr(checkpointing, "checkpoint", spy)
    found = []
    for recompute in (False, True):
        model = small(dropout=dropout)
        if recompute:
            enable_activation_checkpointing(model)
        torch.manual_seed(2)
        model(tokens()).square().sum().backward()
        found.append([p.grad for p in model.parameters()])
    assert spy.call_count == 2
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_dropout_acts_in_training_alone() -> None:
    model = small(dropout=0.5)
    with torch.no_grad():
        assert not torch.equal(model(tokens()), model(tokens()))
        model.eval()
        assert torch.equal(model(tokens()), model(tokens()))


def test_bf16_stays_near_fp32() -> None:
    model = small()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        narrow = model(tokens())
    assert narrow.dtype == torch.bfloat16
    torch.testing.assert_close(narrow.float(), model(tokens()).detach(), atol=0.02, rtol=0.05)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"input_shape": (3, 8, 8)}, r"GPT: takes sequences of tokens.*\(3, 8, 8\)"),
        ({"heads": 3}, "GPT: heads=3 does not divide width=16"),
        ({"layers": 0}, "GPT: layers=0"),
        ({"width": 0}, "GPT: width=0"),
        ({"dropout": 1.0}, "GPT: dropout=1.0"),
    ],
)
def test_settings_without_sense_are_named(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small(**changes)
