"""Second-order optimizers on two ranks: what one process does, up to rounding."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from .ranks import ranks
from .runs import metrics_of, small
from .test_distributed import RUN
from .test_distributed_more import IN_DOUBLE, error_of_training

pytestmark = pytest.mark.slow

NAMES = ["bfgs", "gauss_newton", "lbfgs_multibatch", "levenberg_marquardt", "natural_gradient"]
NAMES += ["newton", "sr1"]
LINES = [*RUN[:-1], "model.hidden=[3]", "steps=6", "checkpoint.every=1", "monitor.every=1"]
LINES += ["schedule=constant", f"optimizer={','.join(NAMES)}"]


def test_two_ranks_equal_one_process() -> None:
    Path("program.py").write_text(IN_DOUBLE, encoding="utf-8")
    lines = [line for line in LINES if not line.startswith(("optimizer=adamw", "schedule."))]
    grid = ["train", "-m", *[line for line in small(*lines) if line != "model.hidden=[12]"]]
    alone = [sys.executable, "program.py", *grid, "hydra.sweep.dir=alone"]
    subprocess.run(alone, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    ranks([*grid, "hydra.sweep.dir=together"], program=("program.py",))
    for number, name in enumerate(NAMES):
        one, two = Path(f"alone/{number}"), Path(f"together/{number}")
        for step, limit in ((2, 1e-9), (6, 1e-6)):
            assert error_of_training(two, one, since=1, step=step) <= limit, name
        ours, theirs = ([m for m in metrics_of(f) if m["kind"] == "train"] for f in (two, one))
        assert len(ours) == len(theirs) == 6
        for mine, other in zip(ours, theirs, strict=True):
            for key in other:
                if key.startswith("optimizer/"):
                    assert mine[key] == pytest.approx(other[key], rel=1e-5, nan_ok=True), name
