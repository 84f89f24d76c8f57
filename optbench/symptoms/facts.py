"""What is known of a run before its first step, from its config and its data's sizes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import log
from typing import Any

DEFAULT_EPOCHS = 20
"""Of a run whose config says no length."""

HIGHEST = 1.0
"""The learning rate that is proposed in place of one far beyond all that is in use."""
RISING = ("CosineRestarts", "Cyclic", "OneCycle", "Replay", "Plateau", "Hypergradient")
"""Schedules whose learning rate goes up again, or anywhere; and those of others."""

ABOVE_0 = ("Classification", "Language", "Copying", "Regression", "Reconstruction")
"""Tasks whose own loss is never negative."""


@dataclass(frozen=True)
class Facts:
    """What rules may know.

    Attributes:
        task, schedule, optimizer: names of classes, without their modules.
        lr: of the optimizer, None where it has none.
        clip: `clip.norm` where it bounds all gradients together, else None.
        ema: decay, 0 is off.
        scaled: whether losses are scaled for float16.
        batch_size: examples in a step; None: the whole set, or nobody knows.
        classes: of the labels, 0 where there are none or nobody knows.
        own_loss: whether the loss is not the task's.
        validated: examples that an evaluation scores, None where nobody knows.
        augmented: whether training examples or the model are disturbed in training (augmentation,
            dropout, label smoothing), so that the training loss is no score.
        epochs, steps: the run's length, one of them.
        plain: whether it is an ordinary training of one model.
    """

    task: str = ""
    schedule: str = ""
    optimizer: str = ""
    lr: float | None = None
    clip: float | None = None
    ema: float = 0.0
    scaled: bool = False
    batch_size: int | None = None
    classes: int = 0
    own_loss: bool = False
    validated: int | None = None
    augmented: bool = False
    epochs: int | None = None
    steps: int | None = None
    plain: bool = True

    def done(self, record: Mapping[str, Any]) -> float:
        """Return the share of the run that is over at a record."""
        if self.steps is not None:
            return float(record["step"]) / max(1, self.steps)
        return float(record.get("epoch", 0.0)) / (self.epochs or DEFAULT_EPOCHS)

    def lower(self, factor: float) -> str:
        """Return the override of a learning rate that is so many times lower, or higher."""
        if self.lr is None:
            return f"optimizer.lr=<{factor:g} times lower>"
        if self.lr == 0:
            return "optimizer.lr=0.001"
        rate = self.lr / factor
        return f"optimizer.lr={min(rate, HIGHEST) if factor > 1 else rate:.2g}"

    @property
    def examples(self) -> bool:
        """Whether it learns from examples; a test function has none."""
        return self.task != "Function"

    @property
    def guessing(self) -> float | None:
        """The loss of who knows nothing: ln of the classes; None where it is another."""
        known = self.classes > 1 and self.task in ("Classification", "Language", "Copying")
        return log(self.classes) if known and not self.own_loss else None

    @classmethod
    def of(cls, config: Mapping[str, Any], data: Mapping[str, Any] | None = None) -> Facts:
        """Return the facts of a resolved config, plain data that may be anybody's.

        Args:
            config: as config.yaml has it; what it lacks, or has of another type, is not known.
            data: its sizes, as env.json has them.
        """
        sizes = data if isinstance(data, Mapping) else {}
        task, model = _node(config, "task"), _node(config, "model")
        dataset, optimizer = _node(config, "dataset"), _node(config, "optimizer")
        clip, own = _node(config, "clip"), _node(task, "loss")
        disturbed = (
            _number(model.get("dropout")),
            _number(config.get("label_smoothing")),
            _number(dataset.get("crop")),
            _number(dataset.get("flip")),
        )
        return cls(
            task=_class(task),
            schedule=_class(_node(config, "schedule")),
            optimizer=_class(optimizer),
            lr=_number(optimizer.get("lr")),
            clip=None if clip.get("per_group") else _number(clip.get("norm")),
            ema=_number(config.get("ema")) or 0.0,
            scaled=bool(_node(config, "precision").get("scaler")),
            batch_size=_whole(config.get("batch_size")),
            classes=_whole(sizes.get("num_classes")) or 0,
            own_loss=own.get("_target_") is not None,
            validated=_validated(config, dataset, sizes),
            augmented=any(disturbed),
            epochs=_whole(config.get("epochs")),
            steps=_whole(config.get("steps")),
            plain=not config.get("player"),
        )


def _node(of: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    node = of.get(key)
    return node if isinstance(node, Mapping) else {}


def _class(node: Mapping[str, Any]) -> str:
    return str(node.get("_target_") or "").rpartition(".")[2]


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _validated(
    config: Mapping[str, Any], dataset: Mapping[str, Any], sizes: Mapping[str, Any]
) -> int | None:
    size, train = _whole(sizes.get("val_size")), _whole(sizes.get("train_size"))
    if size is None:
        part = _number(dataset.get("val_fraction"))
        size = None if part is None or train is None else round(part * train)
    most = _whole(_node(config, "eval").get("examples"))
    return most if size is None or (most is not None and most < size) else size
