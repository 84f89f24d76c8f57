"""Scoring a checkpoint of a run, on its own data set or another one; the run is left as it is."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from optbench.assemble.blame import blaming
from optbench.assemble.data import check_same_data, dataset, described
from optbench.assemble.examples import evaluation_sets
from optbench.assemble.experiment import make_task, precision_of, set_backends
from optbench.assemble.modules import build_modules
from optbench.compose.composer import hydra_session
from optbench.compose.resumed import Chosen, apply, as_chosen, chosen_anew
from optbench.compose.workloads import differences
from optbench.config.run_config import RunConfig
from optbench.config.run_spec import names_of
from optbench.config.schema import from_plain
from optbench.errors import UserError
from optbench.launched import launched_ranks
from optbench.rundir import RunDir
from optbench.runs.saved import Saved
from optbench.runs.surroundings import check_device
from optbench.runs.weights import load_weights
from optbench.training.distributed import World, join
from optbench.training.evaluate import evaluate
from optbench.training.signals import Interruption

MAY_DIFFER = (
    *("dataset", "data_root", "eval", "device", "threads", "deterministic"),
    *("compile", "cuda_graph", "channels_last", "precision"),
)
"""Keys whose values may be others than the run's when it is scored."""

SPLITTING = ("dataset.val_fraction", "dataset.split_seed", "dataset.fold")


@dataclass(frozen=True)
class Evaluation:
    """What a checkpoint scores.

    Attributes:
        step: of the checkpoint.
        weights: which of its weights were scored, None for those that were trained.
        scores: by tag, such as `val/loss`.
        notes: what to bear in mind about them.
    """

    step: int
    weights: str | None
    scores: Mapping[str, float]
    notes: tuple[str, ...] = ()


def evaluated(
    folder: RunDir,
    saved: Saved,
    step: int,
    overrides: Sequence[str] = (),
    config_dir: str | None = None,
) -> Evaluation:
    """Score a checkpoint on the validation and the test set.

    On the run's own data, on its device with its number of threads and ranks, the scores are to
    the bit those that the run had at this step.

    Args:
        folder: the run's.
        saved: its config, which may be built.
        step: of a checkpoint.
        overrides: another data set, or how it is scored; see `MAY_DIFFER`.
        config_dir: of the user's own config files.

    Raises:
        UserError: no such checkpoint; an override of something else; data that does not fit.
    """
    if launched_ranks() > 1:
        raise UserError("evaluate: in one process, without torchrun")
    with hydra_session(config_dir) as composer:
        saved.check(folder, composer.files)
        task = folder.read_overrides()["choices"].get("task", "auto")
        chosen = {str(o.key_or_group): str(o.value()) for o in composer.parse(overrides)}
        plain = apply(composer, saved.plain, overrides, task, "when a run is evaluated")
    changes = differences(saved.plain, plain)
    _refuse_others(changes, chosen_anew(folder.read_overrides()["choices"], chosen))
    # What only concerns training must not ask for more examples than another data set has.
    config = dataclasses.replace(
        from_plain(plain), batch_size=1, accumulate=1, activation_checkpointing=False
    )
    check_device(config.device)
    data = dataset(config)
    same = all(not key.startswith("dataset.") or key in SPLITTING for key in changes)
    then = folder.read_json("env.json").get("data")
    if same:
        check_same_data(config, then, data)
    else:
        _check_shape(then, data)
    notes = []
    if same and any(key in SPLITTING for key in changes):
        notes.append("another split: what validates here may have been trained on")
    set_backends(config)
    said = folder.read_overrides()
    names = names_of({**said["choices"], **chosen}, [*said["overrides"], *overrides])
    scores, averaged = _scores(config, data, folder, step, names)
    return Evaluation(step, _which(config, folder) if averaged else None, scores, tuple(notes))


def _refuse_others(changes: Mapping[str, tuple[Any, Any]], chosen: Chosen) -> None:
    for key, (old, new) in changes.items():
        if key.partition(".")[0] not in MAY_DIFFER:
            said, was = as_chosen(key, old, new, chosen)
            raise UserError(
                f"{said}: not when a run is evaluated (it is {was}); "
                f"{', '.join(MAY_DIFFER)} may be others"
            )


def _check_shape(then: Any, data: Any) -> None:
    """Raise UserError for data of another shape than the model was made for."""
    now = described(data)
    for what in ("input_shape", "num_classes"):
        was = then.get(what) if isinstance(then, Mapping) else None
        if was is not None and now[what] != was:
            raise UserError(f"dataset: its {what} is {now[what]}, the run's is {was}")


def _scores(
    config: RunConfig, data: Any, folder: RunDir, step: int, names: Mapping[str, str]
) -> tuple[dict[str, float], bool]:
    """Return the scores by tag, and whether they are of averaged weights."""
    world: World = join(config.device)
    task, source = make_task(config, data), data.open("train", world.device)
    sets = [each for each in evaluation_sets(config, data, source, world.device) if each]
    if not sets:
        raise UserError(f"dataset={config.dataset['_target_']}: no validation and no test set")
    modules = build_modules(config, data, task, source, torch.arange(data.train_size), world.device)
    averaged = load_weights(modules, folder, step)
    for module in modules.values():
        module.eval()
    precision = precision_of(config, world.device)
    with blaming(config, task, names):
        scores = {
            f"{each.name}/{metric}": value
            for each in sets
            for metric, value in evaluate(
                task=task,
                modules=modules,
                source=each.source,
                indices=each.indices,
                batch_size=config.eval.batch_size,
                precision=precision,
                world=world,
                interruption=Interruption(),
            ).items()
        }
    return scores, averaged


def _which(config: RunConfig, folder: RunDir) -> str:
    """Return what a run calls the weights that it scores, where it trains others."""
    said = folder.read_summary().get("scored_weights")
    if config.ema:
        return f"EMA {config.ema:g}"
    return said if isinstance(said, str) else "averaged by the optimizer"
