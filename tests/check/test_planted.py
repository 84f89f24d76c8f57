"""Each planted fault is found by the check that is for it, with the right remedy; and healthy
trainings fail at nothing."""

from __future__ import annotations

import os
import shlex

import pytest

from optbench.errors import UserError

from .conftest import Checks
from .faults import FAULTS

DATA = os.environ.get("OPTBENCH_DATA", "")  # before a fixture hides it

OFTEN = {
    "a wrong backward",
    "a detached layer",
    "zero init",
    "constant init",
    "unnormalised data",
    "shuffled labels",
    "swapped images and labels",
    "test images in train",
    "lr x 1000",
    "lr / 1000",
    "dropout active in evaluation",
    "softmax before cross entropy",
    "loss summed",
    "a parameter in no group",
    "BatchNorm frozen",
    "augmentation that changes the look",
    "one class missing",
    "integers overflowing",
    "first layer frozen",
    "gradients clipped to nearly nothing",
}
"""Those that are looked at in the quick tests; the others are variations of them."""


def found(name: str, checks: Checks) -> None:
    fault = FAULTS[name]
    checked = checks(*shlex.split(fault.line), f"checks=[{fault.check}]")
    lines = [line for line in checked.lines if line.check == fault.check]
    fitting = [
        line
        for line in lines
        if line.status == fault.status
        and fault.says in line.finding.what
        and fault.remedy in line.finding.remedy
    ]
    assert fitting, [(line.status, line.finding) for line in lines]
    assert checked.passed is (fault.status != "fail")


@pytest.mark.parametrize("name", sorted(OFTEN))
def test_a_planted_fault_is_found_with_its_remedy(name: str, checks: Checks) -> None:
    found(name, checks)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in FAULTS if name not in OFTEN])
def test_a_variation_of_a_fault_is_found_too(name: str, checks: Checks) -> None:
    found(name, checks)


def test_every_fault_of_the_quick_tests_is_there() -> None:
    assert set(FAULTS) >= OFTEN


def healthy(checks: Checks, *words: str) -> None:
    checked = checks(*words)
    assert [line.finding for line in checked.failures] == []
    assert checked.counts["pass"] >= 7


def test_nothing_fails_where_nothing_is_wrong(checks: Checks) -> None:
    healthy(checks, "model.hidden=[16]")


@pytest.mark.slow
@pytest.mark.parametrize(
    "line",
    [
        "optimizer=sgd optimizer.lr=0.1 model.batch_norm=true model.dropout=0.2",
        "dataset.crop=1",
        "optimizer=muon",
        "optimizer=newton model.hidden=[8]",
        "precision=bf16 ema=0.9 label_smoothing=0.1",
        "batch_size=full schedule=one_cycle",
    ],
)
def test_nothing_fails_in_other_healthy_trainings(line: str, checks: Checks) -> None:
    healthy(checks, *line.split())


WORKLOADS = [
    *("adding_rnn", "digits_logistic", "digits_mlp", "fmnist_2c2d", "fmnist_mlp", "knapsack"),
    *("mnist_autoencoder", "mnist_dcgan", "mnist_vae", "quadratic_deep", "shakespeare_gpt"),
    "shakespeare_lstm",
]


@pytest.mark.slow
@pytest.mark.parametrize("name", WORKLOADS)
def test_no_workload_fails_at_its_defaults(
    name: str, checks: Checks, monkeypatch: pytest.MonkeyPatch
) -> None:
    try:
        checked = checks(f"workload={name}", "seconds=60", f"data_root={DATA}")
    except UserError as error:
        pytest.skip(str(error))
    assert [line.finding for line in checked.failures] == []
