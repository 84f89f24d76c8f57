"""Names of files where the name of a choice is expected: what takes such a file."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

MODULE, TEXT, WEIGHTS = ".py", ".txt", (".pt", ".pth", ".safetensors")
OTHERS = (".yaml", ".yml", ".csv", ".json", ".npy", ".npz", ".pkl", ".zip", ".gz", ".tar")
"""Files that are no choice, and that nothing takes by its name."""
MOST = 1 << 20
"""Bytes of a module that is looked into."""


def is_file_name(word: str) -> bool:
    """Return whether a word is the name of a file and no dotted path of a class."""
    return Path(word).suffix.lower() in (MODULE, TEXT, *WEIGHTS, *OTHERS)


def file_meant(group: str, word: str, options: list[str], key: str) -> str | None:
    """Return how a file is given that stands where a group's choice is expected, or None.

    Args:
        group, options: a group of configs and its choices.
        word: what was given.
        key: of the choice.

    Example:
        >>> file_meant("model", "m.pt", [], "model")
        'did you mean weights=m.pt?'
    """
    ending = Path(word).suffix.lower()
    if ending == MODULE and "custom" in options:
        path = f"{_dotted(word)}.{_only_class(word) or 'NAME'}"
        said = f"{key}=custom {key}._target_={shlex.quote(path)}"
        return f"did you mean {said}?" if path[-4:] != "NAME" else f"a class of it is {said}"
    if group == "dataset" and ending == TEXT and "text" in options:
        return f"did you mean {key}=text {shlex.quote(f'{key}.path={word}')}?"
    if group == "dataset" and "image_folder" in options and _folder(word):
        return f"did you mean {key}=image_folder {shlex.quote(f'{key}.root={word}')}?"
    is_run = os.path.lexists(os.path.join(word, "config.yaml"))
    if group == "model" and key == group and (ending in WEIGHTS or is_run):
        return f"did you mean {shlex.quote(f'weights={word}')}?"
    return None


def _folder(word: str) -> bool:
    return bool(os.path.dirname(word)) and os.path.isdir(word)


def _dotted(word: str) -> str:
    """Return the dotted path of a module by that of its file."""
    return ".".join(part for part in Path(word).with_suffix("").parts if part not in ("/", ".."))


def _only_class(word: str) -> str | None:
    """Return the name of a module's class, None where it has none or several."""
    try:
        with open(word, encoding="utf-8") as file:
            names: list[str] = re.findall(r"^class (\w+)", file.read(MOST), re.MULTILINE)
    except (OSError, ValueError):
        return None
    return names[0] if len(names) == 1 else None
