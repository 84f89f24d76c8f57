"""A state dict in a file: what is written is read, and a stranger's file runs nothing."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from optbench.errors import UserError
from optbench.training.weights_file import read_weights, write_weights

KINDS = [".pt", ".pth", ".safetensors"]


def some_state() -> dict[str, Tensor]:
    torch.manual_seed(0)
    tied = torch.randn(3, 2)
    return {
        "tied": tied,
        "again": tied,
        "turned": torch.randn(2, 3).t(),
        "half": torch.randn(2).to(torch.bfloat16),
        "count": torch.tensor(3),
        "image": torch.randn(1, 2, 3, 3).to(memory_format=torch.channels_last),
    }


@pytest.mark.parametrize("suffix", KINDS)
def test_what_is_written_is_read(suffix: str, tmp_path: Path) -> None:
    if suffix == ".safetensors":
        pytest.importorskip("safetensors")
    path, state = tmp_path / f"weights{suffix}", some_state()
    write_weights(path, state, {"step": "3"})
    found = read_weights(path)
    assert set(found) == set(state)
    for name, value in state.items():
        assert found[name].dtype == value.dtype and torch.equal(found[name], value)
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_a_state_dict_within_what_others_save(tmp_path: Path) -> None:
    state = some_state()
    torch.save({"epoch": 3, "state_dict": state}, tmp_path / "a.pt")
    assert set(read_weights(tmp_path / "a.pt")) == set(state)


class Trap:
    def __reduce__(self) -> Any:
        return (Path.touch, (Path("sprung"),))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.pt", b""),
        ("a.pt", pickle.dumps({"a": 1})),
        ("a.safetensors", b"\0" * 20),
        ("a.safetensors", b"\xff" * 8),
    ],
)
def test_what_is_no_file_of_its_format(name: str, content: bytes, tmp_path: Path) -> None:
    if name.endswith(".safetensors"):
        pytest.importorskip("safetensors")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=name):
        read_weights(tmp_path / name)


@pytest.mark.parametrize(
    "saved", [{"a": Trap()}, {"a": 3}, {}, [torch.zeros(1)], {3: torch.ones(1)}]
)
def test_what_is_no_state_dict(saved: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(saved, tmp_path / "a.pt")
    with pytest.raises(UserError, match=r"a\.pt: "):
        read_weights(tmp_path / "a.pt")
    assert not Path("sprung").exists()


def test_a_link_is_followed_and_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    write_weights(tmp_path / "a.pt", some_state(), {})
    (tmp_path / "b.pt").symlink_to("a.pt")
    assert set(read_weights(tmp_path / "b.pt")) == set(some_state())
    os.mkfifo(tmp_path / "c.pt")
    with pytest.raises(UserError, match="a pipe"):
        read_weights(tmp_path / "c.pt")
