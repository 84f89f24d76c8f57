"""A population comes to the same, whoever does its runs."""

from __future__ import annotations

import importlib.util

import pytest

from .program import assert_same_bits, call, final_state
from .test_pbt import ADAMW, at, parent_of

LEAVES_OPEN = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
"""submitit's files of what a job prints, of its cluster that is this process."""


def needs(package: str) -> pytest.MarkDecorator:
    missing = importlib.util.find_spec(package) is None
    return pytest.mark.skipif(missing, reason=f"needs {package}")


@pytest.mark.parametrize(
    "executor",
    [
        pytest.param(
            "executor=slurm executor.cluster=debug", marks=[needs("submitit"), LEAVES_OPEN]
        ),
        pytest.param("executor=local executor.workers=2", marks=pytest.mark.slow),
        pytest.param(
            "executor=slurm executor.cluster=local", marks=[needs("submitit"), pytest.mark.slow]
        ),
        pytest.param("executor=ray executor.workers=2", marks=[needs("ray"), pytest.mark.slow]),
    ],
)
def test_jobs_and_tasks_end_their_rounds_and_copy_as_one_process_does(executor: str) -> None:
    whole = call(ADAMW.replace("=study", "=whole"))
    found = call(f"{ADAMW} {executor}")
    assert found.code == 0, found.err
    assert found.out == whole.out.replace("whole", "study")
    for m in range(4):
        assert_same_bits(final_state(at(2, m)), final_state(at(2, m, "whole")))
        assert parent_of(at(2, m)) == parent_of(at(2, m, "whole"))
