"""A device that is not there: what a training step would make a GPU wait for, found on a CPU.

Tensors lie on `gpu`, of which torch knows all but the numbers (FakeTensorMode): shapes, types and
which device. Operations on tensors of two devices fail. A dispatch mode notes what has to wait: a
number that is read, copies from one device to the other (`.cpu()`, `.to("cpu")`, a tensor that was
made on the CPU and is sent over), and indices that lie on the CPU.

What can't be told: how many transfers the numbers of a monitored step take, and whether a loss is
read one step late (`LossReader` and `UpdateWatch` are cut short here); what is done less often than
once in `STEPS` steps; and what a kernel of CUDA's waits for inside.

torch knows one such device a process, and random generators would warn of it ever after: so this is
imported in processes of its own, by `cases.py`.
"""

from __future__ import annotations

import dataclasses
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend
from training.experiments import experiment

import optbench
from optbench.assemble.experiment import Experiment
from optbench.assemble.players import build_players
from optbench.assemble.steps import make_steps, ways_of
from optbench.monitor.updates import UpdateWatch
from optbench.training import rng
from optbench.training.batches import MicroBatch, StepBatch
from optbench.training.callback import Callback
from optbench.training.checkpointer import RunState
from optbench.training.distributed import World
from optbench.training.graph.graphed_step import GraphedStep
from optbench.training.graph.why_in_pieces import held_or_why
from optbench.training.loss_reader import LossReader
from optbench.training.position import Progress
from optbench.training.precision import Precision
from optbench.training.strategy import strategy_of
from optbench.training.together.core import Core
from optbench.training.together.stack import batch_stack
from optbench.training.trainer import Trainer

_setup_privateuseone_for_python_backend("gpu")
GPU = torch.device("gpu", 0)
STEPS = 4
"""Of each case: state is made at the first, and a loss is read one step late."""

READ = torch.ops.aten._local_scalar_dense.default
Train = Callable[..., Counter[str]]

COMPARED = {torch.ops.aten.equal.default, torch.ops.aten.allclose.default}
COPIES = {torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default}
CHECKED = {
    torch.ops.aten._linalg_check_errors.default,
    torch.ops.aten._linalg_eigh.default,
    torch.ops.aten._linalg_svd.default,
}
"""Of torch.linalg, what looks on the CPU whether it went well."""
MASKED = {torch.ops.aten.index_put.default, torch.ops.aten.index_put_.default}
INDEXED = {
    torch.ops.aten.index.Tensor,
    torch.ops.aten.index_put.default,
    torch.ops.aten.index_put_.default,
    torch.ops.aten.index_select.default,
    torch.ops.aten.gather.default,
}


_TENSOR, _AS_TENSOR = torch.tensor, torch.as_tensor


def _tensor(data: Any, *args: Any, device: Any = None, **named: Any) -> Tensor:
    """Make a tensor as torch does for a GPU: on the CPU, and send it over."""
    return _sent(_TENSOR(data, *args, **named), device)


def _as_tensor(data: Any, *args: Any, device: Any = None, **named: Any) -> Tensor:
    return _sent(_AS_TENSOR(data, *args, **named), device)


def _sent(made: Any, device: Any) -> Tensor:
    if device is None or torch.device(device).type == "cpu":
        return made
    made.constant = None  # a fake one of a single number knows it, and would really send it
    return made.to(device)


class _Generator(torch.Generator):
    """One of the CPU, for the device has none: what is drawn has no numbers anyway."""

    device = GPU  # type: ignore[assignment]

    def __new__(cls, device: Any = "cpu") -> _Generator:
        return super().__new__(cls)


def _by_mask(args: Any) -> bool:
    """Whether it is indexed by truths, of which somebody has to know how many there are.

    A single number is put there without that, if it is Python's, which this device can't tell.
    """
    if args[2].numel() == 1:
        return False
    return any(isinstance(t, Tensor) and t.dtype == torch.bool for t in tree_leaves(args[1]))


class Waits(TorchDispatchMode):
    """Notes what a GPU would be waited for, or sent, after the first step.

    In the first one state is made, and some look once whether they fit the model. Each number that
    is read is 1.

    Attributes:
        found: what, and where; by how often.
        steps: that were taken.
    """

    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()
        self.steps = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is READ and args[0].device == GPU:
            self._note("reads a number")
            return 1.0 if args[0].is_floating_point() else 1
        if func in COMPARED and args[0].device == GPU:
            self._note("reads a number")
            return True
        if func in CHECKED or (func in MASKED and _by_mask(args)):
            self._note("reads a number")
        found = func(*args, **(kwargs or {}))
        if func in COPIES or func in INDEXED:
            tensors = [t for t in tree_leaves((args, found)) if isinstance(t, Tensor)]
            devices = {t.device.type for t in tensors if t.numel()}
            if len(devices) > 1:
                self._note("indexes by the CPU's" if func in INDEXED else "copies between devices")
        return found

    def _note(self, what: str) -> None:
        if self.steps:
            self.found[f"{what}: {_where(traceback.extract_stack())}"] += 1


class _Enough(Exception):
    """Ends a run inside its loop, before it reads what is left to read."""


class _Stop(Callback):
    def __init__(self, waits: Waits) -> None:
        self._waits = waits

    def on_step_end(self, trainer: Trainer, step: int) -> None:
        """Count the steps; end the run after some."""
        self._waits.steps = step
        if step == STEPS:
            raise _Enough


class Feed:
    """A run's first batches, on the device."""

    def __init__(self, feed: Any, moved: Callable[[Any], Any]) -> None:
        self._feed, self._works = feed, []
        for index in range(STEPS):
            work = feed.step_at(0, index)
            micros = [MicroBatch(moved(batch), weight) for batch, weight in work.micros]
            self._works.append(work._replace(micros=micros))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._feed, name)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[StepBatch]:
        """The steps of the first epoch."""
        yield from self._works[start:]

    def step_at(self, epoch: int, index: int) -> StepBatch:
        """One of them."""
        return self._works[index]


class OnDevice:
    """An experiment whose modules, batches and optimizers are on the device.

    Args:
        overrides: of the run.
        mode: that others on the device have too.
    """

    def __init__(self, *overrides: str, mode: FakeTensorMode | None = None) -> None:
        self.mode = mode or FakeTensorMode(allow_non_fake_inputs=True)
        made = experiment("eval.every=0", "checkpoint=none", *overrides)
        modules = {player.name: player.module for player in made.state.players}
        for inner in {each for module in modules.values() for each in module.modules()}:
            self._move(inner)
        world = World(GPU)
        strategy, old = strategy_of(world), made.state
        feed: Any = Feed(made.feed, self.moved)
        with self.mode:
            players, self.implementation = build_players(
                made.config, modules, old.task, feed, made.settings.total_steps, world, strategy
            )
        state = RunState(
            players=players,
            precision=Precision(GPU),
            progress=Progress(),
            best=old.best,
            stopping=old.stopping,
            reached=old.reached,
            task=old.task,
            world=world,
            strategy=strategy,
        )
        self.made: Experiment = dataclasses.replace(
            made, world=world, state=state, feed=feed, validation=None, test=None
        )

    def moved(self, value: Any) -> Any:
        """Return tensors, also inside of others, as on the device."""
        return tree_map(self._moved, value)

    def _moved(self, value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        fake = self.mode.from_tensor(value.detach())
        with self.mode:
            return fake.to(GPU)

    def _move(self, module: nn.Module) -> None:
        for name, parameter in module._parameters.items():
            if parameter is not None:
                new = nn.Parameter(self._moved(parameter), parameter.requires_grad)
                module._parameters[name] = new
        for name, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[name] = self._moved(buffer)

    def train(self) -> Counter[str]:
        """Train some steps, by the trainer; return what a GPU would be waited for."""
        waits = Waits()
        with self.mode:
            trainer = self.made.trainer(callbacks=[_Stop(waits)])
            with waits, suppress(_Enough):
                trainer.run()
        assert waits.steps == STEPS
        return waits.found


class Noting:
    """Notes a step on the device that is not there: whoever waits for it inside is found.

    Args:
        waits: what is waited for all along.
    """

    def __init__(self, waits: Waits) -> None:
        self._waits = waits
        self.found: Counter[str] = Counter()

    def aside(self) -> Any:
        """Nothing: there is one stream."""
        return nullcontext()

    def note(self, function: Callable[[], None]) -> Callable[[], None]:
        """Do what is to be noted; nothing repeats it."""
        before = Counter(self._waits.found)
        function()
        self.found += self._waits.found - before
        return lambda: None

    def why_no_room(self) -> None:
        """There is enough."""


def train_noted(*overrides: str) -> Counter[str]:
    """Take steps until one is noted as a graph; return what a GPU would be waited for in it, or
    sent, and what it would be waited for in the others."""
    on, waits = OnDevice(*overrides), Waits()
    made, noting = on.made, Noting(waits)
    with on.mode:
        held = held_or_why(made.state, ways_of(made.config))
    if isinstance(held, str):
        raise NotImplementedError(held)
    with on.mode:
        (step,) = make_steps(
            made.config,
            made.state,
            made.clipping,
            held=held,
            told=lambda reason: waits.found.update([reason]),
            graphs=noting,
        )
        with waits:
            for number in range(STEPS):
                step.loss_and_gradients(made.feed.step_at(0, number), unseen=True)
                step.update()
                step.player.advance()
                waits.steps = number + 1
    assert isinstance(step, GraphedStep) and (step.replayed == 1 or waits.found)
    others = {what: n for what, n in waits.found.items() if not what.startswith("copies")}
    return noting.found | Counter(others)


def read_late(self: LossReader[Any]) -> Any:
    """Take what `LossReader` has copied to the CPU as read: that waits for the step before."""
    if self._pending is None:
        return None
    mark, _, _ = self._pending
    self._pending = None
    return mark, 1.0


def read_once(self: UpdateWatch) -> dict[str, float]:
    """Take what a monitored step reads as read, which it does in one transfer."""
    self.fresh = False
    return {"grad_norm/total": 1.0}


torch.tensor, torch.as_tensor, torch.Generator = _tensor, _as_tensor, _Generator  # type: ignore
rng.same = lambda one, other: True
LossReader.settle = read_late  # type: ignore[method-assign]
UpdateWatch.read = read_once  # type: ignore[method-assign]


def _where(frames: Iterable[traceback.FrameSummary]) -> str:
    """Return the last place in optbench, or in an optimizer's own code."""
    own = (str(Path(optbench.__file__).parent), str(Path(__file__).with_name("planted.py")))
    at = [f for f in frames if f.filename.startswith(own) or "optim" in f.filename]
    return f"{Path(at[-1].filename).name}, {at[-1].name}" if at else "the trainer"


def train_at_once(*overrides: str) -> Counter[str]:
    """Take some steps of two runs at once; return what a GPU would be waited for."""
    waits, mode = Waits(), FakeTensorMode(allow_non_fake_inputs=True)
    runs = [OnDevice(*overrides, f"seed={seed}", mode=mode) for seed in range(2)]
    feeds = [run.made.feed for run in runs]
    with mode:
        trainers = [run.made.trainer() for run in runs]
        core = Core([trainer.steps[0] for trainer in trainers], feeds)
        reader: LossReader[int] = LossReader(late=True)
        with waits:
            for number in range(STEPS):
                batches = [next(iter(feed.step_at(0, number).micros)).batch for feed in feeds]
                reader.push(number, core.loss.gradients(batch_stack(batches)))
                core.clip()
                core.update.step(number + 1)
                for member, trainer in enumerate(trainers):
                    trainer.players[0].advance()
                    core.update.read_settings(member)
                waits.steps = number + 1
    return waits.found


def outcome(*overrides: str, train: Train | None = None) -> str:
    """Return "" for a run whose steps make nobody wait, else what does."""
    try:
        found = OnDevice(*overrides).train() if train is None else train(*overrides)
    except Exception as error:
        first = (str(error).splitlines() or [""])[0]
        return (
            f"{type(error).__name__}: {first} ({_where(traceback.extract_tb(error.__traceback__))})"
        )
    return "; ".join(f"{what}, {count} in {STEPS - 1} steps" for what, count in found.items())
