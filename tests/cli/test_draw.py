"""The verb `draw`."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from PIL import Image

from optbench.files import dump_yaml, load_yaml
from optbench.rundir import RunDir
from optbench.runs.function_runs import named, read_all

from .program import Answer, call, left_in

SMALL = "threads=1 device=cpu monitor.tensorboard=false checkpoint=none eval.every=1"


def train(line: str, folder: Path) -> Path:
    answer = call(f"train {SMALL} {line} hydra.run.dir={folder}")
    assert answer.code == 0, answer.err
    return folder


@pytest.fixture(scope="module")
def runs(shared_place: Path) -> dict[str, Path]:
    """Small runs by what they are."""
    lines = {
        "adam": "model=beale optimizer=adam optimizer.lr=0.1 steps=20",
        "sgd": "model=beale optimizer=sgd optimizer.lr=0.01 steps=30 seed=1",
        "nag": "model=beale optimizer=nag model.start=[2,2] optimizer.lr=1e-3 steps=9",
        "banana": "model=rosenbrock optimizer=sgd optimizer.lr=1e-3 steps=5",
        "deep": "model=quadratic model.dim=5 optimizer=sgd optimizer.lr=1 steps=20",
        "digits": "model=mlp model.hidden=[] steps=2 eval.every=0",
        "unseen": "model=beale optimizer=sgd optimizer.lr=0.01 steps=3",
    }
    folders = {name: train(line, shared_place / name) for name, line in lines.items()}
    folders["unseen"].joinpath("metrics.jsonl").write_text("", encoding="utf-8")
    return folders


def draw(runs: dict[str, Path], line: str) -> Answer:
    """`optbench draw` with runs named as `{adam}`."""
    return call("draw " + line.format(**runs))


def test_paths_and_gaps_of_several_runs(runs: dict[str, Path], tmp_path: Path) -> None:
    answer = draw(runs, f"{{adam}} {{sgd}} {{nag}} --animate --to {tmp_path}/new --fit=3:9")
    assert (answer.code, answer.err) == (0, "")
    assert left_in(tmp_path / "new") == ["gaps.png", "paths.gif", "paths.png"]
    for name in ("gaps.png", "paths.png", "paths.gif"):
        assert f"{tmp_path}/new/{name}\n" in answer.out
        with Image.open(tmp_path / "new" / name) as picture:
            assert picture.width > 400
    header, *rows = answer.out.splitlines()[:4]
    assert header.split()[:2] == ["run", "loss"]
    assert [row.split("  ")[0] for row in rows] == ["adam lr=0.1", "sgd lr=0.01", "nag lr=0.001"]
    assert all("3 to 9" in row and "slope" in row and "a step" in row for row in rows)


def test_a_run_that_diverged_has_no_rate(tmp_path: Path) -> None:
    steep = "model=rosenbrock optimizer=sgd optimizer.lr=10 steps=50 eval.every=1 threads=1"
    assert call(f"train {steep} device=cpu hydra.run.dir={tmp_path}/run").code == 1
    answer = call(f"draw {tmp_path}/run")
    assert answer.code == 0 and "diverged" in answer.out
    assert "slope" not in answer.out and "a step" not in answer.out


def test_one_runs_pictures_lie_in_its_folder(runs: dict[str, Path]) -> None:
    answer = draw(runs, "{deep} --fit 5:20")
    assert answer.code == 0, answer.err
    assert (runs["deep"] / "gaps.png").is_file()
    assert not (runs["deep"] / "paths.png").exists()  # five dimensions have no contours
    # 1 - 1/100 is the slowest factor of the distance at lr 1/L, and of the gap its square
    gaps = [r["val/loss_gap"] for r in RunDir(runs["deep"]).read_metrics() if r["kind"] == "val"]
    assert f"{gaps[-1]:.4g}" in answer.out and "5 to 20" in answer.out


def test_what_the_folders_tell(runs: dict[str, Path]) -> None:
    (adam, nag) = read_all([str(runs["adam"]), str(runs["nag"])])
    assert adam.steps == list(range(1, 21)) and len(adam.gaps) == 20
    assert adam.points is not None and len(adam.points) == 20
    x, y = adam.points[0]
    # The gradient at the start (1, 1) is (0, 27.75), so Adam's first step is lr along -y.
    assert (x, y) == (pytest.approx(1.0), pytest.approx(0.9))
    assert adam.function == "beale" and nag.setting("model.start") == [2, 2]


def test_a_sweeps_folder_is_all_its_runs(workplace: Path) -> None:
    line = f"train -m {SMALL} model=himmelblau optimizer=sgd optimizer.lr=1e-3,1e-2 seed=0,1"
    assert call(f"{line} steps=4 hydra.sweep.dir=many").code == 0
    names = named(read_all(["many"]))
    assert names[:2] == ["sgd lr=0.001 seed=0", "sgd lr=0.001 seed=1"] and len(names) == 4
    assert call("draw many").code == 0
    assert {"gaps.png", "paths.png"} <= set(left_in(workplace / "many"))


def test_runs_that_are_alike_are_told_apart_by_their_folders(
    runs: dict[str, Path], tmp_path: Path
) -> None:
    again = shutil.copytree(runs["adam"], tmp_path / "again")
    assert named(read_all([str(runs["adam"]), str(again)])) == [
        "adam lr=0.1 (adam)",
        "adam lr=0.1 (again)",
    ]
    config = load_yaml(again / "config.yaml")
    config["optimizer"]["betas"] = [0.5, 0.999]
    (again / "config.yaml").write_text(dump_yaml(config), encoding="utf-8")
    names = named(read_all([str(runs["adam"]), str(again)]))
    assert names == ["adam lr=0.1 betas=[0.9, 0.999]", "adam lr=0.1 betas=[0.5, 0.999]"]


def test_of_a_folder_of_runs_one_on_a_function_is_named(
    runs: dict[str, Path], tmp_path: Path
) -> None:
    for number, name in enumerate(("adam", "digits")):
        shutil.copytree(runs[name], tmp_path / "all" / name)
        os.utime(tmp_path / "all" / name / "status.json", (number, number))
    answer = call(f"draw {tmp_path}/all")
    newest = f"the newest run on a test function in it: {tmp_path}/all/adam\n"
    assert (answer.code, answer.err.endswith(newest)) == (2, True)
    shutil.rmtree(tmp_path / "all" / "adam")
    answer = call(f"draw {tmp_path}/all")
    assert answer.err.endswith("not a run folder; there is no run on a test function in it\n")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("", "draw: which runs? optbench draw RUN..."),
        ("{adam}x", "adam?"),
        ("{adam}/..", "not a run folder; the newest run on a test function in it: "),
        ("{digits}", "a run of mlp, no test function"),
        ("{unseen}", "nothing was evaluated; train with eval.every=1"),
        ("{adam} {banana}", "is of rosenbrock, "),
        ("{deep} --animate", "--animate: quadratic, 5 dimensions has no plane"),
        ("{adam} --animated", "--animated: no such flag; did you mean --animate?"),
        ("{adam} --to", "--to: into which folder? --to FOLDER"),
        ("{adam} --to {adam}/config.yaml", "config.yaml: a file, where a folder is meant"),
        ("{adam} --fit 9:3", "--fit 9:3: FROM:TO, and 9 is not before 3"),
        ("{adam} --fit some", "--fit some: two steps"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(runs: dict[str, Path], line: str, says: str) -> None:
    before = left_in(runs["adam"])
    answer = draw(runs, line)
    assert answer.code == 2 and says in answer.err
    assert answer.err.count("\n") == 1 and left_in(runs["adam"]) == before


def test_the_same_function_with_other_settings_is_another(
    runs: dict[str, Path], tmp_path: Path
) -> None:
    other = shutil.copytree(runs["deep"], tmp_path / "other")
    config = load_yaml(other / "config.yaml")
    config["model"]["condition"] = 7.0
    (other / "config.yaml").write_text(dump_yaml(config), encoding="utf-8")
    answer = draw(runs, f"{{deep}} {other}")
    assert answer.code == 2 and "with other settings; one function to a picture" in answer.err


def test_what_a_picture_lacks_is_told(runs: dict[str, Path], tmp_path: Path) -> None:
    damaged = RunDir(shutil.copytree(runs["adam"], tmp_path / "damaged"))
    data = damaged.metrics.read_bytes()
    damaged.metrics.write_bytes(b"x" + data[1:-3])
    damaged.overrides.write_text("choices: [1]", encoding="utf-8")
    answer = call(f"draw {damaged.path} --to {tmp_path}")
    assert answer.code == 0
    assert "2 lines of metrics.jsonl can't be read, and are left out" in answer.err
    assert "overrides.yaml can't be used" in answer.err


@pytest.mark.parametrize("name", ["paths.png", "gaps.png"])
def test_a_picture_is_not_drawn_through_a_link(
    runs: dict[str, Path], tmp_path: Path, name: str
) -> None:
    folder, theirs = shutil.copytree(runs["adam"], tmp_path / "run"), tmp_path / "theirs"
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(theirs)
    answer = call(f"draw {folder}")
    assert answer.code == 2 and f"{name}: a link, where a file is meant" in answer.err
    assert not theirs.exists()
