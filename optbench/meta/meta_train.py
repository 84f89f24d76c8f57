"""A meta-training from its beginning to its end, or from where it was left."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import torch

from optbench.config.counted import counted
from optbench.console import print_lines, print_text, shown
from optbench.errors import UserError
from optbench.escape import shell_word
from optbench.files import dump_yaml, reading
from optbench.launched import launched_ranks
from optbench.meta.folder import WEIGHTS, MetaFolder, place
from optbench.meta.live import Live
from optbench.meta.plan import MetaPlan, asked, read_plan, write_plan
from optbench.meta.trainer import MetaTrainer
from optbench.optim.learned.weights import save_rule
from optbench.rundir import RunDir
from optbench.runs.lock import Busy
from optbench.runs.log import Log, say_taken
from optbench.training.signals import Interruption


def begin(arguments: Sequence[str]) -> int:
    """Run `optbench meta-train [words] [--out FILE]`; return the exit code.

    Raises:
        UserError: bad input; nothing is left behind.
    """
    plan, wanted = asked(arguments)
    if launched_ranks() > 1:
        raise UserError("meta-train: not under torchrun; it is one process")
    log = Log()
    made = RunDir.reserve(wanted, "folder")
    say_taken(wanted, made.path, log)
    try:
        write_plan(made.path, plan)
    except OSError:
        shutil.rmtree(made.path, ignore_errors=True)
        raise
    return _do(made.path, plan, log)


def go_on(folder: Path, overrides: Sequence[str], config_dir: str | None, log: Log) -> int:
    """Go on with a meta-training; return the exit code.

    Args:
        folder: its.
        overrides: none can be taken.
        config_dir: of configs, which it has none of.
        log: whom to tell.

    Raises:
        UserError: a change, no meta-training, or another process is at it.
    """
    plan = read_plan(folder)
    if overrides:
        raise UserError(f"{overrides[0]}: a meta-training goes on as planned")
    return _do(folder.absolute(), plan, log)


def _do(path: Path, plan: MetaPlan, log: Log) -> int:
    own = Log(draws=False, tells=False)
    try:
        own.open(path / "log.txt")
    except Busy:
        raise UserError(f"{path}: another process is at this meta-training") from None
    threads = torch.get_num_threads()
    torch.set_num_threads(plan.threads)
    try:
        with closing(MetaFolder(path)) as folder:
            trainer = MetaTrainer(plan)
            folder.restore(trainer.load)
            signal = _train(trainer, folder, log)
    finally:
        own.close()
        torch.set_num_threads(threads)
    name = shell_word(shown(path))
    if trainer.step < plan.end:
        print_text(f"stopped at meta-step {trainer.step} of {plan.end}")
        print_lines(f"  optbench resume {name}")
        return 128 + signal
    return _finish(trainer, path)


def _train(trainer: MetaTrainer, folder: MetaFolder, log: Log) -> int:
    """Take the meta-steps that are left; return the signal that ended them, 0 for none."""
    plan, began = trainer.plan, time.monotonic()
    live = Live(log, plan.end, trainer.step)
    try:
        with Interruption().listening() as asked_to_stop:
            while trainer.step < plan.end and not asked_to_stop.number:
                done = trainer.take()
                folder.write(done, time.monotonic() - began)
                live.show(done)
                last = trainer.step == plan.end or asked_to_stop.number
                if last or trainer.step % plan.checkpoint_every == 0:
                    folder.save(trainer.state())
            return asked_to_stop.number
    finally:
        live.close()


def _finish(trainer: MetaTrainer, path: Path) -> int:
    plan = trainer.plan
    said = {"recipe": dump_yaml(plan.recipe()), "made_by": "optbench meta-train"}
    data = save_rule(trainer.weights, plan.architecture, said)
    place(path / WEIGHTS, data)
    weights = path / WEIGHTS
    if plan.out:
        _put_out(Path(plan.out), data, weights)
        weights = Path(plan.out)
    print_text(f"meta-trained for {counted(plan.end, 'step')}: {shown(weights)}")
    name = shell_word(shown(weights))
    print_lines(f"  optbench train optimizer=learned optimizer.weights={name}")
    return 0


def _put_out(out: Path, data: bytes, weights: Path) -> None:
    """Write the weights where they were asked for; raise UserError where another file is."""
    if not os.path.lexists(out):
        place(out, data)
        return
    with reading(out) as file:
        same = file.read(len(data) + 1) == data
    if not same:
        raise UserError(f"out={out}: another file is there; the weights are in {shown(weights)}")
