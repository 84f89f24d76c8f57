"""Where the configs lie."""

from __future__ import annotations

from pathlib import Path


def configs_folder() -> Path:
    """`optbench/configs` of an installed wheel, or the repository's `configs`."""
    package = Path(__file__).resolve().parent.parent
    for folder in (package / "configs", package.parent / "configs"):
        if (folder / "config.yaml").is_file():
            return folder
    raise FileNotFoundError(f"no configs beside {package}; is optbench installed whole?")
