"""Runs whose data is elsewhere when they are resumed, and what runs say of their data."""

from pathlib import Path

import pytest
from PIL import Image

from optbench.compose.resumed import refuse_fixed
from optbench.compose.workloads import NO_PART
from optbench.config.reserved import OF_READING
from optbench.data import cache
from optbench.errors import UserError
from optbench.rundir import RunDir, load_yaml

from .program import Answer, call, left_in

LINE = "the quick brown fox jumps over the lazy dog\n"
TEXT = "dataset=text dataset.context=8 model=rnn model.width=4 threads=1 device=cpu"


@pytest.fixture
def run(workplace: Path) -> RunDir:
    """A run of 4 steps that can go on, whose text was named from the folder that it began in."""
    (workplace / "t.txt").write_text(LINE * 40, encoding="utf-8")
    line = f"train {TEXT} dataset.path=t.txt steps=4 checkpoint.every=2 hydra.run.dir=run"
    assert call(line).code == 0
    return RunDir(workplace / "run")


@pytest.fixture(autouse=True)
def _fresh() -> None:
    cache._loaded.clear()  # as in another process


def resumed(run: RunDir, more: str = "") -> Answer:
    return call(f"resume {run.path} steps=6 {more}")


def test_it_is_found_from_another_folder(
    run: RunDir, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load_yaml(run.config)["dataset"]["path"] == str(workplace / "t.txt")
    (workplace / "elsewhere").mkdir()
    monkeypatch.chdir(workplace / "elsewhere")
    answer = resumed(run)
    assert answer.code == 0, answer.err


def test_it_may_move(run: RunDir, workplace: Path) -> None:
    (workplace / "t.txt").rename(workplace / "u.txt")
    cache._loaded.clear()
    answer = resumed(run)
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert f"dataset.path={workplace}/t.txt: no such file" in answer.err
    answer = resumed(run, "dataset.path=u.txt")
    assert answer.code == 0, answer.err
    assert f"changed: dataset.path={workplace}/u.txt" in answer.err


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (LINE * 50, "its train_size is 247, it was 197"),
        (LINE.replace("q", "Q") * 40, "the sizes are right, the content is another"),
        ("a" * len(LINE) * 40, "its num_classes is 1, it was 28"),
    ],
)
def test_other_data_is_refused(run: RunDir, workplace: Path, content: str, why: str) -> None:
    before = left_in(run.path)
    (workplace / "u.txt").write_text(content, encoding="utf-8")
    answer = resumed(run, "dataset.path=u.txt")
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert (
        f"dataset.path={workplace}/u.txt: not the data that the run began with ({why})"
        in answer.err
    )
    assert left_in(run.path) == before


def write_tree(root: Path) -> None:
    for place in ("train/cat", "train/dog", "val/cat", "val/dog"):
        (root / place).mkdir(parents=True)
        for number in range(2):
            Image.new("RGB", (9, 9), (number, 50, 9)).save(root / place / f"{number}.png")


IMAGES = "dataset=image_folder dataset.size=8 dataset.resize=8 dataset.workers=0 batch_size=2"


def test_a_data_root_may_move(workplace: Path) -> None:
    write_tree(workplace / "here")
    line = f"train {IMAGES} data_root=here model=mlp steps=2 threads=1 device=cpu"
    assert call(f"{line} dataset.val_fraction=0 hydra.run.dir=run").code == 0
    (workplace / "here").rename(workplace / "there")
    answer = call("resume run steps=3 data_root=there")
    assert answer.code == 0, answer.err
    saved = load_yaml(RunDir(workplace / "run").config)
    assert saved["data_root"] == saved["dataset"]["root"] == str(workplace / "there")


def test_notes_on_the_data_are_warnings_of_the_run(workplace: Path) -> None:
    write_tree(workplace / "here")
    (workplace / "here" / "train" / "cat" / "a.txt").write_bytes(b"")
    line = f"train {IMAGES} data_root=here model=mlp steps=2 threads=1 device=cpu"
    answer = call(f"{line} dataset.val_fraction=0 hydra.run.dir=run")
    told = f"warning: left out of {workplace}/here/train: 1 file without an image's ending"
    assert told in answer.err
    assert told in RunDir(workplace / "run").log.read_text(encoding="utf-8")


@pytest.mark.parametrize("key", OF_READING)
def test_where_and_how_data_is_read_is_free_and_no_other_workload(key: str) -> None:
    refuse_fixed({f"dataset.{key}": ("a", "b")}, {})
    assert key in NO_PART
    with pytest.raises(UserError, match="can't change"):
        refuse_fixed({"dataset.size": (1, 2)}, {})
