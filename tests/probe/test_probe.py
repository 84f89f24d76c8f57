"""`optbench probe`: what it prints and leaves, and that the run stays as it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from cli.program import call, left_in, table_lines
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor, nn
from torch.func import functional_call, hessian

import optbench
from optbench.probe.opened import open_to_look
from optbench.runs.read import Run

OWN = "tests.probe.instruments" if __name__.startswith("tests.") else "probe.instruments"
FAST = "examples=50 chunk=50"


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.filterwarnings("ignore:.torch.jit.script")  # torch.func's own
def test_the_largest_eigenvalue_is_the_dense_hessians_at_the_checkpoint(run: Path) -> None:
    words = ["instruments=hessian", "examples=40", "hessian.tolerance=1e-5"]
    found = optbench.probe(run, *words, at=4)
    saved = torch.load(run / "checkpoints/step-00000004/state.pt", weights_only=True)
    weights = {k: v.double() for k, v in saved["players"]["model"]["module"].items()}
    ((inputs, targets), _), *_ = open_to_look(str(run)).look(4).batch(40).micros
    model = Run(run).model(at=2).double()
    sizes = [value.numel() for value in weights.values()]

    def loss(vector: Tensor) -> Tensor:
        parts = zip(vector.split(sizes), weights.items(), strict=True)
        placed = {name: part.view_as(value) for part, (name, value) in parts}
        return nn.functional.cross_entropy(functional_call(model, placed, inputs.double()), targets)

    full = hessian(loss)(torch.cat([value.reshape(-1) for value in weights.values()]))
    true = torch.linalg.eigvalsh(full)  # type: ignore[arg-type]
    assert found.values["hessian/largest"] == {4: pytest.approx(float(true[-1]), rel=1e-4)}


def test_it_prints_a_table_and_writes_a_folder(run: Path) -> None:
    pytest.importorskip("matplotlib")
    before = bytes_of(run)
    answer = call(f"probe mine --at all instruments=[hessian,stability] {FAST} --out there")
    assert answer.code == 0, answer.err
    header, *rows = table_lines(answer.out)
    assert header.split() == ["step", "2", "step", "4", "step", "6"]
    assert [row.split()[0] for row in rows[:2]] == ["hessian/largest", "hessian/largest_2"]
    assert "the line is 2 (1 + 0.9) / lr" in " ".join(answer.out.split())
    assert answer.out.splitlines()[-1] == "there"
    names = {name for name in left_in(Path("there")) if not name.startswith("tb/")}
    each = {f"hessian-eigenvalues-step-{step}.png" for step in (2, 4, 6)}
    assert names == {"probe.json", "tb", "hessian.png", "stability.png", *each}
    said = json.loads(Path("there/probe.json").read_text(encoding="utf-8"))
    points = said["instruments"]["stability"]["points"]
    assert [point["step"] for point in points] == said["steps"] == [2, 4, 6]
    events = EventAccumulator("there/tb")
    events.Reload()
    written = events.Scalars("probe/stability/sharpness")
    assert [event.step for event in written] == [2, 4, 6]
    values = [point["values"]["stability/sharpness"] for point in points]
    assert [event.value for event in written] == pytest.approx(values)
    assert points[0]["values"]["stability/line"] == pytest.approx(380)
    assert bytes_of(run) == before


def test_the_best_is_looked_at_and_json_printed(run: Path) -> None:
    answer = call(f"probe mine instruments=trace trace.products=8 {FAST} --json")
    said = json.loads(answer.out)
    assert said["steps"] == [Run(run).best["step"]]
    assert (
        said["instruments"]["trace"]["points"][0]["notes"][0] == "of 50 of 1,293 training examples"
    )
    assert said["settings"]["trace"] == {"products": 8}
    assert said["folder"].startswith("probes/") and said["folder"].endswith("-mine")
    assert (Path(said["folder"]) / "probe.json").is_file()


def test_programs_get_values_and_no_folder(run: Path, workplace: Path) -> None:
    drawn = torch.get_rng_state()
    found = optbench.probe(run, f"instruments=[{OWN}.Norm]", at="2,6")
    assert [*found.values] == ["norm"] and found.steps == [2, 6] and found.folder is None
    for step, norm in found.values["norm"].items():
        weights = [*Run(run).model(at=step).parameters()]
        wanted = torch.stack([w.detach().norm() for w in weights]).norm()
        assert norm == pytest.approx(float(wanted), rel=1e-5)
    assert left_in(workplace) == sorted(["mine", *(f"mine/{name}" for name in left_in(run))])
    assert torch.equal(drawn, torch.get_rng_state())


def test_an_instrument_of_ones_own_has_settings(run: Path) -> None:
    word = f"instruments=[{{_target_: {OWN}.Norm, power: 1}}]"
    one = optbench.probe(run, word, at=2).values["norm"][2]
    assert one > optbench.probe(run, f"instruments={OWN}.Norm", at=2).values["norm"][2]


def test_what_can_not_be_measured_is_left_out_and_told(run: Path) -> None:
    own = f"{{_target_: {OWN}.Norm, power: 3}}, {OWN}.Broken, {OWN}.Norm"
    found = optbench.probe(run, f"instruments=[{own}]", at=2)
    assert [*found.values] == ["norm"]
    assert found.lacking["norm"] == "no third power"
    assert found.lacking["broken"].startswith("KeyError: 'no such layer'")
    assert "instruments.py:" in found.lacking["broken"]
    answer = call(["probe", "mine", f"instruments=[{{_target_: {OWN}.Norm, power: 3}}]"])
    assert answer.code == 2 and not Path("probes").exists()
    assert "norm: left out: no third power" in answer.out
    assert answer.err == "optbench: probe: nothing could be measured\n"


def test_one_that_needs_other_points_gets_them(run: Path, original: Path) -> None:
    probed = optbench.probe(run, f"instruments={OWN}.Moved", at="2,4")
    assert probed.lacking == {}
    found = probed.values
    assert {name: [*steps] for name, steps in found.items()} == {
        "moved/2": [4],
        "moved/4": [4],
        "moved/6": [4],
    }
    assert found["moved/4"][4] == 0 < found["moved/2"][4]
    word = f"instruments=[{{_target_: {OWN}.Moved, to: {original}}}]"
    other = optbench.probe(run, word, at=4).values
    assert other["moved/run6"][4] == pytest.approx(found["moved/6"][4])
    with pytest.raises(optbench.UserError, match=r"moved\.to=nowhere: no such run folder"):
        optbench.probe(run, word.replace(str(original), "nowhere"), at=4)


def test_ctrl_c_ends_with_what_was_measured(run: Path) -> None:
    answer = call(["probe", "mine", "--at", "all", f"instruments=[{OWN}.Norm,{OWN}.Interrupted]"])
    assert answer.code == 130
    assert answer.err.splitlines()[-1] == "optbench: interrupted; what was measured stays"
    (written,) = Path("probes").iterdir()
    said = json.loads((written / "probe.json").read_text(encoding="utf-8"))
    assert said["interrupted"] and said["steps"] == [2, 4]
    assert [p["step"] for p in said["instruments"]["norm"]["points"]] == [2, 4]
    assert [p["step"] for p in said["instruments"]["interrupted"]["points"]] == [2]


def test_ctrl_c_before_anything_leaves_nothing(run: Path) -> None:
    answer = call(["probe", "mine", "--at", "4", f"instruments={OWN}.Interrupted"])
    assert answer.code == 130 and not Path("probes").exists()
    with pytest.raises(KeyboardInterrupt):
        optbench.probe(run, f"instruments={OWN}.Interrupted", at=4)


def test_without_matplotlib_the_rest_is_written(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    answer = call(f"probe mine --at 2 instruments=hessian {FAST} --out there")
    assert answer.code == 0 and "pip install 'optbench[plots]'" in answer.out
    assert (Path("there") / "probe.json").is_file() and not [*Path("there").glob("*.png")]


def test_a_folder_that_is_there_is_left_alone(run: Path) -> None:
    Path("there").mkdir()
    answer = call(f"probe mine --at 2 instruments={OWN}.Norm --out there")
    assert answer.code == 0 and left_in(Path("there")) == []
    assert (Path("there-2") / "probe.json").is_file()
