"""A whole run from its config: everything that the trainer needs."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from optbench.build.create import create, locate
from optbench.build.data import batch_size, sizes
from optbench.build.decay import set_decay
from optbench.build.metrics import check_metrics, mode_of
from optbench.build.optimizer import build_optimizer, lr_factor
from optbench.build.schedules import build_schedules
from optbench.build.wrapper import wrapped
from optbench.config.schema import DEFAULT_EPOCHS, RunConfig
from optbench.data.dataset import Dataset
from optbench.data.order import split_validation
from optbench.errors import UserError
from optbench.models.checkpointing import enable_activation_checkpointing
from optbench.models.init import initialise
from optbench.monitor.record import Recorder
from optbench.optim.groups import parameter_count
from optbench.rundir import RunDir
from optbench.tasks.base import Task
from optbench.training import rng
from optbench.training.clipping import Clipping
from optbench.training.distributed import World
from optbench.training.ema import Ema
from optbench.training.feed import Feed
from optbench.training.keeper import Keeper, RunState
from optbench.training.player import Player, traits
from optbench.training.precision import Precision, set_matmul
from optbench.training.progress import Best, Mean, Progress
from optbench.training.settings import Cadence, EvaluationSet, Settings
from optbench.training.signals import Interruption
from optbench.training.step import Step
from optbench.training.trainer import Trainer

MODEL_OURS = ("init", "init_std", "init_bias")
_DEFAULT_THREADS = torch.get_num_threads()


@dataclass
class Experiment:
    """A run that is ready to start: nothing of it is on the disk yet."""

    config: RunConfig
    world: World
    state: RunState
    task: Task
    feed: Feed
    validation: EvaluationSet | None
    test: EvaluationSet | None
    clipping: Clipping
    settings: Settings
    implementation: str
    parameters: int

    def keeper(self, folder: RunDir) -> Keeper | None:
        """Who saves and resumes the run in its folder; None for a run without checkpoints."""
        checkpoint = self.config.checkpoint
        if not (checkpoint.final or checkpoint.every.value or checkpoint.best):
            return None
        return Keeper(
            folder.checkpoints,
            self.state,
            checkpoint.keep_last,
            checkpoint.async_write,
            keep_best=checkpoint.best is not None,
        )

    def reader(self, folder: RunDir) -> Keeper:
        """Who resumes the run; a run that saves nothing from now on may have saved before."""
        return Keeper(folder.checkpoints, self.state)

    def trainer(
        self, recorder: Recorder, keeper: Keeper | None, interruption: Interruption
    ) -> Trainer:
        """The trainer, which goes on from wherever the state is."""
        modules = {player.name: player.forward for player in self.state.players}
        skip = self.config.nonfinite == "skip"
        steps = [
            Step(
                *(player, modules, self.task, self.state.precision, self.clipping, self.world),
                skip_nonfinite=skip,
                stop_nonfinite=not skip,
            )
            for player in self.state.players
        ]
        return Trainer(
            self.state,
            steps,
            self.task,
            self.feed,
            self.validation,
            self.test,
            self.world,
            self.settings,
            recorder,
            keeper,
            interruption,
        )


def build_experiment(config: RunConfig, dataset: Dataset, world: World) -> Experiment:
    """Builds the run; UserError for what does not fit together."""
    if config.checkpoint.async_write and world.size > 1:
        raise UserError("checkpoint.async_write=true: only with one rank; use checkpoint=default")
    _set_backends(config)
    rng.seed_everything(config.seed)
    task = _task(config)
    module = _model(config, dataset, world.device)
    check_metrics(config, task, [name for name, _ in module.named_parameters()])
    feed, validation, test = _data(config, dataset, world)
    total_steps = config.steps or (config.epochs or DEFAULT_EPOCHS) * feed.steps_per_epoch
    precision = _precision(config, world.device)
    player, implementation = _player(config, module, task, feed, total_steps, world)
    rng.seed_everything(config.seed, world.rank)
    state = RunState(
        [player],
        precision,
        Progress(),
        Mean(),
        _best(config, task, validation),
        _stopping(config, task),
        world,
    )
    return Experiment(
        config,
        world,
        state,
        task,
        feed,
        validation,
        test,
        Clipping(**vars(config.clip), centralize=config.optimizer["centralize_gradients"]),
        _settings(config, feed, total_steps),
        implementation,
        parameter_count(player.parameters),
    )


def _task(config: RunConfig) -> Task:
    """The data set's task; label smoothing is an argument of those that have it."""
    path = str(config.dataset["task"])
    wanted = inspect.signature(locate(path, "dataset.task")).parameters
    smoothing = {"label_smoothing": config.label_smoothing}
    if "label_smoothing" not in wanted:
        if config.label_smoothing:
            raise UserError(f"label_smoothing={config.label_smoothing}: {path} has none")
        smoothing = {}
    task: Task = create({"_target_": path}, "dataset.task", **smoothing)
    return task


def _set_backends(config: RunConfig) -> None:
    """The process-wide switches of torch; set either way, for one process does many runs."""
    torch.set_num_threads(config.threads or _DEFAULT_THREADS)
    set_matmul(config.precision.matmul)
    if torch.are_deterministic_algorithms_enabled() != config.deterministic:
        torch.use_deterministic_algorithms(config.deterministic)  # imports the compiler: 1 s
    torch.backends.cudnn.benchmark = False  # it picks kernels by timing: a resumed run others
    torch.backends.cudnn.deterministic = config.deterministic


def _model(config: RunConfig, dataset: Dataset, device: torch.device) -> nn.Module:
    node = {k: v for k, v in config.model.items() if k not in MODEL_OURS}
    target = locate(str(node["_target_"]), "model._target_")
    module: nn.Module = create(node, "model", **sizes(target, dataset))
    try:
        initialise(
            module,
            config.model["init"],
            std=config.model["init_std"],
            bias=config.model["init_bias"],
        )
        if config.activation_checkpointing:
            if config.compile and any(True for _ in module.buffers()):
                raise ValueError("compile with activation_checkpointing: not with batch norm")
            enable_activation_checkpointing(module)
    except ValueError as error:
        raise UserError(f"model: {error}") from None
    layout = torch.channels_last if config.channels_last else torch.preserve_format
    module = module.to(device).to(memory_format=layout)
    if config.compile:
        module.compile()
    return module


def _data(
    config: RunConfig, dataset: Dataset, world: World
) -> tuple[Feed, EvaluationSet | None, EvaluationSet]:
    source = dataset.open("train", world.device)
    train, val = split_validation(
        dataset.train_size, config.dataset["val_fraction"], config.dataset["split_seed"]
    )
    size = batch_size(config, dataset)
    feed = Feed(source, train, size, config.accumulate, config.seed, world.rank, world.size)
    test = dataset.open("test", world.device)
    return (
        feed,
        EvaluationSet("val", source, val) if len(val) else None,
        EvaluationSet("test", test, torch.arange(dataset.test_size)),
    )


def _precision(config: RunConfig, device: torch.device) -> Precision:
    name = config.precision.autocast
    dtype = getattr(torch, name, None) if name else None
    if name and not isinstance(dtype, torch.dtype):
        raise UserError(f"precision.autocast={name}: no such dtype in torch")
    return Precision(device, dtype, config.precision.scaler)


def _player(
    config: RunConfig, module: nn.Module, task: Task, feed: Feed, total_steps: int, world: World
) -> tuple[Player, str]:
    factor = lr_factor(config.scale_lr, feed.batch_size, config.base_batch_size)
    lengths = {"num_iterations": total_steps}
    built = build_optimizer(config.optimizer, module, world.device, factor, lengths)
    built = wrapped(built, config.wrapper)
    set_decay(built.optimizer, config.optimizer["decay"])
    schedules = build_schedules(config, built.optimizer, task, feed.steps_per_epoch, total_steps)
    weights = [p for p in module.parameters() if p.requires_grad]
    ema = Ema(weights, config.ema) if config.ema else None
    forward = world.wrap(module)
    player = Player(
        *("model", module, forward, built.optimizer, schedules.main, total_steps, ema),
        *(schedules.groups, schedules.values),
    )
    if config.channels_last and isinstance(built.optimizer, torch.optim.LBFGS):
        raise UserError("channels_last=true: L-BFGS needs contiguous gradients")
    if player.needs_closure and config.precision.scaler:
        raise UserError(
            f"precision={config.precision.name}: {config.optimizer['_target_']} evaluates the loss "
            "several times a step, which a gradient scaler can't follow; use bf16 or fp32"
        )
    if config.compile and (player.create_graph or "hessian_vector" in traits(built.optimizer)):
        raise UserError(
            f"compile=true: {type(built.optimizer).__name__} differentiates the gradients, which "
            "torch.compile can't; use compile=false"
        )
    if player.create_graph and (config.precision.scaler or world.size > 1):
        raise UserError(
            f"optimizer: {type(built.optimizer).__name__} differentiates the gradients, which "
            "neither a gradient scaler nor several ranks allow; use one rank and bf16 or fp32"
        )
    return player, built.implementation


def _best(config: RunConfig, task: Task, validation: EvaluationSet | None) -> Best:
    metric = config.checkpoint.best
    if metric == "auto" or metric is None:
        metric = task.metric
    mode = mode_of(config.checkpoint.best_mode, metric, task)
    return Best(metric if validation else None, mode)


def _stopping(config: RunConfig, task: Task) -> Best:
    stopping = config.early_stopping
    mode = mode_of(stopping.mode, stopping.metric, task)
    return Best(stopping.metric, mode, stopping.min_delta)


def _settings(config: RunConfig, feed: Feed, total_steps: int) -> Settings:
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
        save_final=config.checkpoint.final,
        save_best=config.checkpoint.best is not None,
    )
