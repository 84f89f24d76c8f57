"""No step waits for a GPU where it need not: found on a device that is not there (`fake.py`)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from few import few

from .cases import AT_ONCE as CASES

TESTS = Path(__file__).parents[1]

READS, COPIES, INDEXES = "reads a number", "copies between devices", "indexes by the CPU's"
LOOKS = {READS}
"""A line search, a trust region or a ranking decides on the CPU what comes next: that is the
algorithm."""
KNOWN = {
    "adafactor": LOOKS,  # torch's own reads norms
    "asgd": {READS, COPIES},  # torch's own sends its averages' weights
    "bfgs": LOOKS,
    "cma_es": LOOKS,
    "ekfac always": LOOKS,  # whether factors and their eigenvectors are finite
    "es": LOOKS,
    "ga": {READS, COPIES},
    "gauss_newton": LOOKS,
    "kfac always": LOOKS,  # whether factors and inverses are finite
    "lbfgs": LOOKS,
    "lbfgs_multibatch": LOOKS,
    "levenberg_marquardt": LOOKS,
    "natural_gradient": LOOKS,
    "newton": LOOKS,
    "progressive": LOOKS,  # the rate of the next stage
    "pso": {READS, COPIES},
    "sr1": LOOKS,
    # What does not run on this device.
    "adagrad fused": {"UserError"},
    "learned": {"UserError"},
    "sgd fused": {"UserError"},
    "sparse_adam": {"NotImplementedError"},
}
"""Kinds of what is found of optimizers, by their file, or file and implementation."""

ZOO = (
    "adagc adamp alice alig asgd avagrad dadaptadagrad dadaptadam dadaptadan dadaptlion dadaptsgd "
    "emofact emolynx emonavi laprop lbfgs lorarite magma nero prodigy racs ranger21 sara sgdp "
    "shampoo simplifiedademamix spam spectralsphere stablespam swats"
)
"""Those of the library's that wait."""

AT_ONCE = [name for name in CASES if name != "schedule"]

FOUND = {
    "Item": "reads a number: planted.py, more, 12 in 3 steps",
    "Branch": "reads a number: planted.py, more, 12 in 3 steps",
    "Cpu": "copies between devices: planted.py, more, 12 in 3 steps",
    "To": "copies between devices: planted.py, more, 12 in 3 steps",
    "Numpy": "RuntimeError: .numpy() is not supported",
    "Sent": "copies between devices: planted.py, more, 12 in 3 steps",
    "Told": "copies between devices: planted.py, more, 12 in 3 steps",
    "Mixed": "FakeTensorDeviceMismatchError: ",
    "Index": "indexes by the CPU's: planted.py, more, 12 in 3 steps",
    "Nonzero": "DynamicOutputShapeException: aten.nonzero",
    "Solve": "reads a number: planted.py, more, 12 in 3 steps",
    "Eigenvalues": "reads a number: planted.py, more, 12 in 3 steps",
    "Mask": "reads a number: planted.py, more, 6 in 3 steps",
}
"""What is found of each planted fault; of four parameters."""


@cache
def outcomes(group: str, folder: Path) -> dict[str, str]:
    """What each run of a group comes to, "" for one that nobody waits for."""
    (folder / "text.txt").write_text("some words of no matter " * 40, encoding="utf-8")
    paths = os.pathsep.join(map(str, (TESTS, TESTS.parent)))
    environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "device.cases", group]
    ended = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, encoding="utf-8", check=False
    )
    assert ended.returncode == 0, ended.stderr
    found: dict[str, str] = json.loads(ended.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("group", ["plain", "tasks"])
def test_no_step_waits(group: str, tmp_path: Path) -> None:
    found = outcomes(group, tmp_path)
    assert len(found) >= 8 and not {name: said for name, said in found.items() if said}


def test_no_step_that_is_noted_as_a_graph_waits(tmp_path: Path) -> None:
    """Nor is anything sent in it; what is before each replay is one tensor of numbers."""
    found = outcomes("noted", tmp_path)
    assert len(found) > 20 and not {name: said for name, said in found.items() if said}


@pytest.mark.slow
def test_no_optimizer_that_may_be_noted_waits(tmp_path: Path) -> None:
    found = outcomes("noted, of all", tmp_path)
    fine = {name for name, said in found.items() if not said}
    refused = {n for n, s in found.items() if s.endswith(" (the trainer)") and "'gpu'" not in s}
    no_kernel = {"adagrad fused", "sgd fused", "adam fused", "adamw fused", "learned loop"}
    assert len(fine) == 38 and found.keys() == fine | refused | no_kernel


@pytest.mark.parametrize("name", few(AT_ONCE, 3))
def test_no_step_of_many_runs_at_once_waits(name: str, tmp_path: Path) -> None:
    found = outcomes(f"at once: {name}", tmp_path)
    assert found == {name: ""}


def test_settings_that_move_are_sent_in_one_tensor_for_all_members(tmp_path: Path) -> None:
    """No step waits for them either, but the mode can't tell."""
    found = outcomes("at once: schedule", tmp_path)
    assert found == {"schedule": "copies between devices: settings.py, values, 3 in 3 steps"}


def test_planted_faults_are_found(tmp_path: Path) -> None:
    found = outcomes("planted", tmp_path)
    assert found.pop("Plain") == "" and found.keys() == FOUND.keys()
    assert {name: said for name, said in found.items() if not said.startswith(FOUND[name])} == {}


def kinds(said: str) -> set[str]:
    """What is found, without where and how often."""
    found = {each.partition(":")[0] for each in said.split("; ")} if said else set()
    return found if found <= {READS, COPIES, INDEXES} else {said.partition(":")[0]}


@pytest.mark.slow
def test_no_optimizer_of_ours_or_of_torchs_waits_but_those_that_look(tmp_path: Path) -> None:
    found = outcomes("optimizers", tmp_path)
    assert len(found) > 70
    expected = {name: KNOWN.get(name, KNOWN.get(name.split()[0], set())) for name in found}
    wrong = {name: said for name, said in found.items() if kinds(said) != expected[name]}
    assert not wrong


@pytest.mark.slow
def test_of_the_zoo_these_wait(tmp_path: Path) -> None:
    """Theirs is the code; what they wait for is theirs too."""
    found = outcomes("zoo", tmp_path)
    assert len(found) > 120
    assert {name for name, said in found.items() if said} == set(ZOO.split())
