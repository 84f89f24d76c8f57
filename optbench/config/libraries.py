"""Names that are no config of ours, but one takes them: the zoo's, torchvision's. No torch."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Iterable
from pathlib import Path

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


def choice_meant(group: str, word: str, options: Iterable[str], key: str | None = None) -> str:
    """Return `did you mean X?` for a choice that a group lacks, or the list of its choices.

    Ours go before a library's, unless the word is that one's to the letter, or nearly.

    Args:
        key: of the choice, if it is not the group's.
    """
    options = list(options)
    ours = nearest(word, options)
    own = likeness(word, ours) if ours else 0.0
    if group in LIBRARIES and own < 0.99:
        config, names = LIBRARIES[group]
        found = nearest(word, names(), cutoff=0.75)
        if found and config in options and (flat(found) == flat(word) or own < 0.75):
            key = key or group
            return f"did you mean {key}={config} {key}.name={found}?"
    return did_you_mean(word, options)
