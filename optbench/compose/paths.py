"""Where the configs lie, and what to look at them for."""

from __future__ import annotations

from pathlib import Path

LARGEST = 256 * 1024
"""Letters of a config file; one of a megabyte is none."""


def configs_folder() -> Path:
    """`optbench/configs` of an installed wheel, or the repository's `configs`."""
    package = Path(__file__).resolve().parent.parent
    for folder in (package / "configs", package.parent / "configs"):
        if (folder / "config.yaml").is_file():
            return folder
    raise FileNotFoundError(f"no configs beside {package}; is optbench installed whole?")


def config_files(folder: Path) -> list[Path]:
    """The config files in a folder; none where there is no folder."""
    return sorted(path for path in folder.glob("*.yaml") if path.is_file())


def top_lines(path: Path) -> list[str]:
    """The lines of a config file, of one that is none too; more than a config has are left out."""
    with path.open(encoding="utf-8", errors="replace") as file:
        return file.read(LARGEST).splitlines()
