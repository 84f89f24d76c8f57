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


def planted(fault: str, kind: str, part: str, strength: float) -> tuple[str, ...]:
    """The overrides of a fault, beside or instead of those of a healthy training."""
    held = part == "held_back"
    usual = model_of(kind, part)
    text = (*TEXT, f"dataset.path=text-{part}.txt")
    adam = (ADAM, f"optimizer.lr={RATE[kind]}")

    def mlp(**arguments: object) -> tuple[str, ...]:
        hidden = "[48,48,48]" if held else "[64,64]"
        return own("FaultyMLP", **{"hidden": hidden, **arguments})

    if fault in ("lr_high", "lr_low"):
        return (*usual, ADAM, f"optimizer.lr={RATE[kind] * strength}")
    if fault == "lr_diverges":
        return (
            *usual,
            SGD,
            f"optimizer.lr={strength * (3e-2 if kind == 'classification' else 3e-3)}",
        )
    if fault == "deep_sigmoid":
        depth = int(strength)
        if kind == "classification":
            width = 40 if held else 32
            return (
                *DIGITS,
                *adam,
                "model=mlp",
                f"model.hidden={[width] * depth}",
                "model.activation=sigmoid",
            )
        return (
            *DIGITS,
            "task=reconstruction",
            "dataset=digits",
            *adam,
            "model=autoencoder",
            f"model.hidden={[40] * depth}",
            "model.code=12",
            "model.sparse_init=0",
        )
    if fault == "dead_relu":
        return (*DIGITS, *adam, *mlp(bias=-strength))
    if fault == "saturated_tanh":
        return (*DIGITS, *adam, *mlp(activation="tanh", gain=strength))
    if fault == "unscaled_inputs":
        return (*data(scale=strength), *adam, *mlp(activation="tanh"))
    if fault == "recurrent_gain":
        return (
            *text,
            *adam,
            *own(
                "Cells",
                kind="RNN",
                gain=strength,
                width=20 if held else 24,
            ),
        )
    if fault == "deep_gain":
        hidden = "[40,40,40,40]" if held else "[64,64,64]"
        return (*DIGITS, *adam, *mlp(hidden=hidden, gain=strength))
    if fault == "lr_bump":
        return (
            *usual,
            *adam,
            "schedule=custom",
            "schedule._target_=doctor_parts.bump",
            f"schedule.arguments={{factor:{strength}}}",
        )
    if fault in ("clip_tight", "clip_loose"):
        return (*usual, *adam, f"clip.norm={strength}")
    if fault == "fp16_overflow":
        return (
            *usual,
            *adam,
            "precision=fp16",
            "task.loss._target_=doctor_parts.Scaled",
            f"task.loss.arguments={{factor:{strength}}}",
            "nonfinite=skip",
        )
    if fault == "few_examples":
        if kind == "classification":
            return (
                *data(size=int(strength * 2)),
                *adam,
                *mlp(),
                "epochs=150",
                "dataset.val_fraction=0.5",
                "eval.every=5ep",
                "batch_size=16",
            )
        few = (f"dataset.val_fraction={strength}", "epochs=300", "eval.every=20ep")
        return (*usual, *adam, *few, "batch_size=16")
    if fault == "label_noise":
        return (*data(noise=strength), *adam, *mlp(), "epochs=40", "eval.every=2ep")
    if fault == "few_validated":
        return (*usual, *adam, f"eval.examples={int(strength)}")
    if fault == "schedule_ends":
        return (
            *usual,
            *adam,
            "schedule=multistep",
            f"schedule.milestones=[{int(strength)}%]",
            "schedule.gamma=1e-4",
        )
    if fault == "schedule_restarts":
        return (*usual, *adam, "schedule=cosine", "checkpoint=final")
    if fault == "ema_long":
        return (*usual, *adam, f"ema={strength}")
    if fault == "negative_loss":
        return (
            *usual,
            *adam,
            "task.loss._target_=doctor_parts.Shifted",
            f"task.loss.arguments={{shift:{strength}}}",
        )
    if fault == "log_of_nothing":  # NLLLoss wants logarithms of probabilities
        return (
            *usual,
            *adam,
            f"optimizer.lr={RATE[kind] / strength}",
            "task.loss._target_=torch.nn.NLLLoss",
        )
    if fault == "no_output":
        return (*DIGITS, *adam, *mlp(out=strength))
    if fault == "leak":
        return (*data(leak=strength), *adam, *mlp())
    if fault == "peek":
        return (
            *text,
            *adam,
            *own("Cells", kind="GRU" if held else "LSTM", width=24, peek=strength),
        )
    raise ValueError(fault)


def faulty(seeds: int) -> Iterator[Planned]:
    """All that have a fault."""
    for fault, kind, tuning, held in FAULTS:
        for part, strengths in (("tuning", (tuning,)), ("held_back", held)):
            for number, strength in enumerate(strengths):
                line = planted(fault, kind, part, strength)
                then: tuple[str, ...] = ()
                if fault == "schedule_restarts":
                    length = 150 if kind == "recurrent" else 12
                    key = "steps" if kind == "recurrent" else "epochs"
                    then = (f"{key}={int(length * strength)}",)
                for seed in range(number, seeds, len(strengths)):
                    yield Planned(part, kind, fault, f"{strength:g}", seed, line, then)
