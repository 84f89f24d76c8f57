"""Runs of the whole program in this process, and the means to compare what they leave."""

from __future__ import annotations

import gc
import json
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from optbench.cli.main import main
from optbench.monitor.record import Recorder
from optbench.training import checkpoint
from optbench.training.distributed import World

MACHINE = ["threads=1", "device=cpu"]
CLOCKED = (
    *("seconds", "throughput/examples_per_second", "throughput/tokens_per_second"),
    "memory/peak_mib",
)
"""What two equal runs do not have in common."""


def small(*overrides: str) -> list[str]:
    """The overrides of a quick run; its model is a small MLP unless they choose another."""
    chosen = any(line.startswith("model=") for line in overrides)
    return [*MACHINE, *([] if chosen else ["model.hidden=[12]"]), *overrides]


class Killed(BaseException):
    """Stands for a SIGKILL: nothing in the package may catch it."""


def dies(run: Callable[[], object]) -> None:
    """Expect that it is `Killed`; drop the files that it left open, of which Python would warn."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        with pytest.raises(Killed):
            run()
        gc.collect()  # not inside, where the exception still holds them


def train(folder: Path, *overrides: str) -> int:
    """`optbench train` into a folder of one's own choice; the exit code."""
    return main(["train", *small(*overrides), f"hydra.run.dir={folder}"])


def resume(folder: Path, *overrides: str) -> int:
    """`optbench resume`; the exit code."""
    return main(["resume", str(folder), *overrides])


def killed_run(
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    step: int,
    remains: Path,
    *overrides: str,
    again: Callable[[], object] | None = None,
) -> None:
    """A run that dies right after `step`; `remains` is its folder as the disk has it then.

    `again` goes on with a run instead of starting one.

    The copy is made before the exception unwinds, so that nothing closed on its way out can help
    the resumed run. All that was recorded is in it, and a torn end of more, which is the worst
    that a kill can leave.
    """
    tick = Recorder.tick

    def dying(self: Recorder, now: int) -> None:
        tick(self, now)
        if now == step:
            self.flush()
            snapshot(folder, remains)
            tear(remains)
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Recorder, "tick", dying)
        dies(again or partial(train, folder, *overrides))


@contextmanager
def copied_after(step: int, folder: Path, remains: Path) -> Iterator[None]:
    """The run in `folder` leaves in `remains` what `killed_run` does, and goes on to its end."""
    tick = Recorder.tick

    def copying(self: Recorder, now: int) -> None:
        tick(self, now)
        # Rank 0 has the sinks, whom the other one can't overtake; a skipped step comes twice.
        if now == step and self.sinks and not remains.exists():
            self.flush()
            snapshot(folder, remains)
            tear(remains)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Recorder, "tick", copying)
        yield


def whole_and_resumed(step: int, *overrides: str, at: Path = Path()) -> tuple[Path, Path]:
    """A run in `at/whole`, and in `at/resumed` one that was killed after `step` and resumed."""
    whole, resumed = at / "whole", at / "resumed"
    with copied_after(step, whole, resumed):
        assert train(whole, *overrides) == 0
    assert newest_step(resumed) < newest_step(whole)
    assert status_of(resumed)["state"] == "running"
    assert resume(resumed) == 0
    return whole, resumed


def snapshot(folder: Path, remains: Path) -> None:
    """Copies a folder; anew if a thread that writes a checkpoint came in between."""
    while True:
        try:
            shutil.copytree(folder, remains)
            return
        except (shutil.Error, FileNotFoundError):
            shutil.rmtree(remains)


def tear(folder: Path) -> None:
    """Adds the first bytes of one more record to the files that grow."""
    with (folder / "metrics.jsonl").open("ab") as file:
        file.write(b'{"kind": "train", "step": 1')
    for path in (folder / "tb").iterdir():
        with path.open("ab") as file:
            file.write(b"\x18\x00\x00\x00\x00\x00\x00\x00\x00\x00")


def cut_back(folder: Path, step: int) -> None:
    """Makes of a run that ended one that was stopped at a step, of which it has the checkpoint."""
    for later in checkpoint.steps(folder / "checkpoints"):
        if later > step:
            shutil.rmtree(folder / "checkpoints" / f"step-{later:08d}")
    status = status_of(folder) | {"state": "preempted"}
    (folder / "status.json").write_text(json.dumps(status), encoding="utf-8")


def newest_step(folder: Path) -> int:
    """The step of a run's newest checkpoint; 0 without one."""
    return max(checkpoint.steps(folder / "checkpoints"), default=0)


def newest(folder: Path) -> Path:
    """A run's newest checkpoint."""
    return folder / "checkpoints" / f"step-{newest_step(folder):08d}"


def shared_of(folder: Path) -> dict[str, Any]:
    """What the newest checkpoint has of all ranks, with what they have in rows whole."""
    alone = World(torch.device("cpu"))
    return checkpoint.read_checkpoint(folder / "checkpoints", newest_step(folder), alone).shared


def state_of(folder: Path) -> dict[str, Any]:
    """All that the newest checkpoint holds, by file, but the seconds that the training took."""
    files = sorted(newest(folder).glob("*.pt"))
    state = {path.name: torch.load(path, weights_only=True) for path in files}
    state["state.pt"] = shared_of(folder)
    for part in ("progress", "reached"):
        state["state.pt"][part].pop("seconds")
    state["state.pt"]["progress"].pop("optimizer_seconds")
    state["state.pt"].pop("watching")
    return state


def metrics_of(folder: Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl without what the clock says."""
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [
        {key: value for key, value in json.loads(line).items() if key not in CLOCKED}
        for line in lines
    ]


def status_of(folder: Path) -> dict[str, Any]:
    """status.json."""
    status: dict[str, Any] = json.loads((folder / "status.json").read_text(encoding="utf-8"))
    return status


def assert_same_bits(one: Any, other: Any, at: str = "") -> None:
    """Nested plain data, equal to the last bit of every tensor and number."""
    assert type(one) is type(other), at
    if isinstance(one, Tensor):
        assert one.dtype == other.dtype and one.shape == other.shape, at
        same = torch.equal(_bytes(one), _bytes(other))
        assert same, f"{at} differs by up to {(one.double() - other.double()).abs().max()}"
    elif isinstance(one, Mapping):
        assert list(one) == list(other), at
        for key in one:
            assert_same_bits(one[key], other[key], f"{at}.{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), at
        for number, (left, right) in enumerate(zip(one, other, strict=True)):
            assert_same_bits(left, right, f"{at}[{number}]")
    else:
        assert repr(one) == repr(other), at


def _bytes(tensor: Tensor) -> Tensor:
    return tensor.detach().contiguous().reshape(-1).view(torch.uint8)


def assert_same_run(one: Path, other: Path) -> None:
    """Two runs ended with the same bits and reported the same numbers."""
    assert newest(one).name == newest(other).name
    assert_same_bits(state_of(one), state_of(other))
    assert metrics_of(one) == metrics_of(other)
