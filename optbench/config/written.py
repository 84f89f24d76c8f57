"""The part of configs/config.yaml that follows from the settings' declarations.

`python -m optbench.config.written` writes it anew after a declaration has changed.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import yaml

from optbench.config.run_config import NESTED, RunConfig
from optbench.config.setting import KEY, OF_GROUP, Setting

FIRST = "# The settings of a run: optbench/config/run_config.py says what each is"
LAST = "# What every model, data set and task has"
COLUMN = 28
"""Where comments begin."""


def lines() -> list[str]:
    """Return a line for each setting, with its default and its comment, and those in between."""
    found: list[str] = []
    for each in dataclasses.fields(RunConfig):
        own: Setting | None = each.metadata.get(KEY)
        if own is None or own.default is OF_GROUP:
            continue
        if own.apart:
            found.append("")
        nested = NESTED.get(each.name)
        if nested is None:
            found.append(_line(f"{each.name}: {_yaml(own.default)}", own.help))
            continue
        found.append(_line(f"{each.name}:", own.help))
        for inner in dataclasses.fields(nested):
            setting: Setting = inner.metadata[KEY]
            found.append(_line(f"  {inner.name}: {_yaml(setting.default)}", setting.help))
    return found


def _line(text: str, comment: str) -> str:
    return f"{text:<{COLUMN - 1}} # {comment}" if comment else text


def _yaml(value: object) -> str:
    if isinstance(value, str):
        return value
    return yaml.safe_dump(value, default_flow_style=True).split("\n")[0]


def written_into(text: str) -> str:
    """Return the text of config.yaml with its part of settings as it is declared."""
    before, _, rest = text.partition(f"{FIRST}\n")
    _, _, after = rest.partition(f"\n{LAST}\n")
    return "\n".join([before + FIRST, *lines(), "", LAST, after])


if __name__ == "__main__":
    path = Path(__file__).parents[2] / "configs" / "config.yaml"
    path.write_text(written_into(path.read_text(encoding="utf-8")), encoding="utf-8")
