"""Runs as tasks of Ray, which is a real one in the slow tests."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import optbench
from optbench.errors import ArgumentError, UserError
from optbench.executors import ray_nodes
from optbench.executors.base import WorkerDied
from optbench.executors.ray import Ray
from optbench.executors.ray_nodes import fitting, nodes_of
from optbench.rundir import RunDir
from optbench.runs.result import RunResult

from .runs import LONG, SMALL, has_checkpoint, wait_for


def test_there_is_room_for_what_each_node_has() -> None:
    nodes = [{"CPU": 8.0, "GPU": 2.0}, {"CPU": 3.0}]
    assert fitting(nodes, 1, 0) == 11
    assert fitting(nodes, 2, 0) == 5
    assert fitting(nodes, 0.1, 0) == 110
    assert fitting(nodes, 1, 1) == 2
    assert fitting(nodes, 1, 0.5) == 4
    assert fitting(nodes, 1, 0.4) == 4  # two on each, no run on a part of both
    assert fitting(nodes, 16, 0) == 0


def test_without_ray_the_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(
        UserError, match=r"executor=ray: needs ray, which is missing; pip install 'optbench\[ray\]'"
    ):
        optbench.sweep(*SMALL, "seed=0,1", "executor=ray", folder="s")
    assert not Path("s").exists()


@pytest.mark.parametrize("address", ["head", "head:x", ":6379", "head:70000", "ray://head:10001"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ArgumentError, match="expected host:port of the head"):
        nodes_of(address, 1.0)


def test_an_address_that_nobody_answers_is_refused_at_once() -> None:
    with socket.socket() as taken:  # bound, but not listening
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(ArgumentError, match=f"nobody answers at 127.0.0.1:{port}"):
            nodes_of(f"127.0.0.1:{port}", 5.0)


def test_auto_takes_the_address_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "nowhere")
    with pytest.raises(ArgumentError, match=r" \(RAY_ADDRESS=nowhere\): expected"):
        nodes_of("auto", 1.0)


@pytest.mark.parametrize(
    ("printed", "error", "said"),
    [("", "Traceback\nConnectionError: no node here\n", "no node here"), ("x", "", "no reason")],
)
def test_a_cluster_that_can_not_be_joined_says_why(
    monkeypatch: pytest.MonkeyPatch, printed: str, error: str, said: str
) -> None:
    answer = SimpleNamespace(stdout=printed, stderr=error)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(ray_nodes.subprocess, "run", lambda *given, **more: answer)
    with pytest.raises(ArgumentError, match=f"no Ray can be joined from here .*{said}"):
        nodes_of("auto", 1.0)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"cpus": 0}, "cpus=0: more than 0"),
        ({"cpus": 4096}, "cpus=4096: this machine has"),
        ({"gpus": 1.5}, r"gpus=1\.5: a part of one, or a whole number"),
        ({"gpus": 99}, "gpus=99: this machine has"),
        ({"workers": 0}, "workers=0: at least 1"),
    ],
)
def test_numbers_that_can_not_be_are_refused(given: dict[str, Any], said: str) -> None:
    pytest.importorskip("ray")
    with pytest.raises(ArgumentError, match=said):
        Ray(**given)


def test_a_cluster_may_have_room_for_a_run_later(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray")
    monkeypatch.setattr("optbench.executors.ray.nodes_of", lambda *given: [{"CPU": 2.0}])
    with pytest.raises(ArgumentError, match="gpus=1: this machine has 0"):
        Ray("head:6379", gpus=1)
    assert Ray("head:6379", gpus=1, workers=3).slots == 3
    assert Ray("head:6379").slots == 2


def test_what_ray_says_of_a_task_is_told_as_what_it_means() -> None:
    errors = pytest.importorskip("ray.exceptions")
    from optbench.executors.ray import _meaning

    died = _meaning(errors.WorkerCrashedError())
    assert isinstance(died, WorkerDied) and str(died) == "its process died, or its node"
    assert isinstance(_meaning(errors.NodeDiedError("node")), WorkerDied)
    assert "out of memory" in str(_meaning(errors.OutOfMemoryError("killed")))
    assert isinstance(_meaning(errors.TaskCancelledError()), WorkerDied)
    assert isinstance(_meaning(errors.RaySystemError("gone")), WorkerDied)
    cause = ModuleNotFoundError("No module named 'mine'")
    bad = _meaning(errors.RayTaskError("do_in_task", "Traceback", cause, "ray", 1, "127.0.0.1"))
    assert isinstance(bad, UserError)
    assert str(bad).endswith("can't do runs: ModuleNotFoundError: No module named 'mine'")


def test_a_run_that_was_stopped_has_the_signals_exit_code() -> None:
    pytest.importorskip("ray")
    executor = Ray()
    executor.stop(signal.SIGTERM)
    for code, wanted in ((130, 143), (0, 0)):
        done: Future[RunResult] = Future()
        done.set_result(RunResult(RunDir(Path("run")), "preempted", 3, exit_code=code))
        future: Future[RunResult] = Future()
        executor._take(done, RunDir(Path("run")), future)
        assert future.result(1).exit_code == wanted
    executor.close()
    spec: Any = None
    with pytest.raises(RuntimeError):
        executor.submit(spec, RunDir(Path("run")))


# real ones


@pytest.fixture
def executor() -> Iterator[Ray]:
    pytest.importorskip("ray")
    made = Ray(workers=1)
    yield made
    made.close()


@pytest.mark.slow
def test_results_are_those_of_one_run_after_the_other(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    grid = (*SMALL, "optimizer=sgd,adam", "steps=12")
    environment = dict(os.environ)
    handlers = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    tasks = optbench.sweep(*grid, "executor=ray", "executor.workers=2", folder=tmp_path / "tasks")
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == handlers
    assert dict(os.environ) == environment
    serial = optbench.sweep(*grid, folder=tmp_path / "serial")
    assert [r.state for r in tasks] == ["finished"] * 2
    assert [r.best for r in tasks] == [r.best for r in serial]


@pytest.mark.slow
def test_a_process_that_is_killed_costs_its_run_nothing_but_time(
    tmp_path: Path, executor: Ray
) -> None:
    future = executor.submit(optbench.compose(*SMALL, *LONG), RunDir(tmp_path / "run"))
    wait_for(lambda: has_checkpoint(tmp_path / "run"))
    import ray

    (process,) = at_work()
    os.kill(process, signal.SIGKILL)
    with pytest.raises(WorkerDied, match="its process died"):
        future.result(60)
    assert ray.is_initialized()
    shorter = optbench.compose(*SMALL, "steps=5")
    assert executor.submit(shorter, RunDir(tmp_path / "next")).result(60).state == "finished"


def at_work() -> list[int]:
    """The processes of Ray's that are at one of our tasks."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            said = path.read_bytes()
        except OSError:
            continue
        if said.startswith(b"ray::do_in_task"):
            found.append(int(path.parent.name))
    return found


@pytest.mark.slow
def test_asked_to_stop_a_run_ends_with_a_checkpoint(tmp_path: Path, executor: Ray) -> None:
    spec = optbench.compose(*SMALL, *LONG)
    future = executor.submit(spec, RunDir(tmp_path / "run"))
    waits = executor.submit(spec, RunDir(tmp_path / "waits"))
    wait_for(lambda: has_checkpoint(tmp_path / "run"))
    executor.stop(signal.SIGTERM)
    ended = future.result(60)
    assert (ended.state, ended.exit_code) == ("preempted", 143)
    assert RunDir(tmp_path / "run").read_status()["checkpoint"] == ended.step
    with pytest.raises(WorkerDied, match="cancelled"):
        waits.result(60)
    assert not (tmp_path / "waits").exists()


@pytest.mark.slow
def test_what_answers_but_is_no_ray_is_told_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray")
    monkeypatch.setattr(ray_nodes, "START_SECONDS", 3.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(ArgumentError, match=r"no Ray"):
            nodes_of(f"127.0.0.1:{port}", 1.0)


@pytest.mark.slow
def test_a_node_that_dies_costs_its_runs_nothing_but_time(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        other = cluster.add_node(num_cpus=1)
        line = f"executor.address={cluster.address}"
        command = [sys.executable, "-m", "optbench", "train", "-m", *SMALL, "seed=0,1,2,3"]
        more = ["steps=3000", "eval.every=0", "checkpoint.every=100", "hydra.sweep.dir=s"]
        begun = subprocess.Popen([*command, *more, "executor=ray", line])
        wait_for(lambda: len([n for n in range(4) if has_checkpoint(Path(f"s/{n}"))]) >= 2)
        cluster.remove_node(other, allow_graceful=False)
        assert begun.wait(200) == 0
    finally:
        cluster.shutdown()
    for number in range(4):
        folder = RunDir(Path(f"s/{number}"))
        assert folder.state == "finished"
        records = [(r["kind"], r["step"]) for r in folder.read_metrics() if "step" in r]
        assert len(records) == len(set(records))
        assert folder.read_status()["step"] == 3000
