"""A setting of a run, declared once: default, type, range, help, and what a resume may do."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from optbench.config.fields import Field

KEY = "setting"
"""Where a dataclass's field has it, in its metadata."""


@dataclass(frozen=True)
class Setting:
    """What there is to say of one setting.

    Attributes:
        default: as config.yaml has it; `OF_GROUP` of one that a group's files give.
        help: config.yaml's comment, and `--help`'s where there is an example.
        field: how it is read, and its range; None: by the type of its default.
        fixed: a run can't be resumed with another value, which its checkpoint depends on.
        example: of an override, for `--help`.
        apart: an empty line comes before it in config.yaml.
    """

    default: Any
    help: str = ""
    field: Field | None = None
    fixed: bool = False
    example: str = ""
    apart: bool = False


OF_GROUP = object()
"""The default of what the files of a group give, such as precision."""


def setting(default: Any, help: str = "", field: Field | None = None, **more: Any) -> Any:
    """Declare a field of a config's dataclass.

    Args:
        default, help, field: see `Setting`.
        more: its other attributes; and `before`, the value of runs that were made before there was
            this setting, which lack it. Without, a config that lacks it is refused.
    """
    older = {"default": more.pop("before")} if "before" in more else {}
    declared = Setting(default, help, field, **more)
    return dataclasses.field(metadata={KEY: declared}, kw_only=True, **older)


def settings_of(
    cls: type, nested: Mapping[str, type], at: str = ""
) -> Iterator[tuple[str, Setting]]:
    """Yield every setting by its dotted key, in the order of config.yaml.

    Args:
        cls: the dataclass of the config.
        nested: of its fields, those that are dataclasses themselves.
    """
    for each in dataclasses.fields(cls):
        if each.name in nested and not at:
            yield from settings_of(nested[each.name], nested, f"{each.name}.")
        elif KEY in each.metadata:
            yield f"{at}{each.name}", each.metadata[KEY]
