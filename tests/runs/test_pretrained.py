"""A run starts from torchvision's weights by name, which torch.hub keeps or downloads."""

from __future__ import annotations

import io
import re
import shutil
from email.message import Message
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import torch
from cli.program import Answer, call, final_state, left_in
from torch import Tensor
from torchvision.models import ShuffleNet_V2_X0_5_Weights, densenet121, shufflenet_v2_x0_5

import optbench
from optbench.assemble import pretrained
from optbench.models.pretrained import cached, state_of, weights_of
from optbench.rundir import RunDir
from optbench.runs.read import Run
from optbench.training.distributed import World

MODEL = "model=torchvision model.name=shufflenet_v2_x0_5"
DATA = "dataset=synthetic dataset.shape=[3,32,32] dataset.train_size=24 dataset.test_size=4"
STILL = f"{DATA} {MODEL} batch_size=4 steps=1 optimizer=sgd optimizer.lr=0 threads=1 device=cpu"
HEAD = "'weights.exclude=[fc.*]'"
WEIGHTS = ShuffleNet_V2_X0_5_Weights.IMAGENET1K_V1


@pytest.fixture(autouse=True)
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The URLs that were asked for, in a folder with an empty cache and without a network."""
    urls: list[str] = []

    def no_network(request: Any) -> Any:
        urls.append(request.full_url)
        raise URLError(OSError(-2, "Name or service not known"))

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(torch.hub, "urlopen", no_network)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return urls


def published() -> dict[str, Tensor]:
    """Weights as torchvision's older files have them: without a count of batches."""
    torch.manual_seed(7)
    state = shufflenet_v2_x0_5().state_dict()
    return {name: each for name, each in state.items() if "num_batches" not in name}


def keep(content: Any) -> Path:
    """A file in torch.hub's cache, where the weights' would be."""
    path = cached(WEIGHTS)
    path.parent.mkdir(parents=True)
    torch.save(content, path)
    return path


def started(line: str, folder: str = "run") -> Answer:
    return call(f"train {STILL} {line} hydra.run.dir={folder}")


def trained(folder: str = "run") -> dict[str, Tensor]:
    state = final_state(RunDir(Path(folder)))["state.pt"]
    module: dict[str, Tensor] = state["players"]["model"]["module"]
    return module


@pytest.mark.parametrize(
    "name", ["", ":IMAGENET1K_V1", ":DEFAULT", ":ShuffleNet_V2_X0_5_Weights.IMAGENET1K_V1"]
)
def test_what_torch_hub_keeps_needs_no_network(name: str, asked: list[str]) -> None:
    state = published()
    keep(state)
    answer = started(f"weights=torchvision{name} {HEAD}")
    assert answer.code == 0, answer.err
    found = trained()
    weights = [key for key in state if key.endswith(("weight", "bias"))]
    assert len(weights) > 100
    for key in weights:
        assert torch.equal(found[key], state[key]) is not key.startswith("fc."), key
    assert found["fc.weight"].shape == (10, 1024)
    assert Run(Path("run")).config["weights"]["path"] == f"torchvision{name}"
    assert not asked


def test_what_is_downloaded_has_its_checksum_and_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    content = io.BytesIO()
    torch.save(published(), content)

    class Reply(io.BytesIO):
        def info(self) -> Message:
            return Message()

    monkeypatch.setattr(torch.hub, "urlopen", lambda request: Reply(content.getvalue()))
    answer = started(f"weights=torchvision {HEAD}")
    assert answer.code == 2 and "invalid hash value" in answer.err
    assert left_in(cached(WEIGHTS).parent) == [] and left_in(Path.cwd()) == []
    monkeypatch.setattr(torch.hub, "HASH_REGEX", re.compile("(no)such"))
    assert started(f"weights=torchvision {HEAD}").code == 0
    assert left_in(cached(WEIGHTS).parent) == [cached(WEIGHTS).name]


def test_without_a_network_one_line_says_where_the_file_goes(asked: list[str]) -> None:
    answer = started("weights=torchvision")
    assert answer.code == 2 and answer.err.count("\n") == 1 and not answer.out
    assert f"weights=torchvision: {WEIGHTS.url} can't be downloaded" in answer.err
    assert "Name or service not known" in answer.err
    assert f"put the file into {cached(WEIGHTS).parent}" in answer.err
    assert left_in(Path.cwd()) == [] and asked == [WEIGHTS.url]


def test_what_does_not_fit_is_told_with_the_override_that_mends_it() -> None:
    keep(published())
    answer = started("weights=torchvision")
    mend = "'weights.exclude=[fc.weight,fc.bias]'"
    assert answer.code == 2 and answer.err.count("\n") == 1
    assert (
        "fc.weight is [1000, 1024] there and [10, 1024] in the model (1 more of other shapes)"
        in answer.err
    )
    assert mend in answer.err and left_in(Path.cwd()) == []
    assert started(f"weights=torchvision {mend}").code == 0


def test_of_as_many_classes_the_head_is_taken_too() -> None:
    state = published()
    keep(state)
    assert started("weights=torchvision dataset.num_classes=1000").code == 0
    assert torch.equal(trained()["fc.weight"], state["fc.weight"])


def test_a_resumed_run_needs_nothing_of_it(asked: list[str]) -> None:
    path = keep(published())
    assert started(f"weights=torchvision {HEAD}").code == 0
    shutil.rmtree(path.parent)
    assert optbench.resume("run", "steps=2").step == 2
    assert not asked


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("weights=torchvision:IMAGENET1K_V2", "no such weights; did you mean IMAGENET1K_V1?"),
        ("weights=torchvision:imagnet1k_v1", "did you mean IMAGENET1K_V1?"),
        ("weights=torchvision:ResNet18_Weights.DEFAULT", "has ShuffleNet_V2_X0_5_Weights.DEFAULT"),
        ("weights=torchvison:IMAGENET1K_V1", "did you mean weights=torchvision:IMAGENET1K_V1?"),
        ("weights=IMAGENET1K_V1", "did you mean weights=torchvision:IMAGENET1K_V1?"),
        ("weights=./torchvision", "here/torchvision: no such run or file"),
        ("weights=torchvision model.name=shufflenet_v2_x0_4", "did you mean shufflenet_v2_x0_5"),
        ("weights=torchvision model=mlp", "for model=torchvision"),
    ],
)
def test_names_are_looked_at_before_the_network(line: str, why: str, asked: list[str]) -> None:
    given = STILL.replace(MODEL, "") if "mlp" in line else STILL
    answer = call(f"train {given} {line}")
    assert answer.code == 2 and why in answer.err, answer.err
    assert answer.err.count("\n") == 1 and left_in(Path.cwd()) == [] and not asked


@pytest.mark.parametrize("what", ["code", "damaged", "another"])
def test_a_file_that_is_not_torchvisions_is_refused(what: str) -> None:
    path = keep({"code": Path(), "damaged": 0, "another": {"a": torch.ones(1)}}[what])
    if what == "damaged":
        path.write_bytes(path.read_bytes()[:100])
    answer = started("weights=torchvision")
    assert answer.code == 2 and f"{path} can't be read" in answer.err, answer.err
    assert answer.err.count("\n") == 1 and left_in(Path.cwd()) == []


def test_layers_that_older_files_name_otherwise() -> None:
    state = densenet121().state_dict()
    older = {
        name.replace("norm1.", "norm.1.").replace("conv2.", "conv.2."): value
        for name, value in state.items()
        if not name.endswith("num_batches_tracked")
    }
    weights = weights_of("densenet121")["DEFAULT"]
    cached(weights).parent.mkdir(parents=True)
    torch.save(older, cached(weights))
    assert state_of("densenet121", weights).keys() == state.keys()


def test_the_other_ranks_look_when_rank_0_has_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    keep(published())
    spec = optbench.compose(*STILL.split(), "weights=torchvision")
    order: list[str] = []
    monkeypatch.setattr(World, "on_main", lambda *_: order.append("rank 0"))
    monkeypatch.setattr("optbench.models.pretrained.fetch", lambda _: order.append("rank 1"))
    found = pretrained.pretrained(spec.config, World(torch.device("cpu"), 1, 2))
    assert order == ["rank 0", "rank 1"] and "fc.weight" in found
