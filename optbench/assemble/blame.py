"""Which of model, data set, task and loss is at fault where examples can't be scored or used."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from torch import Tensor, nn

from optbench.assemble.own import told
from optbench.assemble.own_loss import loss_path
from optbench.config.run_config import RunConfig
from optbench.errors import OwnCodeError, UserError
from optbench.tasks import chosen_loss
from optbench.tasks.base import Lanes, Task
from optbench.tasks.examples import is_whole

_FUNCTIONAL = "torch.nn.functional"
_TARGET = re.compile(r"^Target (-?\d+) is out of bounds")
_TRAINING = "optbench.training."
"""Whose functions call the batch that they are at `batch`."""

OF_TOKENS = ("gpt", "gru", "lstm", "rnn")
"""Choices of the model whose inputs are whole numbers."""


def named(group: str, node: Mapping[str, Any], choices: Mapping[str, str]) -> str:
    """Return a part as it is typed: `model=mlp`, or `model._target_=my.module.Class`.

    Args:
        group: of the part.
        node: its own in the config.
        choices: the file that each group chose; empty if nobody knows.
    """
    choice = choices.get(group, "custom")
    return f"{group}._target_={node['_target_']}" if choice == "custom" else f"{group}={choice}"


class Parts:
    """What was to fit together.

    Args:
        config: of the run.
        choices: the file that each group chose.
        task: as it was made.
        modules: the players'.
    """

    def __init__(
        self,
        config: RunConfig,
        choices: Mapping[str, str],
        task: Task,
        modules: Mapping[str, nn.Module],
    ) -> None:
        nodes = {"model": config.model, "dataset": config.dataset, "task": config.task}
        self._names = {group: named(group, node, choices) for group, node in nodes.items()}
        self._targets = {group: str(node["_target_"]) for group, node in nodes.items()}
        self._loss = loss_path(config.task)
        self._task, self._modules = task, modules

    def fault(self, error: Exception, batch: Any) -> UserError:
        """Return an error for the user that names who is to blame.

        Args:
            error: raised when examples were scored.
            batch: these examples, None where there were none yet.
        """
        frames = _frames(error)
        model, data, task = self._names.values()
        if batch is None:
            return told(error, data, [self._targets["dataset"]])
        of_batch = self._of_batch(error, frames, batch)
        if of_batch is not None:
            return of_batch
        of_loss = [f for f in frames if f.f_globals.get("__name__") == chosen_loss.__name__]
        if self._loss and of_loss:
            found = told(error, f"task.loss._target_={self._loss}", [self._loss])
            return _with(found, _called_with(of_loss[0].f_locals))
        fits = f"{model}: does not fit {data} and {task}"
        inside = any(_is_of(frame.f_locals.get("self"), self._modules) for frame in frames)
        found = told(error, fits, list(self._targets.values()))
        if isinstance(found, OwnCodeError):  # it fits nothing, then
            return told(error, model if inside else task, list(self._targets.values()))
        first = _first(batch)
        if inside and first is not None and is_whole(first) and self._takes_floats():
            others = f"{', '.join(OF_TOKENS[:-1])} or {OF_TOKENS[-1]}"
            return UserError(
                f"{model}: takes floats, but the inputs of {data} are whole numbers "
                f"({_described(first)}); take model={others}"
            )
        return _with(found, f"an example is {example(batch)}") if inside else found

    def fault_later(self, error: BaseException) -> UserError | None:
        """Return an error for the user that blames the batch in which a run failed.

        None where it is not to blame. What a data set has after its first examples shows only when
        it comes; nothing is looked at before something fails.
        """
        if isinstance(error, UserError) or not isinstance(error, Exception):
            return None
        frames = _frames(error)
        for frame in reversed(frames):
            batch = frame.f_locals.get("batch")
            if batch is not None and str(frame.f_globals.get("__name__")).startswith(_TRAINING):
                whole = batch.batch if isinstance(batch, Lanes) else batch
                return self._of_batch(error, frames, whole)
        return None

    def _of_batch(
        self, error: Exception, frames: Sequence[FrameType], batch: Any
    ) -> UserError | None:
        """Return an error for the user where the task, or the model, wants another batch."""
        model, data, task = self._names.values()
        wanted = beyond = None
        with suppress(Exception):  # a task of the user's own, of a batch that it did not expect
            wanted = self._task.wanted(batch)
        with suppress(Exception):  # tensors of a GPU that has failed
            beyond = _beyond(error, frames, batch)
        if wanted is not None:
            return UserError(f"{data}: an example is {example(batch)}; {task} wants {wanted}")
        if beyond is not None:
            what, most = beyond
            return UserError(f"{data}: there is a {what}; {model} {most}")
        return None

    def _takes_floats(self) -> bool:
        """Return whether no module looks whole numbers up in a table."""
        parts = (part for module in self._modules.values() for part in module.modules())
        return not any(isinstance(part, nn.Embedding | nn.EmbeddingBag) for part in parts)


@contextmanager
def blaming(config: RunConfig, task: Task, choices: Mapping[str, str]) -> Iterator[None]:
    """Raise UserError for what fails in the block because of a batch; see `Parts.fault_later`."""
    try:
        yield
    except Exception as error:
        fault = Parts(config, choices, task, {}).fault_later(error)
        if fault is None:
            raise
        raise fault from error


def example(batch: Any) -> str:
    """Return what an example of a batch is: `(float32 [3, 32, 32], int64)`."""
    if isinstance(batch, Tensor):
        return _described(batch)
    if isinstance(batch, Mapping):
        return "{" + ", ".join(f"{key}: {example(value)}" for key, value in batch.items()) + "}"
    if isinstance(batch, tuple | list):
        if batch and all(isinstance(part, str | bytes) for part in batch):  # one an example
            return "text"
        return f"({', '.join(map(example, batch))}{',' if len(batch) == 1 else ''})"
    return type(batch).__name__


def _described(tensor: Tensor) -> str:
    kind = str(tensor.dtype).removeprefix("torch.")
    return f"{kind} {list(tensor.shape[1:])}" if tensor.ndim > 1 else kind


def _frames(error: BaseException) -> list[FrameType]:
    """Return the frames that an error came through, the innermost last."""
    return [frame for frame, _ in traceback.walk_tb(error.__traceback__)]


def _beyond(error: Exception, frames: Sequence[FrameType], batch: Any) -> tuple[str, str] | None:
    """Return what torch met that is beyond the model's sizes, and how far these go.

    A label beyond the outputs, or a token beyond the table in which it is looked up; None where
    the error is another.
    """
    if not isinstance(error, IndexError):
        return None
    of_torch = [f.f_locals for f in frames if f.f_globals.get("__name__") == _FUNCTIONAL]
    given = of_torch[-1].get("input") if of_torch else None
    if not isinstance(given, Tensor):
        return None
    target = _TARGET.search(str(error))
    if target is not None:
        count = given.shape[1 if given.ndim > 1 else 0]
        return f"label {target[1]}", f"has outputs for 0 to {count - 1}"
    table, tokens = of_torch[-1].get("weight"), _first(batch)
    if not isinstance(table, Tensor) or tokens is None or not is_whole(tokens):
        return None
    if not given.equal(tokens):  # such as places
        return None
    low, high = int(tokens.min()), int(tokens.max())
    return f"token {low if low < 0 else high}", f"knows 0 to {len(table) - 1}"


def _called_with(local: Mapping[str, Any]) -> str:
    """Return what a loss was called with, from the variables of `mean_loss`."""
    shapes = [
        f"{str(local[name].dtype).removeprefix('torch.')} {list(local[name].shape)}"
        for name in ("outputs", "targets")
        if isinstance(local.get(name), Tensor)
    ]
    return f"it is called with (outputs, targets): {' and '.join(shapes)}"


def _with(error: UserError, more: str) -> UserError:
    """Return the same error with more said of it."""
    return type(error)(f"{error} ({more})")


def _is_of(found: Any, modules: Mapping[str, nn.Module]) -> bool:
    return any(found is module for module in modules.values())


def _first(batch: Any) -> Tensor | None:
    """Return the inputs of a batch: its first tensor."""
    if isinstance(batch, Mapping):
        batch = list(batch.values())
    while isinstance(batch, tuple | list) and batch:
        batch = batch[0]
    return batch if isinstance(batch, Tensor) else None
