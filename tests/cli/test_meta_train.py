"""`optbench meta-train`: the same bits whatever interrupts it, what it leaves, what it refuses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from optbench.meta.plan import MetaPlan, asked
from optbench.meta.trainer import MetaTrainer
from optbench.optim.learned.weights import DEFAULT, load_rule

from .program import call, left_in

SHORT = "unroll=4 shortest=5 longest=12 tasks=3 checkpoint_every=5"


def bits(path: Path) -> dict[str, Any]:
    return {name: each.tolist() for name, each in load_rule(path)[1].items()}


def lines(folder: Path) -> list[dict[str, Any]]:
    found = [
        json.loads(line)
        for line in (folder / "meta.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    return [{k: v for k, v in line.items() if k != "seconds"} for line in found]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_weights_train_a_model(here: Path) -> None:
    answer = call(f"meta-train {SHORT} steps=6 folder=f --out rule.safetensors")
    assert answer.code == 0, answer.err
    assert "optimizer=learned optimizer.weights=rule.safetensors" in answer.out
    assert bits(here / "rule.safetensors") == bits(here / "f" / "learned.safetensors")
    assert [line["step"] for line in lines(here / "f")] == [1, 2, 3, 4, 5, 6]
    small = "threads=1 device=cpu model.hidden=[8] dataset=synthetic steps=3 hydra.run.dir=run"
    train = call(f"train {small} optimizer=learned optimizer.weights=rule.safetensors")
    assert train.code == 0, train.err


@pytest.mark.parametrize(
    "words",
    ["", "gradient=pes", "architecture=lstm second=false", "seed=3 families=[digits]"],
)
def test_the_same_plan_gives_the_same_bits_and_another_seed_others(words: str, here: Path) -> None:
    for folder, more in (("a", ""), ("b", ""), ("c", "seed=9")):
        answer = call(f"meta-train {SHORT} steps=4 {words} {more} folder={folder}")
        assert answer.code == 0, answer.err
    one, two, other = (bits(here / each / "learned.safetensors") for each in "abc")
    assert one == two != other
    assert lines(here / "a") == lines(here / "b")


@pytest.mark.parametrize("gradient", ["tbptt", pytest.param("pes", marks=pytest.mark.slow)])
def test_a_checkpoint_has_all_that_decides_the_next_step(gradient: str, here: Path) -> None:
    plan = MetaPlan(steps=12, tasks=3, unroll=4, shortest=5, longest=12, gradient=gradient)
    whole, first, second = (MetaTrainer(plan) for _ in range(3))
    steps = [whole.take() for _ in range(12)]
    for _ in range(5):
        first.take()
    torch.save(first.state(), here / "state.pt")
    second.load(torch.load(here / "state.pt", weights_only=True))
    assert [second.take() for _ in range(7)] == steps[5:]
    for name, each in whole.weights.items():
        assert torch.equal(each, second.weights[name])


def begun(folder: str, steps: int) -> subprocess.Popen[bytes]:
    words = f"meta-train {SHORT} steps={steps} folder={folder}".split()
    return subprocess.Popen(
        [sys.executable, "-m", "optbench", *words],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def wait_for(process: subprocess.Popen[bytes], path: Path) -> None:
    until = time.monotonic() + 300
    while not path.exists():
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.01)


@pytest.mark.slow
def test_one_that_is_killed_goes_on_to_the_same_bits(here: Path) -> None:
    process = begun("killed", 20)
    wait_for(process, here / "killed" / "checkpoints" / "step-00000005.pt")
    process.kill()
    process.wait()
    assert not (here / "killed" / "learned.safetensors").exists()
    answer = call("resume killed")
    assert answer.code == 0, answer.err
    assert call(f"meta-train {SHORT} steps=20 folder=whole").code == 0
    assert bits(here / "killed" / "learned.safetensors") == bits(
        here / "whole" / "learned.safetensors"
    )
    assert lines(here / "killed") == lines(here / "whole")
    assert len(list((here / "killed" / "checkpoints").iterdir())) == 2


@pytest.mark.slow
def test_one_that_is_asked_to_stop_says_how_to_go_on(here: Path) -> None:
    process = begun("stopped", 10_000)
    wait_for(process, here / "stopped" / "checkpoints" / "step-00000005.pt")
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 128 + signal.SIGTERM
    step = int(sorted((here / "stopped" / "checkpoints").iterdir())[-1].stem[5:])
    assert [line["step"] for line in lines(here / "stopped")] == list(range(1, step + 1))


def test_a_damaged_checkpoint_gives_way_to_the_one_before(here: Path) -> None:
    assert call(f"meta-train {SHORT} steps=10 folder=f").code == 0
    whole, said = bits(here / "f" / "learned.safetensors"), lines(here / "f")
    (here / "f" / "learned.safetensors").unlink()
    last = here / "f" / "checkpoints" / "step-00000010.pt"
    last.write_bytes(last.read_bytes()[:-100])
    assert call("resume f").code == 0
    assert bits(here / "f" / "learned.safetensors") == whole and lines(here / "f") == said
    for path in (here / "f" / "checkpoints").iterdir():
        path.write_bytes(b"none")
    answer = call("resume f")
    assert answer.code == 2 and "can't be read" in answer.err


def spoil(path: Path, **changes: Any) -> None:
    torch.save(torch.load(path, weights_only=True) | changes, path)


@pytest.mark.parametrize(
    "changes",
    [
        {"weights": {}},
        {"slots": []},
        {"step": 11},
        {"lines": -1},
        {"optimizer": {"state": {}, "param_groups": []}},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_checkpoint_that_does_not_fit_gives_way_too(changes: Any, here: Path) -> None:
    assert call(f"meta-train {SHORT} steps=10 folder=f").code == 0
    whole, said = bits(here / "f" / "learned.safetensors"), lines(here / "f")
    spoil(here / "f" / "checkpoints" / "step-00000010.pt", **changes)
    (here / "f" / "learned.safetensors").unlink()
    assert call("resume f").code == 0
    assert bits(here / "f" / "learned.safetensors") == whole and lines(here / "f") == said
    for path in (here / "f" / "checkpoints").iterdir():
        spoil(path, **changes)
    answer = call("resume f")
    assert answer.code == 2 and "can't be read" in answer.err
    assert len(answer.err.strip().splitlines()) == 1


def test_a_slot_of_other_shapes_gives_way(here: Path) -> None:
    trainer = MetaTrainer(MetaPlan(steps=4, tasks=1, unroll=4, shortest=5, longest=12))
    state = trainer.state()
    trainer.load(state)
    state["slots"][0]["places"][0]["memory"] = torch.zeros(1, 1)
    with pytest.raises(ValueError, match="memory"):
        trainer.load(state)


def test_a_finished_one_puts_no_weights_over_anothers_file(here: Path) -> None:
    assert call(f"meta-train {SHORT} steps=2 folder=f --out rule.safetensors").code == 0
    assert call("resume f").code == 0
    out = here / "rule.safetensors"
    out.write_bytes(b"other")
    answer = call("resume f")
    assert answer.code == 2 and "rule.safetensors: another file is there" in answer.err
    assert out.read_bytes() == b"other"
    out.unlink()
    assert call("resume f").code == 0
    assert bits(out) == bits(here / "f" / "learned.safetensors")


def test_checkpoints_elsewhere_are_left_alone(here: Path) -> None:
    assert call(f"meta-train {SHORT} steps=2 folder=f").code == 0
    (here / "f" / "checkpoints").rename(here / "elsewhere")
    (here / "f" / "checkpoints").symlink_to(here / "elsewhere")
    answer = call("resume f")
    assert answer.code == 2 and "checkpoints: a link, where a folder is meant" in answer.err


def test_whole_numbers_may_be_written_with_an_exponent() -> None:
    plan, _ = asked(["steps=1e1", "seed=1e3", f"lr={10**2}"])
    assert (plan.steps, plan.seed, plan.lr) == (10, 1000, 100.0)
    assert asked([f"seed={2**63 - 1}"])[0].seed == 2**63 - 1


def test_one_that_is_to_end_early_is_as_the_whole_one_there(here: Path) -> None:
    assert call(f"meta-train {SHORT} steps=9 until=4 folder=part").code == 0
    assert call(f"meta-train {SHORT} steps=9 folder=whole").code == 0
    assert lines(here / "part") == lines(here / "whole")[:4]


def test_the_weights_that_come_with_optbench_say_their_recipe(here: Path) -> None:
    data = DEFAULT.read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    plan, _ = asked([f"recipe={DEFAULT.with_suffix('.yaml')}"])
    assert yaml.safe_load(header["__metadata__"]["recipe"]) == plan.recipe()


def test_a_recipe_is_these_words_as_yaml(here: Path) -> None:
    Path("r.yaml").write_text(
        "unroll: 4\nsteps: 2\nlr: 1e-2\nfamilies: [quadratic]\n", encoding="utf-8"
    )
    assert call("meta-train recipe=r.yaml tasks=2 folder=a").code == 0
    words = "unroll=4 steps=2 lr=0.01 families=[quadratic] tasks=2"
    assert call(f"meta-train {words} folder=b").code == 0
    assert bits(here / "a" / "learned.safetensors") == bits(here / "b" / "learned.safetensors")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("stepz=5", "stepz=5: no such key; did you mean steps?"),
        ("steps=0", "steps=0: expected a whole number from 1"),
        ("steps=1.5", "steps=1.5: expected a whole number"),
        (f"seed={'9' * 401}", ": expected a whole number from 0"),
        ("out=~nouserx/a.safetensors", "out=~nouserx/a.safetensors: "),
        ("recipe=~nouserx/r.yaml", "recipe=~nouserx/r.yaml: "),
        ("lr=-1", "lr=-1: expected a number from 0"),
        ("lr=nan", "lr=nan: expected a number"),
        ("clip=true", "clip=True: expected a number"),
        ("architecture=lstn", "architecture=lstn: did you mean lstm?"),
        ("gradient=es", "gradient=es: "),
        ("families=[]", "expected a list of families"),
        ("families=[digit]", "families=digit: did you mean digits?"),
        ("second=perhaps", "second=perhaps: expected true or false"),
        ("shortest=50 longest=20", "shortest=50: more than longest=20"),
        ("out=a.pt", "out=a.pt: expected a file that ends in .safetensors"),
        ("out=there.safetensors", "out=there.safetensors: it is there already"),
        ("out=gone/a.safetensors", "out=gone/a.safetensors: there is no folder"),
        ("recipe=gone.yaml", "gone.yaml"),
        ("recipe=bad.yaml", "recipe=bad.yaml: stepz: no such key; did you mean steps?"),
        ("--outt=a", "--outt=a: no such flag of meta-train; there are --out and --help"),
        ("--out", "--out: which file?"),
        ("steps", "steps: expected key=value"),
        ("steps=[", "steps=["),
    ],
)
def test_what_is_wrong_is_said_in_a_line(words: str, said: str, here: Path) -> None:
    Path("there.safetensors").touch()
    Path("bad.yaml").write_text("stepz: 5\n", encoding="utf-8")
    before = left_in(here)
    answer = call(f"meta-train {words}")
    assert answer.code == 2 and said in answer.err
    assert len(answer.err.strip().splitlines()) == 1
    assert left_in(here) == before


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("steps=9", "steps=9: a meta-training goes on as planned"),
        ("--at best", "--at: of one run"),
    ],
)
def test_it_goes_on_as_planned(change: str, said: str, here: Path) -> None:
    assert call(f"meta-train {SHORT} steps=2 folder=f").code == 0
    answer = call(f"resume f {change}")
    assert answer.code == 2 and said in answer.err
