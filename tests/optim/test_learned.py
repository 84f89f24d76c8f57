"""The learned optimizer: its rules against plain ones, its state, files that it refuses."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from optbench.optim.exact_state import exact_state, load_exactly
from optbench.optim.learned import learned
from optbench.optim.learned.base import CHUNK, Sizes
from optbench.optim.learned.learned import Learned
from optbench.optim.learned.weights import ARCHITECTURES, DEFAULT, load_rule, save_rule

LSTM, MLP = ARCHITECTURES["lstm"], ARCHITECTURES["mlp"]


def drawn(name: str, seed: int = 0) -> dict[str, Tensor]:
    """Weights with a last layer that is not small."""
    weights = ARCHITECTURES[name].draw(seed)
    weights["out.weight"] = weights["out.weight"] * 10
    return weights


def written(folder: Path, name: str, seed: int = 0) -> str:
    path = folder / f"{name}-{seed}.safetensors"
    path.write_bytes(save_rule(drawn(name, seed), name, {}))
    return str(path)


def test_the_lstm_is_torchs_over_the_papers_inputs() -> None:
    weights = {name: each.double() for name, each in drawn("lstm").items()}
    lstm, out = nn.LSTM(2, 20, 2).double(), nn.Linear(20, 1).double()
    lstm.load_state_dict({n[5:]: w for n, w in weights.items() if n.startswith("lstm.")})
    out.load_state_dict({n[4:]: w for n, w in weights.items() if n.startswith("out.")})
    generator = torch.Generator().manual_seed(1)
    gradients = torch.randn(6, 9, generator=generator, dtype=torch.float64)
    gradients *= 10.0 ** -torch.arange(9)  # on both sides of exp(-10)
    inputs = [
        [[math.log(abs(g)) / 10, math.copysign(1, g)] if abs(g) >= math.exp(-10)
         else [-1, math.exp(10) * g] for g in row]
        for row in gradients.tolist()
    ]  # fmt: skip
    expected = 0.1 * out(lstm(torch.tensor(inputs, dtype=torch.float64))[0]).squeeze(2)
    memory = torch.zeros(9, 80, dtype=torch.float64)
    for step, (gradient, after) in enumerate(zip(gradients, expected, strict=True), 1):
        added, memory = LSTM.update(weights, torch.zeros(9), gradient, memory, [Sizes(9, 1)], step)
        assert torch.allclose(added, after, rtol=1e-12, atol=1e-14)
    assert expected.abs().max() > 1e-3


def test_a_gradient_of_nothing_is_given_as_nothing() -> None:
    added, _ = LSTM.update(
        drawn("lstm"), torch.zeros(2), torch.zeros(2), torch.zeros(2, 80), [Sizes(2, 1)], 1
    )
    assert added.isfinite().all()


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_chunks_are_only_about_memory(name: str) -> None:
    rule, count = ARCHITECTURES[name], CHUNK + 10
    generator = torch.Generator().manual_seed(0)
    point, gradient = torch.randn(2, count, generator=generator, dtype=torch.float64)
    weights = {n: w.double() for n, w in drawn(name).items()}
    memory = torch.zeros(count, rule.memory, dtype=torch.float64)
    whole, _ = rule.update(weights, point, gradient, memory, [Sizes(count, 1)], 1)
    if name == "lstm":
        last = slice(CHUNK, count)
        part, _ = rule.update(weights, point[last], gradient[last], memory[last], [Sizes(10, 1)], 1)
        assert torch.allclose(whole[last], part, rtol=1e-12)
    assert whole.shape == (count,) and whole.std() > 0


def test_the_mlp_begins_nearly_as_adam() -> None:
    """Its drawn part is small beside the average that it carries."""
    generator = torch.Generator().manual_seed(0)
    point, gradient = torch.randn(2, 500, generator=generator)
    added, _ = MLP.update(MLP.draw(0), point, gradient, torch.zeros(500, 4), [Sizes(500, 1)], 1)
    adam = -0.01 * math.exp(-1) * gradient.sign()  # its first step
    assert torch.cosine_similarity(added, adam, dim=0) > 0.8


class Two(nn.Module):
    """A matrix and a vector."""

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.matrix = nn.Parameter(torch.randn(4, 3, generator=generator).to(dtype))
        self.vector = nn.Parameter(torch.randn(5, generator=generator).to(dtype))

    def give_gradients(self, turn: int) -> None:
        generator = torch.Generator().manual_seed(turn)
        for each in self.parameters():
            each.grad = torch.randn(each.shape, generator=generator).to(each.dtype)


def stepped(optimizer: torch.optim.Optimizer, module: Two, turns: range) -> Tensor:
    for turn in turns:
        module.give_gradients(turn)
        optimizer.step()
    return nn.utils.parameters_to_vector(module.parameters()).detach().clone()


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_tensors_together_are_as_each_alone(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, modules = written(tmp_path, name), [Two(torch.float64) for _ in range(2)]
    together = stepped(Learned(modules[0].parameters(), weights=path), modules[0], range(5))
    monkeypatch.setattr(learned, "BATCH", 1)
    alone = stepped(Learned(modules[1].parameters(), weights=path), modules[1], range(5))
    assert torch.allclose(together, alone, rtol=1e-12)
    assert torch.dist(together, stepped(torch.optim.SGD(Two().parameters()), Two(), range(0))) > 0


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_it_goes_on_to_the_same_bits(name: str, dtype: torch.dtype, tmp_path: Path) -> None:
    path, module = written(tmp_path, name), Two(dtype)
    optimizer = Learned(module.parameters(), weights=path)
    stepped(optimizer, module, range(4))
    memory = optimizer.state[module.vector]["memory"]
    assert memory.dtype == torch.float32 and memory.shape == (5, ARCHITECTURES[name].memory)
    other = Two(dtype)
    other.load_state_dict(module.state_dict())
    fresh = Learned(other.parameters(), weights=path)
    load_exactly(fresh, exact_state(optimizer))
    one, two = (stepped(o, m, range(4, 8)) for o, m in ((optimizer, module), (fresh, other)))
    assert torch.equal(one, two)


def test_lr_multiplies_the_update_and_nothing_is_no_step(tmp_path: Path) -> None:
    path, moved = written(tmp_path, "mlp"), []
    for lr in (0.0, 1.0, 0.5):
        module = Two(torch.float64)
        before = stepped(Learned(module.parameters()), module, range(0))
        optimizer = Learned(module.parameters(), lr=lr, weights=path)
        moved.append(stepped(optimizer, module, range(1)) - before)
    assert not moved[0].any() and moved[1].any()
    assert torch.allclose(moved[2], moved[1] / 2)


def test_another_rules_state_is_refused(tmp_path: Path) -> None:
    """A checkpoint goes on with the weights that it was made with, or not at all."""
    module = Two()
    optimizer = Learned(module.parameters(), weights=written(tmp_path, "mlp"))
    stepped(optimizer, module, range(1))
    other = Learned(module.parameters(), weights=written(tmp_path, "mlp", seed=1))
    with pytest.raises(ValueError, match="not the one that the run began with"):
        other.load_state_dict(optimizer.state_dict())


def test_the_file_is_one_that_safetensors_reads_and_writes(tmp_path: Path) -> None:
    library = pytest.importorskip("safetensors.torch")
    weights, path = drawn("lstm"), tmp_path / "own.safetensors"
    path.write_bytes(save_rule(weights, "lstm", {"recipe": "none"}))
    theirs = library.load_file(path)
    assert all(torch.equal(theirs[name], each) for name, each in weights.items())
    library.save_file(weights, path, metadata={"architecture": "lstm"})
    name, ours = load_rule(path)
    assert name == "lstm" and all(torch.equal(ours[n], each) for n, each in weights.items())


def test_the_weights_that_come_with_it_are_small() -> None:
    name, weights = load_rule(DEFAULT)
    assert DEFAULT.stat().st_size < 1 << 20
    assert {n: tuple(w.shape) for n, w in weights.items()} == ARCHITECTURES[name].shapes()


def changed(data: bytes, change: Callable[[dict[str, Any]], None]) -> bytes:
    """A file with another header."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    change(header)
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data[8 + length :]


def not_finite() -> bytes:
    weights = drawn("mlp")
    weights["in.bias"][3] = math.nan
    return save_rule(weights, "mlp", {})


GOOD = save_rule(drawn("mlp"), "mlp", {})
BAD: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "no safetensors file, or cut short"),
    "a pickle": (b"\x80\x02}q\x00." * 9, "no safetensors file"),
    "cut in the header": (GOOD[:40], "no safetensors file, or cut short"),
    "cut in the numbers": (GOOD[:-4], "cut short, within out.weight"),
    "no header": (b"\x04" + b"\0" * 7 + b"{{{{", "no safetensors file"),
    "too large": (bytes(1 << 21), "more than 1 MiB"),
    "not finite": (not_finite(), "in.bias has numbers that are not finite"),
    "a model's": (changed(GOOD, lambda h: h.pop("__metadata__")), "no learned optimizer"),
    "another architecture": (
        changed(GOOD, lambda h: h["__metadata__"].update(architecture="gru")),
        "no learned optimizer; its metadata names no lstm or mlp",
    ),
    "as another": (
        changed(GOOD, lambda h: h["__metadata__"].update(architecture="lstm")),
        "not the weights of a lstm: it lacks lstm.bias_hh_l0",
    ),
    "one less": (changed(GOOD, lambda h: h.pop("in.bias")), "it lacks in.bias"),
    "one more": (changed(GOOD, lambda h: h.update(more=h["in.bias"])), "it has more"),
    "another shape": (
        changed(GOOD, lambda h: h["in.bias"].update(shape=[4, 8])),
        r"in.bias has the shape \[4, 8\]; expected \[32\]",
    ),
    "another type": (changed(GOOD, lambda h: h["in.bias"].update(dtype="F64")), "is F64"),
    "elsewhere": (
        changed(GOOD, lambda h: h["in.bias"].update(data_offsets=[-8, 120])),
        "not where safetensors has it",
    ),
    "beyond": (
        changed(GOOD, lambda h: h["in.bias"].update(data_offsets=[10**9, 10**9 + 128])),
        "cut short",
    ),
}


@pytest.mark.parametrize(("data", "said"), BAD.values(), ids=BAD)
def test_a_file_that_holds_no_rule_is_refused(data: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.safetensors"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=f"weights=.*bad.safetensors: .*{said}"):
        Learned(Two().parameters(), weights=str(path))


def test_a_folder_is_refused_with_the_file_in_it(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"weights=.*: a folder, without a \.safetensors file"):
        Learned(Two().parameters(), weights=str(tmp_path))
    (tmp_path / "learned.safetensors").write_bytes(GOOD)
    with pytest.raises(ValueError, match=r"weights=.*: a folder; in it is learned\.safetensors"):
        Learned(Two().parameters(), weights=str(tmp_path))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"lr": -1.0}, "lr=-1.0: expected at least 0"),
        ({"weights": "gone.safetensors"}, "weights=gone.safetensors: no such file"),
        ({"weights": "~nouserx/a.safetensors"}, "weights=~nouserx/a.safetensors: "),
        ({"weights": "a" * 300}, "File name too long"),
    ],
)
def test_arguments_out_of_range_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Learned(Two().parameters(), **settings)


def test_groups_share_the_weights() -> None:
    with pytest.raises(ValueError, match="weights: the same for all groups"):
        Learned([{"params": Two().parameters(), "weights": "default"}])
    with pytest.raises(ValueError, match="complex"):
        Learned([nn.Parameter(torch.zeros(2, dtype=torch.complex64))])
