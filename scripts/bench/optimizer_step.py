"""One optimizer step, as a multiple of the time in which memory could be read and written once.

The bound is the least that a step has to move (parameter, gradient and state read; parameter and
state written; layer-wise methods need a second look) over the bandwidth of `x += y`, measured in
the same rounds. Ours run by every implementation, beside torch's and other libraries'. Where
tensors lie changes a step by ten per cent, so all are made anew some times, in another order.

Usage: python scripts/bench/optimizer_step.py [--size 11.2M|1M] [--places N] [--rounds N]
    [--only NAME ...] [--quick]
"""

from __future__ import annotations

import random
import sys
import warnings
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from inspect import Parameter, signature
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch
from torch import Tensor

from common import parser, start
from optbench.optim.first_order.adabelief import AdaBelief
from optbench.optim.first_order.adabound import AdaBound, AMSBound
from optbench.optim.first_order.adagrad_eps_inside import AdagradEpsInside
from optbench.optim.first_order.adan import Adan
from optbench.optim.first_order.amsgrad import AMSGrad
from optbench.optim.first_order.heavy_ball import HeavyBall
from optbench.optim.first_order.lamb import LAMB
from optbench.optim.first_order.lars import LARS
from optbench.optim.first_order.lion import Lion
from optbench.optim.first_order.momentum import Momentum
from optbench.optim.first_order.nag import NAG
from optbench.optim.first_order.rmsprop_eps_inside import RMSpropEpsInside
from optbench.optim.second_order.sophia import Sophia
from timing import Row, Times, alternate, estimate, machine_line, print_rows, ratio

Make = Callable[[list[Tensor]], Any]
STREAMS = {1: 5, 2: 7, 3: 9, 4: 11}
"""Tensors that pass through memory, by tensors of state: each is read and written, and the
parameter too; the gradient is read."""

MOVED = 16_000_000
"""Elements of x and y, which no cache holds."""

NEVER = 10**9
"""Steps from one estimate of the Hessian to the next: it is not what is measured."""

OURS = "optbench foreach"

BESIDES = {"LARS": 2, "LAMB": 3, "NAG": 4, "Sophia": -1}
"""What passes before the update itself, and what does not: the diagonal of Sophia's Hessian is read
only, between two estimates. For norms parameter and gradient are read, or parameter and both
moments; to look ahead parameter and velocity are read, and written that point and the weights to
come back to."""


Families = dict[str, tuple[int, dict[str, Make]]]
"""By algorithm: tensors of state, and its makers."""


def families() -> Families:
    """All of ours, beside the peers that are installed."""
    found: Families = {name: (state, dict(makers)) for name, (state, makers) in _own().items()}
    for name, makers in _torchs().items():
        found[name][1].update(makers)
    if find_spec("pytorch_optimizer"):
        _add_pytorch_optimizers(found)
    if find_spec("optimi"):
        _add_optimis(found)
    return found


def _own() -> Families:
    return {
        "momentum": (1, _ours(Momentum)),
        "heavy ball": (1, _ours(HeavyBall)),
        "NAG": (1, _ours(NAG)),
        "AdamW": (2, {}),
        "Adagrad": (1, _ours(AdagradEpsInside)),
        "RMSprop": (1, _ours(RMSpropEpsInside)),
        "AMSGrad": (3, _ours(AMSGrad)),
        "AdaBound": (2, _ours(AdaBound)),
        "AMSBound": (3, _ours(AMSBound)),
        "AdaBelief": (2, _ours(AdaBelief)),
        "Lion": (1, _ours(Lion)),
        "Adan": (4, _ours(Adan)),
        "LAMB": (2, _ours(LAMB)),
        "LARS": (1, _ours(LARS)),
        "Sophia": (2, _ours(Sophia, hessian_every=NEVER)),
    }


def _torchs() -> dict[str, dict[str, Make]]:
    t = torch.optim
    ball: dict[str, Any] = {"lr": 0.01, "momentum": 0.9}
    return {
        "momentum": {
            "torch SGD fused": lambda p: t.SGD(p, **ball, fused=True),
            "torch SGD foreach": lambda p: t.SGD(p, **ball, foreach=True),
        },
        "NAG": {
            "torch SGD nesterov foreach": lambda p: t.SGD(p, **ball, nesterov=True, foreach=True)
        },
        "AdamW": {
            "torch fused": lambda p: t.AdamW(p, fused=True),
            "torch foreach": lambda p: t.AdamW(p, foreach=True),
            "torch loop": lambda p: t.AdamW(p, foreach=False),
        },
        "Adagrad": {
            "torch fused": lambda p: t.Adagrad(p, fused=True),
            "torch foreach": lambda p: t.Adagrad(p, foreach=True),
        },
        "RMSprop": {"torch foreach": lambda p: t.RMSprop(p, foreach=True)},
        "AMSGrad": {
            "torch fused": lambda p: t.Adam(p, amsgrad=True, fused=True),
            "torch foreach": lambda p: t.Adam(p, amsgrad=True, foreach=True),
        },
    }


def _add_pytorch_optimizers(found: Families) -> None:
    import pytorch_optimizer as theirs

    names = {"AdaBound": "AdaBound", "AdaBelief": "AdaBelief", "Lion": "Lion", "Adan": "Adan"}
    for name, cls in {**names, "LAMB": "Lamb", "LARS": "LARS"}.items():
        for foreach in (False, True):
            how = "foreach" if foreach else "loop"
            found[name][1][f"pytorch-optimizer {how}"] = _theirs(getattr(theirs, cls), foreach)
    found["AMSBound"][1]["pytorch-optimizer foreach"] = lambda p: theirs.AdaBound(
        p, ams_bound=True, foreach=True
    )
    found["Sophia"][1]["pytorch-optimizer"] = _sophia_h


def _add_optimis(found: Families) -> None:
    import optimi

    found["momentum"][1]["optimi SGD"] = lambda p: optimi.SGD(p, lr=0.01, momentum=0.9)
    for name, cls in {"AdamW": optimi.AdamW, "Lion": optimi.Lion, "Adan": optimi.Adan}.items():
        found[name][1]["optimi foreach"] = partial(cls, lr=1e-3, foreach=True)
        found[name][1]["optimi"] = partial(cls, lr=1e-3)


def _ours(cls: Any, **settings: Any) -> dict[str, Make]:
    def made(how: str) -> Make:
        return lambda parameters: cls(parameters, implementation=how, **settings)

    return {f"optbench {how}": made(how) for how in cls.implementations}


def _sophia_h(parameters: list[Tensor]) -> Any:
    """With a Hessian already, which it would estimate at its first step."""
    from pytorch_optimizer import SophiaH

    optimizer = SophiaH(parameters, update_period=NEVER)
    optimizer.step(hessian=[torch.zeros_like(parameter) for parameter in parameters])
    return optimizer


def _theirs(cls: Any, foreach: bool) -> Make:
    return partial(cls, foreach=foreach)


def shapes(size: str) -> list[tuple[int, ...]]:
    """Those of ResNet-18 with 10 classes, 11.2 million; or of a small MLP, one million."""
    if size == "1M":
        return [(1000, 784), (1000,), (200, 1000), (200,), (10, 200), (10,)]
    from torchvision.models import resnet18

    return [tuple(p.shape) for p in resnet18(num_classes=10).parameters()]


class Objective:
    """For those that ask for one: it computes nothing."""

    def __call__(self) -> float:
        return 0.0

    def hvp(self, parameters: list[Tensor], vectors: list[Tensor]) -> list[Tensor]:
        return vectors


def stepper(make: Make, wanted: list[tuple[int, ...]], device: torch.device) -> Callable[[], None]:
    """A step with gradients that are there already."""
    parameters = [torch.nn.Parameter(torch.randn(shape, device=device)) for shape in wanted]
    for parameter in parameters:
        parameter.grad = torch.randn_like(parameter)
    optimizer = make(list(parameters))
    asks = signature(optimizer.step).parameters["closure"].default is Parameter.empty
    closure = Objective() if asks else None

    def step() -> None:
        optimizer.step(closure)
        if device.type == "cuda":
            torch.cuda.synchronize()

    return step


def main() -> None:
    """A table for each algorithm."""
    options = parser(__doc__)
    options.add_argument("--size", choices=["11.2M", "1M"], default="11.2M")
    options.add_argument("--places", type=int, default=5, help="how often tensors are made anew")
    options.add_argument("--rounds", type=int, default=5, help="in each place")
    options.add_argument("--only", nargs="*", help="algorithms, such as Lion")
    arguments = options.parse_args()
    if arguments.quick:
        arguments.size, arguments.places, arguments.rounds = "1M", 1, 1
        arguments.only = arguments.only or ["AdamW", "Lion"]
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    print(machine_line("torch", "optbench", "pytorch_optimizer", "torch-optimi"))
    wanted = shapes(arguments.size)
    count = sum(torch.Size(shape).numel() for shape in wanted)
    for name, (state, makers) in families().items():
        if arguments.only and name not in arguments.only:
            continue
        if arguments.quick:  # compiling takes a minute
            makers = {label: make for label, make in makers.items() if "compiled" not in label}
        times: Times = {}
        for place in range(arguments.places):
            order = random.Random(place).sample(list(makers), len(makers))
            here = {label: makers[label] for label in order}
            for label, found in measured(here, wanted, count, arguments.rounds, device).items():
                times.setdefault(label, []).extend(found)
        times = {label: times[label] for label in ("x += y", *makers)}
        streams = STREAMS[state] + BESIDES.get(name, 0)
        title = f"{name}: {count / 1e6:.1f} M parameters, {streams} streams, {device.type}"
        print_rows(title, rows(times, streams * count / MOVED / 3, repeats(count)))


def repeats(count: int) -> int:
    """Steps in a turn."""
    return max(1, 11_000_000 // count)


def measured(
    makers: dict[str, Make],
    wanted: list[tuple[int, ...]],
    count: int,
    rounds: int,
    device: torch.device,
) -> Times:
    """Seconds of the turns of all makers of an algorithm, alternately."""
    x, y = torch.randn(MOVED, device=device), torch.randn(MOVED, device=device)

    def moved() -> None:
        x.add_(y)
        if device.type == "cuda":
            torch.cuda.synchronize()

    candidates: dict[str, Callable[[], None]] = {"x += y": moved}
    candidates |= {label: stepper(make, wanted, device) for label, make in makers.items()}

    def repeated(run: Callable[[], None]) -> Callable[[], None]:
        def turn() -> None:
            for _ in range(repeats(count)):
                run()

        return turn

    once = {k: run if k == "x += y" else repeated(run) for k, run in candidates.items()}
    return alternate(once, rounds, warmup=3)


def rows(times: Times, share: float, repeat: int) -> list[Row]:
    """What is printed.

    Args:
        times: by label.
        share: of what `x += y` moves, that a step has to.
        repeat: steps in a turn.
    """
    found = [Row("bound", estimate(times["x += y"]).times(share * 1e3), "ms")]
    for label in times:
        if label != "x += y":
            multiple = ratio(times, label, "x += y").times(1 / share / repeat)
            target = 2.0 if label.endswith("compiled") else None
            found.append(Row(label, multiple, "x bound", target))
    for label in times if OURS in times else ():
        if not label.startswith(("x +=", "optbench")):
            # A fused kernel is one pass: our compiled one's peer.
            target = None if label.endswith("fused") else 1.0
            found.append(Row(f"foreach over {label}", ratio(times, OURS, label), "x", target))
    return found


if __name__ == "__main__":
    start(main)
