"""What a training takes of memory beyond a bare loop's: peaks of whole processes, in turn.

ResNet-18 on made-up 32x32 images with AdamW; the bare loop has the same images in memory, and
the same steps. optbench has its defaults, which measure every tenth step; and nothing measured.
Beside the whole: what lies beyond a process that has only imported torch.

Usage: python scripts/bench/memory.py [--rounds N] [--batch N] [--steps N] [--quick]
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1]))

from common import parser, start
from timing import machine_line

WAYS = {
    "bare loop": None,
    "monitor.every=10": ["monitor.every=10"],
    "monitor.every=0": ["monitor.every=0", "monitor.tensorboard=false"],
}
MIB = 2**20


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--rounds", type=int, default=3, help="processes of each way")
    options.add_argument("--batch", type=int, default=64, help="examples of a step")
    options.add_argument("--steps", type=int, default=40, help="of each process")
    options.add_argument("--child", help="used by the script itself")
    arguments = options.parse_args()
    rounds, steps = (1, 2) if arguments.quick else (arguments.rounds, arguments.steps)
    batch = 2 if arguments.quick else arguments.batch
    if arguments.child is not None:
        print(json.dumps(_child(arguments.child, batch, steps)))
        return
    print(f"{machine_line()}; {steps} steps of {batch}; peak of the process in MiB")
    empty = _peak("nothing", batch, steps)
    peaks: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(rounds):
        for way, own in peaks.items():
            own.append(_peak(way, batch, steps))
    bare = median(peaks["bare loop"])
    print(f"torch alone      {empty:7.0f}")
    for way, own in peaks.items():
        found = median(own)
        print(
            f"{way:16} {found:7.0f}  {found / bare:5.3f} of the bare loop's;"
            f" beyond torch {(found - empty) / (bare - empty):5.3f}"
        )


def _peak(way: str, batch: int, steps: int) -> float:
    command = [sys.executable, __file__, "--child", way, "--batch", str(batch)]
    done = subprocess.run(
        [*command, "--steps", str(steps)],
        check=True,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    return float(json.loads(done.stdout.splitlines()[-1]))


def _child(way: str, batch: int, steps: int) -> float:
    import torch

    torch.set_num_threads(1)
    if way == "bare loop":
        _bare(batch, steps)
    elif way != "nothing":
        own = WAYS[way]
        assert own is not None
        _ours(batch, steps, own)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MIB


def _bare(batch: int, steps: int) -> None:
    import torch
    from torch.nn.functional import cross_entropy

    from optbench.models.torchvision_model import torchvision_classifier

    torch.manual_seed(0)
    model = torchvision_classifier("resnet18", input_shape=(3, 32, 32), num_classes=10)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    images, labels = torch.randn(4 * batch, 3, 32, 32), torch.randint(10, (4 * batch,))
    for step in range(steps):
        rows = torch.arange(batch) + batch * (step % 4)
        optimizer.zero_grad(set_to_none=True)
        cross_entropy(model(images[rows]), labels[rows]).backward()
        optimizer.step()


def _ours(batch: int, steps: int, more: Sequence[str]) -> None:
    import contextlib
    import io

    import optbench

    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        words = f"model=resnet18 dataset=synthetic dataset.train_size={4 * batch} eval.test=false"
        words += f" dataset.val_fraction=0 optimizer=adamw steps={steps} batch_size={batch}"
        words += " threads=1 device=cpu checkpoint=none"
        result = optbench.train(*words.split(), *more, folder=Path(folder) / "run")
        assert result.state == "finished", result.message


if __name__ == "__main__":
    start(main)
