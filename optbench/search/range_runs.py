"""The range test of what a config trains, once a seed, in a folder."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optbench.assemble.data import dataset, notes_on
from optbench.assemble.own import own_code
from optbench.compose.composer import keys_of
from optbench.config.run_config import RunConfig
from optbench.config.run_spec import RunSpec
from optbench.errors import UserError
from optbench.rundir import RunDir
from optbench.runs.collector import at_work
from optbench.runs.log import Log, heard, say_taken
from optbench.runs.start import start_weights
from optbench.search.lr_range import Ramp

if TYPE_CHECKING:
    from optbench.search.find_lr import Trial


@dataclass(frozen=True)
class Tested:
    """What came of it.

    Attributes:
        folder: made when everything was built.
        trials: one a seed; of a test that a signal ended those before.
        base: the learning rate in whose place the ramp was.
        where: versions and hardware.
        signal: that ended it, or 0.
    """

    folder: RunDir
    trials: list[Trial]
    base: float
    where: Mapping[str, Any]
    signal: int = 0


def range_tests(
    spec: RunSpec,
    config: RunConfig,
    player: str,
    ramp: Ramp,
    seeds: int,
    log: Log | None = None,
) -> Tested:
    """Test each of some seeds, the config's first.

    Args:
        spec: what the command line asked to train.
        config: of one test.
        player: whose learning rate.
        ramp: of the rate.
        seeds: how many.
        log: whom to tell; by default the terminal.
    """
    data = dataset(config)  # before torch is loaded: what there is not is said at once
    from optbench.runs.surroundings import check_device, check_graph, check_strategy

    check_device(config.device)
    check_graph(config)
    check_strategy(config)
    from optbench.assemble.experiment import build_experiment
    from optbench.runs.environment import environment
    from optbench.search.find_lr import base_lr, range_test, refuse_without_lr
    from optbench.training.distributed import join
    from optbench.training.signals import Interruption

    world = join(config.device)
    weights = start_weights(config, world)
    trials: list[Trial] = []
    folder, signal, log = None, 0, log or Log()
    with Interruption().listening() as interruption, at_work(), heard(log), ExitStack() as stack:
        for seed in range(config.seed, config.seed + seeds):
            seeded = replace(config, seed=seed)
            experiment = build_experiment(seeded, data, world, weights, spec.names)
            if folder is None:  # only now: what can't be built leaves nothing behind
                refuse_without_lr(experiment, player)
                folder = stack.enter_context(_reserved(spec))
                say_taken(_folder(spec), folder.path, log)
                for note in [*experiment.notes, *notes_on(data)]:
                    log.warn(note)
            base = base_lr(experiment, player)
            board = _board(folder, seed) if config.monitor.tensorboard else None
            try:
                with own_code("find-lr", spec.plain):
                    trial = range_test(experiment, ramp, player, base, board, interruption)
            finally:
                if board is not None:
                    board.close()
            signal = trial.signal
            if signal:
                break
            trials.append(trial)
    assert folder is not None
    where = environment(world.device, world.size, experiment.implementation)
    return Tested(folder, trials, base, where, signal)


@contextmanager
def _reserved(spec: RunSpec) -> Iterator[RunDir]:
    """Make the folder; remove it, and parents made for it, where the tests can't be done."""
    wanted = Path(_folder(spec)).expanduser().absolute()
    made = [path for path in wanted.parents if not path.exists()]
    folder = RunDir.reserve(_folder(spec))
    try:
        yield folder
    except UserError:
        shutil.rmtree(folder.path, ignore_errors=True)
        for path in made:
            with suppress(OSError):  # another run is there by now
                path.rmdir()
        raise


def _folder(spec: RunSpec) -> str | Path:
    """Return the folder asked for, or a run's, `<time>-<name>`, as `<time>-find-lr-<name>`."""
    if "hydra.run.dir" in keys_of(spec.overrides):
        return spec.folder
    wanted = Path(spec.folder)
    time = wanted.name.removesuffix(spec.config.name)
    return wanted.with_name(f"{time}find-lr-{spec.config.name}")


def _board(folder: RunDir, seed: int) -> Any:
    from optbench.monitor.tensorboard import TensorBoard

    return TensorBoard(folder.tensorboard / f"seed-{seed}")
