"""Operations are counted as by hand, and nothing of a run changes for it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from optbench.monitor import peak_flops as peaks
from optbench.monitor.flops import counter
from optbench.rundir import RunDir
from tests.cli.program import SMALL, assert_same_bits, call, final_state, records, train

CPU = torch.device("cpu")


def counted(module: nn.Module, *inputs: torch.Tensor) -> tuple[int, int]:
    """Operations forward, and backward with gradients of what went in."""
    given = [each.requires_grad_() for each in inputs]
    with counter() as forward:
        out = module(*given)
    out = out[0] if isinstance(out, tuple) else out
    with counter() as backward:
        out.sum().backward()
    return forward.get_total_flops(), backward.get_total_flops()


def test_products_and_convolutions() -> None:
    assert counted(nn.Linear(30, 7), torch.randn(5, 30)) == (2 * 5 * 30 * 7, 4 * 5 * 30 * 7)
    whole = 2 * 2 * 6 * 6 * 4 * 3 * 9
    assert counted(nn.Conv2d(3, 4, 3), torch.randn(2, 3, 8, 8)) == (whole, 2 * whole)


@pytest.mark.parametrize(("kind", "gates"), [(nn.LSTM, 4), (nn.GRU, 3), (nn.RNN, 1)])
def test_recurrent_layers(kind: type[nn.LSTM | nn.GRU | nn.RNN], gates: int) -> None:
    """A product with each of the weights at each place of two layers, twice that backward.

    Written out (all but LSTM), the first state's gradient is not asked for.
    """
    whole = 2 * 5 * 7 * gates * (8 * 16 + 16 * 16 + 2 * 16 * 16)
    forward, backward = counted(kind(8, 16, num_layers=2, batch_first=True), torch.randn(5, 7, 8))
    assert forward == whole
    assert backward == 2 * whole - (kind is not nn.LSTM) * 2 * 2 * 5 * gates * 16 * 16


def test_attention_in_one_kernel_is_that_of_its_products() -> None:
    query, key, value = (torch.randn(2, 3, n, d) for n, d in ((5, 8), (6, 8), (6, 8)))

    class One(nn.Module):
        def forward(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
            return F.scaled_dot_product_attention(q, k, v)

    class Plain(nn.Module):
        def forward(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
            return (q @ k.mT).softmax(-1) @ v

    one, plain = counted(One(), query, key, value), counted(Plain(), query, key, value)
    assert one[0] == plain[0] == 2 * 6 * 5 * 6 * 16
    assert one[1] == plain[1] + 2 * 6 * 5 * 6 * 8, "the scores are computed once more"


def test_a_run_tells_its_share_of_the_peak(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("optbench.training.efficiency.peak_flops", lambda *a: (1e9, "said"))
    line = "steps=40 monitor.every=10 accumulate=2 ema=0.9"
    run = train(f"{line} monitor.flops=true", tmp_path / "run")
    told = run.read_summary()
    each = 2 * (2 * 64 * 8) + 3 * (2 * 8 * 10)  # what goes into the first layer wants none
    assert told["flops_per_example"] == each
    assert told["mfu"] == pytest.approx(each * told["examples_per_second"] / 1e9)
    assert (told["peak_flops"], told["peak_of"]) == (1e9, "said")
    numbers = 64 * 8 + 8 + 8 * 10 + 10
    sizes = told["memory_bytes"]
    assert sizes["parameters"] == sizes["gradients"] == sizes["average"] == 4 * numbers
    assert 8 * numbers <= sizes["optimizer"] < 8 * numbers + 100 and sizes["buffers"] == 0
    for record in records(run, "train"):
        speed = record["throughput/examples_per_second"]
        assert record["throughput/mfu"] == pytest.approx(each * speed / 1e9)
        assert record["memory/parameters_mib"] == pytest.approx(4 * numbers / 2**20)
    assert_same_bits(final_state(run), final_state(train(line, tmp_path / "plain")))
    assert "mfu" not in RunDir(tmp_path / "plain").read_summary()


def test_players_count_by_their_turns(tmp_path: Path) -> None:
    line = "model=dcgan model.width=4 dataset=digits batch_size=8 monitor.flops=true"
    each = [
        train_line(f"{line} steps=6 player.discriminator.update_every={n}", tmp_path / str(n))
        for n in (1, 3)
    ]
    assert 0 < each[1] < each[0]


def train_line(line: str, folder: Path) -> float:
    answer = call(f"train threads=1 device=cpu {line} hydra.run.dir={folder}")
    assert answer.code == 0, answer.err
    cost = RunDir(folder).read_summary()["flops_per_example"]
    assert isinstance(cost, float)
    return cost


def test_who_evaluates_as_often_as_it_likes_is_not_counted(tmp_path: Path) -> None:
    told = train("optimizer=lbfgs steps=2 monitor.flops=true", tmp_path / "run").read_summary()
    assert "mfu" not in told and told["memory_bytes"]["optimizer"] > 0


def test_kernels_that_nobody_counts() -> None:
    answer = call(f"train {SMALL} monitor.flops=true compile=true")
    assert answer.code == 2 and "not with compile=true" in answer.err


def test_a_peak_is_measured_once_and_that_of_a_data_sheet_is_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rate, source = peaks.peak_flops(CPU)
    assert rate > 1e8 and "1024 x 1024" in source
    assert peaks.peak_flops(CPU) == (rate, source)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA H100 80GB HBM3")
    gpu = torch.device("cuda")
    assert peaks.peak_flops(gpu, torch.bfloat16) == (
        pytest.approx(989.4e12),
        "NVIDIA H100 80GB HBM3, data sheet",
    )
    assert peaks.peak_flops(gpu)[0] == pytest.approx(67e12)
