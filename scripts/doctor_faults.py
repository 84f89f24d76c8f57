"""What is planted in the trainings of doctor_corpus.py: each fault, at a strength, as overrides."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from doctor_plan import ADAM, DIGITS, RATE, SGD, TEXT, Planned, data, model_of, own

Words = tuple[str, ...]
FaultLine = tuple[str, str, float, tuple[float, float]]

FAULTS: list[FaultLine] = [
    ("lr_high", "classification", 100, (50, 200)),
    ("lr_high", "gpt", 70, (50, 150)),
    ("lr_diverges", "classification", 100, (60, 200)),
    ("lr_low", "classification", 1 / 300, (1 / 200, 1 / 600)),
    ("lr_low", "gpt", 1 / 200, (1 / 100, 1 / 400)),
    ("deep_sigmoid", "classification", 8, (7, 10)),
    ("deep_sigmoid", "autoencoder", 4, (3, 5)),
    ("dead_relu", "classification", 4, (3, 6)),
    ("saturated_tanh", "classification", 40, (30, 80)),
    ("unscaled_inputs", "classification", 100, (50, 300)),
    ("recurrent_gain", "recurrent", 10, (8, 20)),
    ("deep_gain", "classification", 6, (5, 10)),
    ("lr_bump", "classification", 300, (200, 1000)),
    ("lr_bump", "recurrent", 100, (70, 300)),
    ("clip_tight", "classification", 1e-3, (3e-3, 1e-4)),
    ("clip_loose", "recurrent", 300, (100, 1000)),
    ("fp16_overflow", "classification", 1e7, (5e6, 1e8)),
    ("few_examples", "classification", 60, (50, 80)),
    ("few_examples", "autoencoder", 0.97, (0.96, 0.98)),
    ("label_noise", "classification", 0.5, (0.4, 0.7)),
    ("few_validated", "classification", 20, (15, 30)),
    ("schedule_ends", "classification", 30, (20, 40)),
    ("schedule_restarts", "classification", 2, (1.5, 3)),
    ("ema_long", "classification", 0.999, (0.998, 0.9995)),
    ("ema_long", "autoencoder", 0.999, (0.998, 0.9995)),
    ("negative_loss", "classification", 1.0, (0.5, 2.0)),
    ("log_of_nothing", "classification", 2, (1, 4)),
    ("no_output", "classification", 1e-7, (1e-8, 1e-6)),
    ("leak", "classification", 1.5, (1.0, 3.0)),
    ("peek", "recurrent", 1.0, (0.7, 2.0)),
]
"""Fault, kind of training, its strength in the part for tuning, those in the part held back."""


@dataclass(frozen=True)
class Spot:
    """A training that gets a fault: its kind and part, and how strong the fault is."""

    kind: str
    part: str
    strength: float

    @property
    def held(self) -> bool:
        return self.part == "held_back"

    @property
    def text(self) -> Words:
        return (*TEXT, f"dataset.path=text-{self.part}.txt")

    @property
    def adam(self) -> Words:
        return (ADAM, f"optimizer.lr={RATE[self.kind]}")

    @property
    def usual(self) -> Words:
        return model_of(self.kind, self.part)

    def with_adam(self, *words: str) -> Words:
        """The usual training, and these."""
        return (*self.usual, *self.adam, *words)

    def mlp(self, **arguments: object) -> Words:
        """A faulty MLP of doctor_parts."""
        hidden = "[48,48,48]" if self.held else "[64,64]"
        return own("FaultyMLP", **{"hidden": hidden, **arguments})

    def on_digits(self, **arguments: object) -> Words:
        """The same on good digits."""
        return (*DIGITS, *self.adam, *self.mlp(**arguments))

    def loss(self, named: str, argument: str) -> Words:
        """The usual training by a loss of doctor_parts, whose argument is the strength."""
        return self.with_adam(
            f"task.loss._target_=doctor_parts.{named}",
            f"task.loss.arguments={{{argument}:{self.strength}}}",
        )


def lr_wrong(at: Spot) -> Words:
    return (*at.usual, ADAM, f"optimizer.lr={RATE[at.kind] * at.strength}")


def lr_diverges(at: Spot) -> Words:
    usual = 3e-2 if at.kind == "classification" else 3e-3
    return (*at.usual, SGD, f"optimizer.lr={at.strength * usual}")


def deep_sigmoid(at: Spot) -> Words:
    depth = int(at.strength)
    if at.kind == "classification":
        hidden = [40 if at.held else 32] * depth
        model: Words = ("model=mlp", f"model.hidden={hidden}", "model.activation=sigmoid")
        return (*DIGITS, *at.adam, *model)
    model = ("model=autoencoder", f"model.hidden={[40] * depth}", "model.code=12")
    task = ("task=reconstruction", "dataset=digits")
    return (*DIGITS, *task, *at.adam, *model, "model.sparse_init=0")


def recurrent_gain(at: Spot) -> Words:
    width = 20 if at.held else 24
    return (*at.text, *at.adam, *own("Cells", kind="RNN", gain=at.strength, width=width))


def deep_gain(at: Spot) -> Words:
    hidden = "[40,40,40,40]" if at.held else "[64,64,64]"
    return at.on_digits(hidden=hidden, gain=at.strength)


def lr_bump(at: Spot) -> Words:
    target = "schedule._target_=doctor_parts.bump"
    return at.with_adam("schedule=custom", target, f"schedule.arguments={{factor:{at.strength}}}")


def fp16_overflow(at: Spot) -> Words:
    scaled = at.loss("Scaled", "factor")
    return (*scaled[:-2], "precision=fp16", *scaled[-2:], "nonfinite=skip")


def few_examples(at: Spot) -> Words:
    if at.kind == "classification":
        size = data(size=int(at.strength * 2))
        long = ("epochs=150", "dataset.val_fraction=0.5", "eval.every=5ep", "batch_size=16")
        return (*size, *at.adam, *at.mlp(), *long)
    few = (f"dataset.val_fraction={at.strength}", "epochs=300", "eval.every=20ep")
    return at.with_adam(*few, "batch_size=16")


def label_noise(at: Spot) -> Words:
    return (*data(noise=at.strength), *at.adam, *at.mlp(), "epochs=40", "eval.every=2ep")


def schedule_ends(at: Spot) -> Words:
    milestones = f"schedule.milestones=[{int(at.strength)}%]"
    return at.with_adam("schedule=multistep", milestones, "schedule.gamma=1e-4")


def log_of_nothing(at: Spot) -> Words:
    """NLLLoss wants logarithms of probabilities."""
    lr = f"optimizer.lr={RATE[at.kind] / at.strength}"
    return at.with_adam(lr, "task.loss._target_=torch.nn.NLLLoss")


def peek(at: Spot) -> Words:
    kind = "GRU" if at.held else "LSTM"
    return (*at.text, *at.adam, *own("Cells", kind=kind, width=24, peek=at.strength))


PLANTED: dict[str, Callable[[Spot], Words]] = {
    "lr_high": lr_wrong,
    "lr_low": lr_wrong,
    "lr_diverges": lr_diverges,
    "deep_sigmoid": deep_sigmoid,
    "dead_relu": lambda at: at.on_digits(bias=-at.strength),
    "saturated_tanh": lambda at: at.on_digits(activation="tanh", gain=at.strength),
    "unscaled_inputs": lambda at: (*data(scale=at.strength), *at.adam, *at.mlp(activation="tanh")),
    "recurrent_gain": recurrent_gain,
    "deep_gain": deep_gain,
    "lr_bump": lr_bump,
    "clip_tight": lambda at: at.with_adam(f"clip.norm={at.strength}"),
    "clip_loose": lambda at: at.with_adam(f"clip.norm={at.strength}"),
    "fp16_overflow": fp16_overflow,
    "few_examples": few_examples,
    "label_noise": label_noise,
    "few_validated": lambda at: at.with_adam(f"eval.examples={int(at.strength)}"),
    "schedule_ends": schedule_ends,
    "schedule_restarts": lambda at: at.with_adam("schedule=cosine", "checkpoint=final"),
    "ema_long": lambda at: at.with_adam(f"ema={at.strength}"),
    "negative_loss": lambda at: at.loss("Shifted", "shift"),
    "log_of_nothing": log_of_nothing,
    "no_output": lambda at: at.on_digits(out=at.strength),
    "leak": lambda at: (*data(leak=at.strength), *at.adam, *at.mlp()),
    "peek": peek,
}
"""By fault: the overrides of a training that has it, beside or in place of a healthy one's."""


def faulty(seeds: int) -> Iterator[Planned]:
    """All that have a fault."""
    for fault, kind, tuning, held in FAULTS:
        for part, strengths in (("tuning", (tuning,)), ("held_back", held)):
            for number, strength in enumerate(strengths):
                line = PLANTED[fault](Spot(kind, part, strength))
                then: tuple[str, ...] = ()
                if fault == "schedule_restarts":
                    length = 150 if kind == "recurrent" else 12
                    key = "steps" if kind == "recurrent" else "epochs"
                    then = (f"{key}={int(length * strength)}",)
                for seed in range(number, seeds, len(strengths)):
                    yield Planned(part, kind, fault, f"{strength:g}", seed, line, then)
