"""Where the configs lie, and what to look at them for."""

from __future__ import annotations

from pathlib import Path

from optbench.config.about import described
from optbench.errors import UserError
from optbench.which_folder import refuse_no_folder

LARGEST = 256 * 1024
"""Letters of a config file; one of a megabyte is none."""


def configs_folder() -> Path:
    """Return `optbench/configs` of an installed wheel, or the repository's `configs`."""
    package = Path(__file__).resolve().parent.parent
    for folder in (package / "configs", package.parent / "configs"):
        if (folder / "config.yaml").is_file():
            return folder
    raise FileNotFoundError(f"no configs beside {package}; is optbench installed whole?")


def folder_of_configs(config_dir: str) -> Path:
    """Return a user's own folder of configs; raise UserError where there is none."""
    said = f"--config-dir={config_dir}"
    try:
        folder = Path(config_dir).expanduser()
        refuse_no_folder(folder, said)
    except (OSError, ValueError, RuntimeError) as error:  # a null character, nobody's home
        raise UserError(f"{said}: no such folder") from error
    if not config_dir:
        raise UserError(f"{said}: no such folder")
    _refuse_folder_of_a_group(folder, said)
    return folder


def _refuse_folder_of_a_group(folder: Path, said: str) -> None:
    """Refuse a folder named as a group, with files and no group's folder: it would say nothing."""
    groups = {path.name for path in configs_folder().iterdir() if path.is_dir()}
    name = folder.absolute().name
    inside = {path.name for path in folder.iterdir() if path.is_dir()}
    if name in groups and not inside & groups and config_files(folder):
        raise UserError(
            f"{said}: its files are the group {name}'s; name the folder that it is in, "
            f"--config-dir {folder.parent}"
        )


def config_files(folder: Path) -> list[Path]:
    """Return the config files in a folder; none where there is no folder."""
    return sorted(path for path in folder.glob("*.yaml") if path.is_file())


def text_of(path: Path) -> str:
    """Read the text of a file, also of one that is no config; leave out more than a config has."""
    with path.open(encoding="utf-8", errors="replace") as file:
        return file.read(LARGEST)


def description_of(path: Path) -> dict[str, str]:
    """Return what a group's config file says it is, by key; see `config.about.described`."""
    return described(text_of(path), path.parent.name, path)
