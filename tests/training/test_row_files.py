"""Checkpoints in rows, a file a rank: read by every verb of one process, and by nobody's pickle."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import re
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Shard

import optbench
from optbench.cli.main import main
from optbench.files import BadFile
from optbench.training import checkpoint
from optbench.training.checkpoint import SHARED, rank_file, rows_file
from optbench.training.row_files import packed, share, taken_out
from optbench.training.serialise import CheckpointBuffer

from .runs import assert_same_bits, cut_back, newest, resume, shared_of, train

RUN = [
    *("model.hidden=[12,6]", "dataset=digits", "steps=20", "checkpoint.every=10", "seed=3"),
    *("optimizer=adamw", "ema=0.9", "monitor.every=5", "batch_size=200"),
]
RANKS = 4


def seal(at: Path, ranks: int) -> None:
    """Writes a manifest that fits whatever the files are."""
    path = at / checkpoint.MANIFEST
    manifest = json.loads(path.read_text(encoding="utf-8")) | {"world_size": ranks}
    files = {each.name: each.read_bytes() for each in sorted(at.glob("*.pt"))}
    manifest["files"] = {
        name: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for name, data in files.items()
    }
    manifest["sha256"] = checkpoint.checksum(manifest)
    path.write_text(json.dumps(manifest), encoding="utf-8")


def cut_in_rows(at: Path, ranks: int = RANKS) -> None:
    """Makes of a whole checkpoint one as so many ranks of fsdp2 write it."""
    state = torch.load(at / SHARED, weights_only=True)
    rows: list[dict[str, Tensor]] = [{} for _ in range(ranks)]

    def cut(value: Any, name: str) -> Any:
        if isinstance(value, Tensor) and value.ndim:
            for rank in range(ranks):
                first, count = share(len(value), ranks, rank)
                if count:
                    rows[rank][name] = value[first : first + count].clone()
            return torch.empty(value.shape, dtype=value.dtype, device="meta")
        if isinstance(value, dict):
            return type(value)((key, cut(each, f"{name}.{key}")) for key, each in value.items())
        if isinstance(value, list):
            return [cut(each, f"{name}.{n}") for n, each in enumerate(value)]
        return value

    torch.save({**state, "players": cut(state["players"], "players")}, at / SHARED)
    for rank in range(ranks):
        torch.save(rows[rank], at / rows_file(rank))
        if rank:
            shutil.copyfile(at / rank_file(0), at / rank_file(rank))
    seal(at, ranks)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`whole`, a run of one process, and `rows`, the same with its checkpoints in rows."""
    place = tmp_path_factory.mktemp("runs")
    assert train(place / "whole", *RUN) == 0
    shutil.copytree(place / "whole", place / "rows")
    for at in sorted((place / "rows/checkpoints").iterdir()):
        cut_in_rows(at)
    return place


@pytest.fixture
def run(runs: Path, tmp_path: Path) -> Path:
    """A copy of `rows`."""
    return Path(shutil.copytree(runs / "rows", tmp_path / "run"))


def said(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    """What a verb writes of a run, but for its name."""
    capsys.readouterr()
    assert main([*words]) == 0
    return [line for line in capsys.readouterr().out.splitlines() if not line.startswith("run ")]


def test_no_tensor_of_a_parameter_is_in_the_shared_file(runs: Path) -> None:
    """So that what the other tests read can have come out of the rows alone."""
    state = torch.load(newest(runs / "rows") / SHARED, weights_only=True)
    module = state["players"]["model"]["module"]
    assert len(module) == 6 and all(each.is_meta for each in module.values())
    assert_same_bits(shared_of(runs / "rows"), shared_of(runs / "whole"))


def test_scores_are_those_of_the_whole(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for at in ("best", "last", "10"):
        one, other = (
            said(capsys, "evaluate", str(runs / name), "--at", at) for name in ("whole", "rows")
        )
        assert len(one) > 4 and one == other


def test_weights_are_exported_whole(runs: Path, tmp_path: Path) -> None:
    for name in ("whole", "rows"):
        assert main(["export", str(runs / name), "-o", str(tmp_path / f"{name}.pt")]) == 0
    one, other = (torch.load(tmp_path / f"{name}.pt") for name in ("whole", "rows"))
    assert len(one) == 6
    assert_same_bits(one, other)


def test_python_has_the_model(runs: Path) -> None:
    def model(name: str) -> nn.Module:
        return optbench.open_run(runs / name).model(at="last")

    assert_same_bits(model("rows").state_dict(), model("whole").state_dict())


def test_other_runs_start_from_it(runs: Path, tmp_path: Path) -> None:
    for name in ("whole", "rows"):
        begun = ["steps=3", f"weights={runs / name}", "checkpoint.every=3"]
        assert train(tmp_path / name, *RUN[:2], *RUN[4:], *begun) == 0
    assert_same_bits(
        shared_of(tmp_path / "rows")["players"], shared_of(tmp_path / "whole")["players"]
    )


def test_a_branch_goes_on_as_the_whole_does(runs: Path, tmp_path: Path) -> None:
    for name in ("whole", "rows"):
        branch = ["--at", "10", "--to", str(tmp_path / name)]
        assert main(["resume", str(runs / name), *branch]) == 0
        files = {each.name for each in (tmp_path / name / "checkpoints/step-00000010").iterdir()}
        assert len(files) == (3 if name == "whole" else 2 + 2 * RANKS)
    assert newest(tmp_path / "rows").name == "step-00000020"
    for name in ("whole", "rows"):  # one process has all of it, and saves it whole
        assert rows_file(0) not in {each.name for each in newest(tmp_path / name).iterdir()}
    assert_same_bits(
        shared_of(tmp_path / "rows")["players"], shared_of(tmp_path / "whole")["players"]
    )


def test_a_probe_measures_the_same(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["instruments=[hessian]", "hessian.top=1", "--at", "last", "--json"]
    found = []
    for name in ("whole", "rows"):
        out = json.loads("\n".join(said(capsys, "probe", str(runs / name), *words)))
        found.append(out["instruments"]["hessian"]["points"])
    assert found[0] == found[1] and found[0][0]["values"]


def test_the_doctor_finds_what_is_missing(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "nothing looks wrong" in said(capsys, "doctor", str(run))[0]
    (newest(run) / rows_file(2)).unlink()
    assert main(["doctor", str(run)]) != 2
    assert f"{rows_file(2)} is missing" in capsys.readouterr().out


DAMAGES: dict[str, Callable[[Path], None]] = {
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "one bit": lambda path: path.write_bytes(path.read_bytes()[:-1] + b"\x01"),
    "gone": lambda path: path.unlink(),
}


@pytest.mark.parametrize("how", DAMAGES)
def test_what_is_damaged_is_put_aside(
    how: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    DAMAGES[how](newest(run) / rows_file(1))
    assert checkpoint.damage(newest(run)) is not None
    cut_back(run, 20)
    assert resume(run) == 0
    told = capsys.readouterr()
    assert rows_file(1) in told.out + told.err
    names = {each.name for each in (run / "checkpoints").iterdir()}
    assert names == {"step-00000010", "step-00000020.damaged", "step-00000020"}


@given(st.integers(0, 40), st.integers(1, 9))
def test_ranks_have_what_torch_gives_them(rows: int, ranks: int) -> None:
    """`fully_shard` cuts a parameter as `torch.chunk` does; ranks at the end may have nothing."""
    whole = torch.arange(rows)
    cut = [
        whole[first : first + count]
        for first, count in (share(rows, ranks, r) for r in range(ranks))
    ]
    chunks = [each for each in whole.chunk(ranks)]
    for ours, theirs in zip(cut, [*chunks, *[whole[:0]] * (ranks - len(chunks))], strict=True):
        assert torch.equal(ours, theirs)


def test_rows_are_saved_only_where_they_are_looked_for() -> None:
    """Should torch cut them in another way one day, a save fails, not a resume."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        mesh = init_device_mesh("cpu", (1,))
        whole = torch.arange(6.0).reshape(3, 2)
        _, rows = taken_out({"w": DTensor.from_local(whole, mesh, [Shard(0)])})
        saved = io.BytesIO(packed(rows, 1, CheckpointBuffer()))
        assert torch.equal(torch.load(saved, weights_only=True)["w"], whole)
        with pytest.raises(RuntimeError, match="fully_shard cuts w in another way"):
            packed(rows, 2, CheckpointBuffer())
    finally:
        dist.destroy_process_group()


class Runs:
    """A pickle that runs something when it is read by those who read any."""

    def __init__(self, sign: Path) -> None:
        self.sign = sign

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.sign,)


def load(path: Path) -> Any:
    return torch.load(path, weights_only=True)


def change(path: Path, **values: Any) -> None:
    """Exchanges some of a file's tensors, by the end of their names."""
    rows = load(path)
    for end, value in values.items():
        (name,) = [each for each in rows if each.endswith(end.replace("_", "."))]
        rows[name] = value
    torch.save(rows, path)


def claim(at: Path, shape: tuple[int, ...]) -> None:
    """Says another shape of a tensor than the rows have."""
    state = load(at / SHARED)
    module = state["players"]["model"]["module"]
    module[next(iter(module))] = torch.empty(shape, device="meta")
    torch.save(state, at / SHARED)


BIAS = "module_blocks_0_0_bias"
CRAFTED: dict[str, tuple[Callable[[Path, Path], object], str]] = {
    "a program": (
        lambda at, sign: change(at / rows_file(0), **{BIAS: Runs(sign)}),
        r"rows-0\.pt: it holds more than tensors, which would run its code",
    ),
    "a plain pickle": (
        lambda at, sign: (at / rows_file(1)).write_bytes(pickle.dumps(Runs(sign)) + b"." * 9999),
        "not a checkpoint of torch's",
    ),
    "a program in the shared file": (
        lambda at, sign: torch.save(load(at / SHARED) | {"x": Runs(sign)}, at / SHARED),
        r"state\.pt: it holds more than tensors, which would run its code",
    ),
    "another shape": (
        lambda at, _: change(at / rows_file(0), **{BIAS: torch.zeros(3, 2)}),
        r"is not torch\.float32 of",
    ),
    "fewer rows": (
        lambda at, _: change(at / rows_file(0), **{BIAS: torch.zeros(2)}),
        r"is not torch\.float32 of",
    ),
    "another type": (
        lambda at, _: change(at / rows_file(0), **{BIAS: torch.zeros(3, dtype=torch.float64)}),
        r"is not torch\.float32 of",
    ),
    "no tensor": (
        lambda at, _: change(at / rows_file(0), **{BIAS: [0.0, 0.0, 0.0]}),
        r"is not torch\.float32 of",
    ),
    "no content": (
        lambda at, _: change(at / rows_file(0), **{BIAS: torch.zeros(3, device="meta")}),
        r"is not torch\.float32 of",
    ),
    "few numbers": (
        lambda at, _: change(at / rows_file(0), **{BIAS: torch.zeros(3).to_sparse()}),
        r"can't be read|is not torch\.float32 of",  # torch warns of it
    ),
    "a list": (lambda at, _: torch.save([1] * 9999, at / rows_file(2)), "rows of other tensors"),
    "nothing": (
        lambda at, _: torch.save({"x": torch.zeros(9999)}, at / rows_file(2)),
        "rows of other tensors",
    ),
    "another rank's": (
        lambda at, _: shutil.copyfile(at / rows_file(0), at / rows_file(3)),
        "rows-3.pt: (it has rows of other tensors|.* is not torch.float32 of)",
    ),
    "a larger whole": (lambda at, _: claim(at, (400, 64)), "bytes can't be .* bytes of rows"),
    "a whole without end": (lambda at, _: claim(at, (1 << 40, 64)), "bytes can't be"),
    "a smaller whole": (lambda at, _: claim(at, (4, 64)), r"is not torch\.float32 of \(1, 64\)"),
    "one number": (lambda at, _: claim(at, ()), "can't have rows of players"),
    "no rows": (lambda at, _: claim(at, (0, 64)), "rows of other tensors"),
}


@pytest.mark.parametrize("what", CRAFTED)
def test_what_a_stranger_made_is_refused_in_a_line(
    what: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All checksums hold; nothing that is in a file is run, and nobody is told of a place in it."""
    sign, at = tmp_path / "it ran", newest(run)
    craft, why = CRAFTED[what]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of sparse tensors
        craft(at, sign)
    seal(at, RANKS)
    assert checkpoint.damage(at) is None
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    words = [["resume", str(run), "steps=30"], ["evaluate", str(run), "--at", "last"]]
    words.append(["export", str(run), "--at", "last", "-o", str(tmp_path / "weights.pt")])
    for each in words:
        capsys.readouterr()
        assert main(each) == 2, each
        lines = capsys.readouterr().err.splitlines()
        assert lines[-1].startswith("optbench: ") and len(lines) == 1, lines
        assert re.search(why, lines[-1]), lines
    assert not sign.exists() and not (tmp_path / "weights.pt").exists()
    after = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert {k: v for k, v in after.items() if k.name != "log.txt"} == {
        k: v for k, v in before.items() if k.name != "log.txt"
    }


def test_files_of_torchs_own_kind_are_not_opened(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """torch would read `.metadata` by pickle, and `.distcp` files of bytes as any program."""
    sign, at = tmp_path / "it ran", newest(run)
    for name in (".metadata", "__0_0.distcp"):
        (at / name).write_bytes(pickle.dumps(Runs(sign)))
    assert main(["evaluate", str(run), "--at", "last"]) == 0
    manifest = json.loads((at / checkpoint.MANIFEST).read_text(encoding="utf-8"))
    manifest["files"][".metadata"] = manifest["files"].pop(rows_file(3))
    manifest["sha256"] = checkpoint.checksum(manifest)
    (at / checkpoint.MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    capsys.readouterr()
    assert main(["evaluate", str(run), "--at", "20"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "it does not fit its folder" in line
    assert not sign.exists()


def test_two_tensors_of_one_name_are_refused(run: Path) -> None:
    at = newest(run)
    state = load(at / SHARED)
    one, like = {"a.b": 0, "a": {"b": 0}}, torch.empty(4, device="meta")
    one["a.b"], one["a"] = like, {"b": like}
    torch.save({**state, "x": one}, at / SHARED)
    seal(at, RANKS)
    with pytest.raises(BadFile, match=r"can't have rows of x\.a\.b"):
        shared_of(run)
