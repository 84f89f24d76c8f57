"""No step waits for a GPU where it need not: found on a device that is not there (`fake.py`)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]

LOOKS = "reads a number"
"""A line search, a trust region or a ranking decides on the CPU what comes next: that is the
algorithm. Each at least once a step."""
KNOWN = {
    "adafactor": LOOKS,  # torch's own reads norms
    "asgd": LOOKS,  # torch's own sends its averages' weights
    "bfgs": LOOKS,
    "cma_es": LOOKS,
    "es": LOOKS,
    "ga": LOOKS,
    "gauss_newton": LOOKS,
    "lbfgs": LOOKS,
    "lbfgs_multibatch": LOOKS,
    "levenberg_marquardt": LOOKS,
    "natural_gradient": LOOKS,
    "newton": LOOKS,
    "pso": LOOKS,
    "progressive": LOOKS,  # the rate of the next stage
    "sr1": LOOKS,
    # What does not run on this device.
    "adagrad fused": "UserError: optimizer.implementation=fused: Adagrad has none for gpu",
    "sgd fused": "UserError: optimizer.implementation=fused: SGD has none for gpu",
    "sparse_adam": "NotImplementedError: Could not run 'aten::empty_strided'",
    "learned": "UserError: optimizer: aten._local_scalar_dense",
}
"""What is found of optimizers, by their file, or file and implementation."""

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
}
"""What is found of each planted fault; of four parameters."""


@cache
def outcomes(group: str, folder: Path) -> dict[str, str]:
    """What each run of a group comes to, "" for one that nobody waits for."""
    (folder / "text.txt").write_text("some words of no matter " * 40, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(TESTS), "OMP_NUM_THREADS": "1"}
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


def test_planted_faults_are_found(tmp_path: Path) -> None:
    found = outcomes("planted", tmp_path)
    assert found.pop("Plain") == "" and found.keys() == FOUND.keys()
    assert {name: said for name, said in found.items() if not said.startswith(FOUND[name])} == {}


@pytest.mark.slow
def test_no_optimizer_of_ours_or_of_torchs_waits_but_those_that_look(tmp_path: Path) -> None:
    found = outcomes("optimizers", tmp_path)
    assert len(found) > 70
    expected = {name: KNOWN.get(name) or KNOWN.get(name.split()[0], "") for name in found}
    wrong = {
        name: said
        for name, said in found.items()
        if not (said.startswith(expected[name]) if expected[name] else not said)
    }
    assert not wrong


@pytest.mark.slow
def test_of_the_zoo_so_many_wait(tmp_path: Path) -> None:
    """Theirs is the code; what they wait for is theirs too. None is worse than it was."""
    found = outcomes("zoo", tmp_path)
    waits = {name for name, said in found.items() if said}
    assert len(found) > 120 and len(waits) <= 28
