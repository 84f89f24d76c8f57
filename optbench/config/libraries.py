"""Names that are no config of ours, but one takes them: the zoo's, torchvision's. No torch."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from optbench.config.file_names import file_meant, is_file_name
from optbench.config.suggest import did_you_mean, flat, likeness, nearest
from optbench.config.zoo import zoo

_MODEL = re.compile(r"^@register_model\(\)\n(?:@.*\n)*def (\w+)\(", re.MULTILINE)


def torchvision_names() -> list[str]:
    """Return torchvision's classifiers as its sources register them; importing takes seconds."""
    try:
        spec = importlib.util.find_spec("torchvision")
    except ValueError:
        return []
    folders = spec.submodule_search_locations if spec is not None else None
    files = [path for folder in folders or () for path in Path(folder, "models").glob("*.py")]
    return sorted(name for path in files for name in _MODEL.findall(path.read_text("utf-8")))


LIBRARIES: dict[str, tuple[str, Callable[[], Iterable[str]]]] = {
    "optimizer": ("zoo", zoo),
    "model": ("torchvision", torchvision_names),
}
"""By group: the config that takes a name, and what names there are."""


LOSSES = (
    "BCELoss",
    "BCEWithLogitsLoss",
    "CrossEntropyLoss",
    "GaussianNLLLoss",
    "HingeEmbeddingLoss",
    "HuberLoss",
    "KLDivLoss",
    "L1Loss",
    "MSELoss",
    "MultiLabelMarginLoss",
    "MultiLabelSoftMarginLoss",
    "MultiMarginLoss",
    "NLLLoss",
    "PoissonNLLLoss",
    "SmoothL1Loss",
    "SoftMarginLoss",
)
"""torch's, of outputs and targets."""
_CALLED = {"mae": "L1Loss", "squarederror": "MSELoss", "hinge": "MultiMarginLoss", "ce": LOSSES[2]}


def loss_meant(word: str) -> str | None:
    """Return the path of the loss of torch's that a name means, such as `mse`, or None."""
    if "." in word:
        return None
    name = flat(word).removesuffix("loss")
    short = {flat(loss).removesuffix("loss"): loss for loss in LOSSES} | _CALLED
    found = nearest(name, short, cutoff=0.85)
    return f"torch.nn.{short[found]}" if found else None


NO_OPTIMIZERS = {
    **{"sam": "wrapper=sam", "lookahead": "wrapper=lookahead"},
    **{"swa": "ema=0.999", "ema": "ema=0.999", "nesterov": "optimizer=nag"},
}
"""What goes around an optimizer here, is done beside it, or has another name."""


def choice_meant(group: str, word: str, options: Iterable[str], key: str | None = None) -> str:
    """Return `did you mean X?` for a choice that a group lacks, or the list of its choices.

    Ours go before a library's, unless the word is that one's to the letter, or nearly.

    Args:
        key: of the choice, if it is not the group's.
    """
    options = list(options)
    if group == "optimizer" and flat(word) in NO_OPTIMIZERS:
        return f"did you mean {NO_OPTIMIZERS[flat(word)]}?"
    by_path = file_meant(group, word, options, key or group)
    if by_path is None and "." in word and not is_file_name(word):
        by_path = _path_meant(group, word, options, key or group)
    if by_path is not None:
        return by_path
    ours = nearest(word, options)
    own = likeness(word, ours) if ours else 0.0
    if group in LIBRARIES and own < 0.99:
        config, names = LIBRARIES[group]
        found = nearest(word, names(), cutoff=0.75)
        if found and config in options and (flat(found) == flat(word) or own < 0.75):
            key = key or group
            return f"did you mean {key}={config} {key}.name={found}?"
    return did_you_mean(word, options)


def _path_meant(group: str, path: str, options: list[str], key: str) -> str | None:
    """Return how a class is chosen, given by its path: by the name of its config, or by its own."""
    name = path.rpartition(".")[2]
    ways = [f"{key}={option}" for option in options if flat(option) == flat(name)]
    if group == "schedule" and path.startswith("torch.optim.lr_scheduler.") and "torch" in options:
        ways.append(f"{key}=torch {key}.scheduler={name}")
    elif group in LIBRARIES and path.startswith(f"{LIBRARIES[group][0]}.models."):
        ways.append(f"{key}={LIBRARIES[group][0]} {key}.name={name}")
    elif "custom" in options and path.replace(".", "").isidentifier() and name:
        ways.append(f"{key}=custom {key}._target_={path}")
    return f"did you mean {', or '.join(ways)}?" if ways else None
