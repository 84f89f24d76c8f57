"""The settings of a run: each is declared here, once, and nowhere else.

From the declarations follow the checks of a config (`declared`), the typed view of it (`schema`),
the first part of configs/config.yaml (`written`), `--help`, and what a resumed run may change.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optbench.config.fields import (
    COUNT,
    COUNT_OR_NULL,
    LENGTH,
    LONGEST_NAME,
    MODE,
    POSITIVE_OR_NULL,
    SEED,
    SHARE,
    Field,
    auto_or_switch,
    count_or_full,
    each,
    folder_name,
    integer,
    number,
    one_of,
    population,
    tag,
    word,
)
from optbench.config.lengths import Length
from optbench.config.setting import OF_GROUP, setting
from optbench.config.watched import Doctor, Monitor, Probe

MOST_THREADS = 4096
"""More than any machine has cores; far beyond it OpenMP ends the process without a word of ours."""


@dataclass(frozen=True)
class Target:
    """When a run is good enough: a metric's value, and who says so; metric None is never."""

    metric: str | None = setting(
        None, "such as val/accuracy", Field(word, "a metric, or null", nullable=True)
    )
    value: float | None = setting(None, "", Field(number(), "a number, or null", nullable=True))
    mode: str = setting("auto", "auto | min | max", MODE)
    source: str | None = setting(None, "who says so", Field(word, "a text, or null", nullable=True))


@dataclass(frozen=True)
class Clip:
    """Gradient clipping by norm, in all or by group, by value, adaptively; None is off."""

    norm: float | None = setting(
        None, "largest total gradient norm", POSITIVE_OR_NULL, example="clip.norm=1.0"
    )
    value: float | None = setting(None, "largest absolute gradient entry", POSITIVE_OR_NULL)
    adaptive: float | None = setting(
        None,
        "largest gradient over weight norm of an output unit (AGC), such as 0.01",
        POSITIVE_OR_NULL,
    )
    per_group: bool = setting(False, "norm bounds each parameter group by itself")


@dataclass(frozen=True)
class Eval:
    """How often the validation set is scored, in batches of how many examples, and how many."""

    every: Length = setting(
        "1ep", "evaluations: steps (100), epochs (1ep), 0 is off", LENGTH, example="eval.every=1ep"
    )
    batch_size: int = setting(1000, "", COUNT)
    examples: int | None = setting(
        None,
        "of the validation set that are scored, evenly over it; null: all",
        COUNT_OR_NULL,
        before=None,
        example="eval.examples=500",
    )
    test: bool = setting(True, "score the test set at the end", before=True)


@dataclass(frozen=True)
class EarlyStopping:
    """Stop after `patience` evaluations without improvement by `min_delta`; patience 0 is off."""

    patience: int = setting(
        0, "evaluations without improvement; 0 is off", example="early_stopping.patience=5"
    )
    metric: str = setting("val/loss")
    mode: str = setting("auto", "auto | min | max", MODE)
    min_delta: float = setting(0.0)


@dataclass(frozen=True)
class Weights:
    """The weights that a run starts from; `path` None: it draws its own."""

    path: str | None = setting(
        None,
        "a run's folder, a state dict (.pt, .safetensors), torchvision[:NAME]; or weights=PATH",
        Field(word, "a run folder, a file, torchvision or null", nullable=True),
        fixed=True,
        before=None,
        example="weights.path=RUN",
    )
    at: str = setting(
        "best",
        "of a run: best | last | a step",
        Field(word, "best, last or a step"),
        fixed=True,
        before="best",
    )
    strict: bool = setting(
        True, "the model and the file have the same names", fixed=True, before=True
    )
    exclude: Sequence[str] = setting(
        [],
        "shell globs over names that keep their own draw",
        Field(each(word), "a list of patterns"),
        fixed=True,
        before=(),
    )


@dataclass(frozen=True)
class Sweep:
    """What a multirun does when one of its runs fails, and how many it trains at once."""

    fail_fast: bool = setting(False, "stop a multirun at its first failed run")
    population: int | str = setting(
        "auto",
        "auto | off | a number: at most so many runs of one shape are trained at once",
        Field(population, "auto, off or a whole number, at least 2"),
        before="auto",
        example="sweep.population=16",
    )


@dataclass(frozen=True)
class Precision:
    """How numbers are represented: `autocast` dtype or None, gradient scaler, fp32 matmuls."""

    name: str = setting(OF_GROUP)
    autocast: str | None = setting(
        OF_GROUP, field=Field(word, "a torch dtype, or null", nullable=True)
    )
    scaler: bool = setting(OF_GROUP)
    matmul: str = setting(
        OF_GROUP, field=Field(one_of("highest", "high", "medium"), "highest, high or medium")
    )


@dataclass(frozen=True)
class Checkpoint:
    """When checkpoints are written and which are kept; `best` is a metric, `auto` or None."""

    every: Length = setting(
        OF_GROUP, "checkpoints beside the last one's", LENGTH, example="checkpoint.every=500"
    )
    final: bool = setting(OF_GROUP)
    keep_last: int = setting(OF_GROUP, field=Field(integer(2), "a whole number, at least 2"))
    best: str | None = setting(OF_GROUP, field=Field(word, "a metric, auto or null", nullable=True))
    best_mode: str = setting(OF_GROUP, field=MODE)
    async_write: bool = setting(OF_GROUP)


@dataclass(frozen=True)
class PlayerConfig:
    """What a player has of its own; `at` is its key, `player.generator.`, empty for one alone.

    Attributes:
        optimizer, schedule: nodes.
        update_every: it is updated every `update_every` steps.
    """

    optimizer: dict[str, Any]
    schedule: dict[str, Any]
    update_every: int = 1
    at: str = ""


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """One run, resolved. Components (`model`, `optimizer`, ...) are plain nodes with `_target_`."""

    name: str = setting(
        None,
        "in the run folder's name; default: <dataset>-<model>-<optimizer>",
        Field(
            folder_name,
            "a text for a folder's name: no /, no control characters, "
            f"at most {LONGEST_NAME} bytes",
            nullable=True,
        ),
        example="name=my-run",
    )
    tags: Sequence[str] = setting(
        [],
        "words that optbench runs finds the run by",
        Field(each(tag), "a list of words without spaces and commas"),
        before=(),
        example="tags=[first,wide]",
    )
    notes: str | None = setting(
        None,
        "what there is to remember of it",
        Field(word, "a text, or null", nullable=True),
        before=None,
        example="notes=unscaled",
    )
    target: Target = setting(None, "of a workload: when a run is good enough")
    seed: int = setting(
        0,
        "initialisation, order of examples, augmentation, dropout, split",
        SEED,
        fixed=True,
        example="seed=0",
    )
    epochs: int | None = setting(
        None, "length of the run: epochs (default 20) ...", COUNT_OR_NULL, example="epochs=20"
    )
    steps: int | None = setting(None, "... or optimizer steps", COUNT_OR_NULL, example="steps=500")
    batch_size: int | str = setting(
        64,
        "examples in one optimizer step, over all ranks and micro-batches; or full",
        Field(count_or_full, "a whole number, at least 1, or full"),
        fixed=True,
        example="batch_size=128",
    )
    shuffle: str = setting(
        "epoch",
        "epoch | once | none: another order of the examples each epoch, one for all, the data's",
        Field(one_of("epoch", "once", "none"), "epoch, once or none"),
        fixed=True,
        before="epoch",
        example="shuffle=once",
    )
    accumulate: int = setting(
        1,
        "micro-batches in which a rank works through its share of a batch",
        COUNT,
        example="accumulate=4",
    )
    scale_lr: str = setting(
        "none",
        "none | linear | sqrt: lr scaled by batch_size / base_batch_size",
        Field(one_of("none", "linear", "sqrt"), "none, linear or sqrt"),
        example="scale_lr=sqrt",
    )
    base_batch_size: int = setting(128, "", COUNT)
    label_smoothing: float = setting(0.0, "", SHARE, example="label_smoothing=0.1")
    weights: Weights = setting(None, before=Weights())
    freeze: Sequence[str] = setting(
        [],
        "shell globs over parameters that are not trained",
        Field(each(word), "a list of patterns"),
        fixed=True,
        before=(),
        example="freeze=[blocks.*]",
    )
    ema: float = setting(
        0.0,
        "decay of an exponential moving average of the weights; 0 is off",
        SHARE,
        fixed=True,
        example="ema=0.999",
    )
    nonfinite: str = setting(
        "stop",
        "stop | skip | raise: when loss or gradients are not finite",
        Field(one_of("stop", "skip", "raise"), "stop, skip or raise"),
    )
    device: str = setting(
        "auto",
        "auto | cpu | cuda",
        Field(one_of("auto", "cpu", "cuda"), "auto, cpu or cuda"),
        apart=True,
        example="device=auto",
    )
    strategy: str = setting(
        "ddp",
        "ddp | zero1 | fsdp2: what several ranks share out: the batch; the optimizer's state too; "
        "parameters and gradients too",
        Field(one_of("ddp", "zero1", "fsdp2"), "ddp, zero1 or fsdp2"),
        fixed=True,
        before="ddp",
        example="strategy=zero1",
    )
    rank_timeout: float = setting(
        1800.0,
        "seconds that a rank waits for another, which then counts as hung and ends the run",
        Field(number(0, low_open=True), "a positive number"),
        before=1800.0,
        example="rank_timeout=60",
    )
    threads: int | None = setting(
        None,
        "torch's CPU threads; null leaves its default",
        Field(integer(1, MOST_THREADS), f"a whole number from 1 to {MOST_THREADS}", nullable=True),
    )
    deterministic: bool = setting(False, "only deterministic kernels", example="deterministic=true")
    compile: bool = setting(False, "torch.compile the model", example="compile=true")
    cuda_graph: bool | str = setting(
        "auto",
        "auto | true | false: on a GPU repeat the whole step as one CUDA graph, where it can be",
        Field(auto_or_switch, "auto, true or false"),
        before=False,
        example="cuda_graph=auto",
    )
    channels_last: bool = setting(False)
    activation_checkpointing: bool = setting(False)
    clip: Clip = setting(None, apart=True)
    eval: Eval = setting(None)
    monitor: Monitor = setting(None)
    probe: Probe = setting(None, before=Probe())
    early_stopping: EarlyStopping = setting(None)
    doctor: Doctor = setting(None, before=Doctor())
    sweep: Sweep = setting(None)
    resume: str | None = setting(
        None,
        "a run folder to go on with (optbench resume RUN)",
        Field(word, "a run folder", nullable=True),
        before=None,
    )
    data_root: str = setting("${data_folder:}")
    model: dict[str, Any]
    dataset: dict[str, Any]
    optimizer: dict[str, Any]
    wrapper: dict[str, Any]
    schedule: dict[str, Any]
    precision: Precision
    checkpoint: Checkpoint
    task: dict[str, Any]
    player: dict[str, dict[str, Any]]
    momentum_schedule: dict[str, Any] | None = None
    beta2_schedule: dict[str, Any] | None = None
    weight_decay_schedule: dict[str, Any] | None = None

    @property
    def players(self) -> dict[str, PlayerConfig]:
        """The players by name, in the order of their turns; an ordinary run has one, `model`."""
        if not self.player:
            return {"model": PlayerConfig(self.optimizer, self.schedule)}
        return {
            name: PlayerConfig(
                node["optimizer"], node["schedule"], node["update_every"], f"player.{name}."
            )
            for name, node in self.player.items()
        }

    def with_player(
        self, name: str, optimizer: dict[str, Any], schedule: dict[str, Any]
    ) -> RunConfig:
        """Return the same config with another optimizer and schedule of a player."""
        if not self.player:
            return dataclasses.replace(self, optimizer=optimizer, schedule=schedule)
        new = {**self.player[name], "optimizer": optimizer, "schedule": schedule}
        players = {**self.player, name: new}
        return dataclasses.replace(self, player=players)


NESTED: Mapping[str, type] = {
    "target": Target,
    "weights": Weights,
    "clip": Clip,
    "eval": Eval,
    "monitor": Monitor,
    "probe": Probe,
    "early_stopping": EarlyStopping,
    "doctor": Doctor,
    "sweep": Sweep,
    "precision": Precision,
    "checkpoint": Checkpoint,
}
"""The fields of `RunConfig` that are configs themselves."""
