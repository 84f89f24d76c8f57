"""The trainings of doctor_corpus.py: what is healthy, and what is planted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

SEEDS = 3
PARTS = ("tuning", "held_back")
TEXT: tuple[str, ...] = (
    "dataset=text",
    "dataset.context=16",
    "steps=150",
    "eval.every=10",
    "batch_size=8",
)
TEXT += ("eval.examples=60", "eval.test=false")
DIGITS = ("dataset=digits", "epochs=12", "eval.every=1ep")
OWN: tuple[str, ...] = (
    "dataset=custom",
    "dataset._target_=doctor_parts.digits",
    "epochs=12",
    "eval.every=1ep",
)
OWN += ("+dataset.arguments={}", "+dataset.train={train:true}", "+dataset.test={train:false}")
ADAM, SGD = "optimizer=adamw", "optimizer=momentum"


def own(model: str, **arguments: object) -> tuple[str, ...]:
    """The overrides of a model of doctor_parts."""
    said = ",".join(
        f"{key}:{value}".lower() if isinstance(value, bool) else f"{key}:{value}"
        for key, value in arguments.items()
    )
    return ("model=custom", f"model._target_=doctor_parts.{model}", f"model.arguments={{{said}}}")


def data(**arguments: object) -> tuple[str, ...]:
    """The overrides of the digits of doctor_parts, with a fault of the training set or of both."""
    said = ",".join(f"{key}:{value}" for key, value in arguments.items())
    return tuple(each.replace("arguments={}", f"arguments={{{said}}}") for each in OWN)


@dataclass(frozen=True)
class Planned:
    """One training.

    Attributes:
        part: `tuning` or `held_back`.
        kind: of the training.
        fault: what was planted; `healthy`, nothing.
        strength: of the fault; of a healthy one the name of its settings.
        overrides: without the seed.
        then: of a resume after it, if there is one.
    """

    part: str
    kind: str
    fault: str
    strength: str
    seed: int
    overrides: tuple[str, ...]
    then: tuple[str, ...] = ()

    @property
    def folder(self) -> str:
        return f"{self.part}/{self.kind}/{self.fault}-{self.strength}/{self.seed}"


def model_of(kind: str, part: str) -> tuple[str, ...]:
    """The model and data of a kind of training, other ones in each part."""
    held = part == "held_back"
    if kind == "classification":
        return (*DIGITS, "model=mlp", f"model.hidden={'[48,48]' if held else '[64]'}")
    if kind == "recurrent":
        return (
            *TEXT,
            f"dataset.path=text-{part}.txt",
            *(("model=gru", "model.width=20") if held else ("model=lstm", "model.width=24")),
        )
    if kind == "gpt":
        size = ("model.layers=2", "model.width=16", "model.heads=2")
        size = size if held else ("model.layers=1", "model.width=24", "model.heads=2")
        return (*TEXT, f"dataset.path=text-{part}.txt", "model=gpt", *size)
    if held:
        return (
            *DIGITS,
            "task=vae",
            "dataset=digits",
            "model=vae",
            "model.hidden=[48]",
            "model.latent=8",
        )
    return (
        *DIGITS,
        "task=reconstruction",
        "dataset=digits",
        "model=autoencoder",
        "model.hidden=[48]",
        "model.code=12",
        "model.activation=relu",
        "model.sparse_init=0",
    )


RATE = {"classification": 2e-3, "recurrent": 5e-3, "gpt": 3e-3, "autoencoder": 2e-3}
"""Of AdamW, where the training is healthy."""
KINDS = tuple(RATE)

HEALTHY: dict[str, dict[str, tuple[str, ...]]] = {
    "classification": {
        "adamw-cosine": (ADAM, "optimizer.lr=2e-3", "schedule=cosine"),
        "adamw-constant": (ADAM, "optimizer.lr=1e-3"),
        "momentum": (SGD, "optimizer.lr=0.03"),
        "momentum-linear": (SGD, "optimizer.lr=0.1", "schedule=linear", "clip.norm=2.0"),
        "rmsprop": ("optimizer=rmsprop", "optimizer.lr=1e-3", "schedule=cosine"),
        "one-cycle": (ADAM, "optimizer.lr=3e-3", "schedule=one_cycle"),
        "smoothing-ema": (ADAM, "optimizer.lr=2e-3", "label_smoothing=0.1", "ema=0.95"),
        "lion": ("optimizer=lion", "optimizer.lr=3e-4", "schedule=wsd"),
        "augmented": (ADAM, "optimizer.lr=2e-3", "schedule=cosine", "dataset.crop=1"),
        "nag": ("optimizer=nag", "optimizer.lr=0.03", "schedule=step", "schedule.step_size=40%"),
        "large-batch": (ADAM, "optimizer.lr=3e-3", "batch_size=256", "epochs=40",
                        "schedule=cosine"),
    },
    "recurrent": {
        "adamw-cosine": (ADAM, "optimizer.lr=5e-3", "schedule=cosine", "clip.norm=1.0"),
        "adamw-constant": (ADAM, "optimizer.lr=3e-3"),
        "momentum": (SGD, "optimizer.lr=1.0", "clip.norm=1.0"),
        "warmup": (ADAM, "optimizer.lr=1e-2", "schedule=cosine", "schedule.warmup_steps=10%"),
        "rmsprop": ("optimizer=rmsprop", "optimizer.lr=3e-3", "schedule=linear"),
        "momentum-cosine": (SGD, "optimizer.lr=0.5", "schedule=cosine"),
        "dropout": (ADAM, "optimizer.lr=5e-3", "model.dropout=0.1", "schedule=wsd"),
        "ema": (ADAM, "optimizer.lr=5e-3", "ema=0.9"),
    },
    "gpt": {
        "adamw-cosine": (ADAM, "optimizer.lr=3e-3", "schedule=cosine", "clip.norm=1.0"),
        "warmup": (ADAM, "optimizer.lr=5e-3", "schedule=cosine", "schedule.warmup_steps=10%"),
        "adamw-constant": (ADAM, "optimizer.lr=2e-3"),
        "lion": ("optimizer=lion", "optimizer.lr=5e-4", "schedule=linear"),
        "momentum": (SGD, "optimizer.lr=0.1", "clip.norm=1.0", "schedule=cosine"),
        "small-batch": (ADAM, "optimizer.lr=2e-3", "batch_size=4", "schedule=cosine"),
        "dropout": (ADAM, "optimizer.lr=3e-3", "model.dropout=0.1", "schedule=wsd"),
        "ema": (ADAM, "optimizer.lr=3e-3", "ema=0.95", "schedule=cosine"),
    },
    "autoencoder": {
        "adamw-cosine": (ADAM, "optimizer.lr=2e-3", "schedule=cosine"),
        "adamw-constant": (ADAM, "optimizer.lr=1e-3"),
        "one-cycle": (ADAM, "optimizer.lr=5e-3", "schedule=one_cycle"),
        "momentum": (SGD, "optimizer.lr=3e-3", "schedule=cosine"),
        "rmsprop": ("optimizer=rmsprop", "optimizer.lr=1e-3"),
        "small-batch": (ADAM, "optimizer.lr=1e-3", "batch_size=16", "schedule=cosine"),
        "sigmoid": (ADAM, "optimizer.lr=1e-2", "model.activation=sigmoid", "schedule=cosine"),
        "ema": (ADAM, "optimizer.lr=2e-3", "ema=0.95"),
    },
}  # fmt: skip


def healthy(seeds: int) -> Iterator[Planned]:
    """All that have no fault, about half of each part."""
    for kind, settings in HEALTHY.items():
        for part in PARTS:
            for name, said in settings.items():
                for seed in range(seeds):
                    line = (*model_of(kind, part), *said)
                    yield Planned(part, kind, "healthy", name, seed, line)
