"""A whole run from its config: everything that the trainer needs."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from optbench.assemble.create import created, kind_of, own_target
from optbench.assemble.data import known_sizes, wanted
from optbench.assemble.examples import batches, evaluation_sets
from optbench.assemble.fitting import check_fit
from optbench.assemble.metric_checks import check_metrics
from optbench.assemble.modules import build_modules
from optbench.assemble.own_loss import chosen_loss, names_loss
from optbench.assemble.players import build_players
from optbench.assemble.slope import check_slope
from optbench.assemble.smallest import check_smallest
from optbench.assemble.start import freeze, start_from
from optbench.assemble.steps import graph_of, make_steps
from optbench.assemble.trackers import best, stopping, target
from optbench.assemble.without_gradients import without_slope
from optbench.config.run_config import RunConfig
from optbench.config.schema import DEFAULT_EPOCHS
from optbench.data.dataset import Dataset
from optbench.data.permutation import all_of
from optbench.errors import UserError
from optbench.monitor.record import Recorder
from optbench.optim.groups import parameter_count
from optbench.rundir import RunDir
from optbench.tasks.base import Task
from optbench.training import rng
from optbench.training.averaged import RECALIBRATION_BATCHES, with_modes
from optbench.training.batches import BatchStream
from optbench.training.callback import Callback
from optbench.training.checkpointer import Checkpointer, RunState
from optbench.training.clipping import Clipping
from optbench.training.distributed import World
from optbench.training.graph.held import Held
from optbench.training.player import Player
from optbench.training.position import Progress
from optbench.training.precision import Precision, set_matmul
from optbench.training.settings import Cadence, EvaluationSet, Settings
from optbench.training.signals import Interruption
from optbench.training.strategy import strategy_of
from optbench.training.trainer import Trainer

_DEFAULT_THREADS = torch.get_num_threads()


@dataclass
class Experiment:
    """A run that is ready to start: nothing of it is on the disk yet.

    Attributes:
        notes: what whoever trains should know of how it was built.
        choices: the file that each group chose, for messages.
        graph: the optimizer, made for steps that are one CUDA graph, or why they are not; None
            where that is no question.
        on_graph: is told why they are not, if that turns out as they are taken.
    """

    config: RunConfig
    world: World
    state: RunState
    feed: BatchStream
    validation: EvaluationSet | None
    test: EvaluationSet | None
    clipping: dict[str, Clipping]
    settings: Settings
    implementation: str
    parameters: int
    dataset: Dataset
    notes: Sequence[str] = ()
    choices: Mapping[str, str] = field(default_factory=dict)
    graph: Held | str | None = field(init=False)
    on_graph: Callable[[str], None] = lambda reason: None

    def __post_init__(self) -> None:
        self.graph = graph_of(self.config, self.state)

    def _without_graph(self, reason: str) -> None:
        self.graph = reason
        self.on_graph(reason)

    def keeper(self, folder: RunDir) -> Checkpointer | None:
        """Return the checkpointer of the run in its folder; None for a run without checkpoints."""
        checkpoint = self.config.checkpoint
        if not (checkpoint.final or checkpoint.every.value or checkpoint.best):
            return None
        return Checkpointer(
            folder.checkpoints,
            self.state,
            checkpoint.keep_last,
            checkpoint.async_write,
            keep_best=checkpoint.best is not None,
        )

    def reader(self, folder: RunDir) -> Checkpointer:
        """Return the checkpointer to resume with; one that saves nothing now may have before."""
        return Checkpointer(folder.checkpoints, self.state)

    def trainer(
        self,
        recorder: Recorder | None = None,
        keeper: Checkpointer | None = None,
        interruption: Interruption | None = None,
        callbacks: Sequence[Callback] = (),
    ) -> Trainer:
        """Return the trainer, which goes on from wherever the state is.

        Args:
            recorder: takes the measurements; default: nobody does.
            keeper: saves the state; default: it is not saved.
            interruption: a wish to stop; default: there is none.
            callbacks: told of steps, evaluations and checkpoints.
        """
        state, held = self.state, self.graph
        steps = make_steps(
            self.config,
            state,
            self.clipping,
            held=None if isinstance(held, str) else held,
            told=self._without_graph,
            wary=bool(callbacks),
        )
        return Trainer(
            state,
            steps,
            self.feed,
            validation=self.validation,
            test=self.test,
            settings=self.settings,
            recorder=Recorder() if recorder is None else recorder,
            keeper=keeper,
            interruption=Interruption() if interruption is None else interruption,
            callbacks=callbacks,
        )


def build_experiment(
    config: RunConfig,
    dataset: Dataset,
    world: World,
    weights: Mapping[str, Tensor] | None = None,
    choices: Mapping[str, str] = MappingProxyType({}),
) -> Experiment:
    """Build the run; raise UserError for what does not fit together.

    Args:
        weights: a state dict to start from, instead of those that are drawn.
        choices: the file that each group chose, for messages.
    """
    if config.checkpoint.async_write and world.size > 1:
        raise UserError("checkpoint.async_write=true: only with one rank; use checkpoint=default")
    set_backends(config)
    rng.seed_everything(config.seed)
    task = make_task(config, dataset)
    feed = batches(config, dataset, world, task.carries)
    validation, test = evaluation_sets(config, dataset, feed.source, world.device)
    modules, notes = _started_modules(config, dataset, task, feed, world.device, weights, choices)
    check_metrics(config, task, _parameter_names(modules))
    _check_carrying(config, dataset, task, modules)
    total_steps = config.steps or (config.epochs or DEFAULT_EPOCHS) * feed.steps_per_epoch
    precision = precision_of(config, world.device)
    check_fit(config, task, modules, feed.source, feed.indices, precision, choices)
    strategy = strategy_of(world, config.strategy)
    players, implementation = build_players(
        config, modules, task, feed, total_steps, world, strategy
    )
    _check_losses(config, task, modules, players, feed, total_steps, precision, choices)
    rng.seed_everything(config.seed, world.rank)
    state = RunState(
        players=players,
        precision=precision,
        progress=Progress(),
        best=best(config, task, validation),
        stopping=stopping(config, task),
        reached=target(config, task),
        task=task,
        world=world,
        strategy=strategy,
    )
    return Experiment(
        config=config,
        world=world,
        state=state,
        feed=feed,
        validation=validation,
        test=test if config.eval.test else None,
        clipping=_clipping(config),
        settings=_settings(config, feed, total_steps),
        implementation=implementation,
        parameters=sum(parameter_count(_trained(player.module)) for player in players),
        dataset=dataset,
        notes=[*notes, *without_slope(players)],
        choices=choices,
    )


def _trained(module: nn.Module) -> list[nn.Parameter]:
    """Return the parameters that are trained, whole also where each rank has a part of them."""
    return [parameter for parameter in module.parameters() if parameter.requires_grad]


def _check_losses(
    config: RunConfig,
    task: Task,
    modules: Mapping[str, nn.Module],
    players: Sequence[Player],
    feed: BatchStream,
    total_steps: int,
    precision: Precision,
    choices: Mapping[str, str],
) -> None:
    """Refuse losses without gradients, and those that the smallest micro-batch has none of."""
    check_slope(config, task, modules, players, feed, precision, choices)
    looked_at = _batches_looked_at(players, total_steps)
    check_smallest(config, task, modules, feed, looked_at, precision)


def _batches_looked_at(players: Sequence[Player], total_steps: int) -> int:
    """Return how many of a run's first batches its models see."""
    recalibrates = any(with_modes(player.optimizer) for player in players)
    return max(total_steps, RECALIBRATION_BATCHES) if recalibrates else total_steps


def _started_modules(
    config: RunConfig,
    dataset: Dataset,
    task: Task,
    feed: BatchStream,
    device: torch.device,
    weights: Mapping[str, Tensor] | None,
    choices: Mapping[str, str],
) -> tuple[dict[str, nn.Module], list[str]]:
    """Return the players' modules as training finds them, and what is to be told of them."""
    source, indices = feed.source, feed.indices
    modules = build_modules(config, dataset, task, source, indices, device, choices)
    note = None if weights is None else start_from(config, modules, weights)
    freeze(config, modules)
    return modules, [note] if note else []


def _clipping(config: RunConfig) -> dict[str, Clipping]:
    """Return the clipping of each player."""
    return {
        name: Clipping(**vars(config.clip), centralize=own.optimizer["centralize_gradients"])
        for name, own in config.players.items()
    }


def _check_carrying(
    config: RunConfig, dataset: Dataset, task: Task, modules: Mapping[str, nn.Module]
) -> None:
    """Raise UserError where a state is to be carried from step to step, and none can be."""
    if not task.carries:
        return
    if config.shuffle == "once":
        raise UserError("shuffle=once: with task.carry=true nothing is shuffled")
    for module in modules.values():
        if "state" not in inspect.signature(module.forward).parameters:
            name = type(module).__name__
            raise UserError(f"task.carry=true: {name} has no state; use model=lstm, gru or rnn")
    if not getattr(dataset, "consecutive", False):
        raise UserError("task.carry=true: needs windows side by side; use dataset.stride=null")


def _parameter_names(modules: Mapping[str, nn.Module]) -> list[str]:
    """Return the parameters' names as in tags: with the player's where there are several."""
    several = len(modules) > 1
    return [
        f"{player}/{name}" if several else name
        for player, module in modules.items()
        for name, parameter in module.named_parameters()
        if parameter.requires_grad
    ]


def build_model(config: RunConfig, dataset: Dataset, device: torch.device) -> dict[str, nn.Module]:
    """Return the bare modules by player, without what only concerns their training.

    This draws from the global generators, as building a run does.
    """
    config = dataclasses.replace(config, compile=False, activation_checkpointing=False)
    task = make_task(config, dataset)
    source, indices = dataset.open("train", device), all_of(dataset.train_size)
    return build_modules(config, dataset, task, source, indices, device)


def make_task(config: RunConfig, dataset: Dataset) -> Task:
    """Return the task, with what it wants to know of the run; label smoothing if it has such."""
    path = str(config.task["_target_"])
    known = {"label_smoothing": config.label_smoothing, "seed": config.seed}
    given = wanted(own_target(config.task, "task"), known | known_sizes(dataset))
    if config.label_smoothing and "label_smoothing" not in given:
        raise UserError(f"label_smoothing={config.label_smoothing}: {path} has none")
    if names_loss(config.task):
        given["loss"] = chosen_loss(config.task)
        if config.label_smoothing and given["loss"] is not None:
            raise UserError(f"label_smoothing={config.label_smoothing}: not with task.loss")
    task: Task = created(config.task, "task", **given)
    if not isinstance(task, Task):
        raise UserError(f"task._target_={path}: gives {kind_of(task)}; expected a Task of optbench")
    return task


def set_backends(config: RunConfig) -> None:
    """Set torch's process-wide switches, on as well as off, for one process does many runs."""
    torch.set_num_threads(config.threads or _DEFAULT_THREADS)
    set_matmul(config.precision.matmul)
    if torch.are_deterministic_algorithms_enabled() != config.deterministic:
        torch.use_deterministic_algorithms(config.deterministic)  # imports the compiler: 1 s
    torch.backends.cudnn.benchmark = False  # it picks kernels by timing: a resumed run others
    torch.backends.cudnn.deterministic = config.deterministic


def precision_of(config: RunConfig, device: torch.device) -> Precision:
    name = config.precision.autocast
    dtype = getattr(torch, name, None) if name else None
    if name and not isinstance(dtype, torch.dtype):
        raise UserError(f"precision.autocast={name}: no such dtype in torch")
    return Precision(device, dtype, config.precision.scaler)


def _settings(config: RunConfig, feed: BatchStream, total_steps: int) -> Settings:
    def every(length: Any) -> int:
        return int(length.steps(feed.steps_per_epoch, total_steps))

    return Settings(
        total_steps=total_steps,
        cadence=Cadence(
            evaluate=every(config.eval.every),
            save=every(config.checkpoint.every),
            monitor=every(config.monitor.every),
            histograms=every(config.monitor.histograms),
        ),
        nonfinite=config.nonfinite,
        patience=config.early_stopping.patience,
        eval_batch_size=config.eval.batch_size,
        per_parameter=config.monitor.per_parameter,
        activations=config.monitor.doctor and config.monitor.per_parameter and not config.compile,
        flops=config.monitor.flops,
        save_final=config.checkpoint.final,
        save_best=config.checkpoint.best is not None,
    )
