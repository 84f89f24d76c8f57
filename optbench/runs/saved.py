"""A run's own config, read as what others wrote: plain data, unchanged, and nobody's code."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optbench.compose.texts import check_flag
from optbench.config.moved import now, with_paths
from optbench.config.schema import from_plain
from optbench.errors import UserError, reason
from optbench.files import BadFile, load_json, parse_yaml, read_text
from optbench.rundir import FORMAT, RunDir
from optbench.runs.trust import Seal, foreign, is_own
from optbench.step_folders import CHECKPOINTS

if TYPE_CHECKING:
    from optbench.compose.files import ConfigFiles


@dataclass(frozen=True)
class Saved:
    """What a run folder says of its config.

    Attributes:
        plain: the config, plain data.
        seals: of this config and those that the run had before; empty for older runs.
        own: whether this user began the run.
    """

    plain: dict[str, Any]
    seals: list[Seal] = field(default_factory=list)
    own: bool = False

    def check(self, folder: RunDir, files: ConfigFiles) -> None:
        """Raise UserError for a config that makes no run; this user's own is known to make one."""
        with self._telling(folder):
            if not self.own:
                files.check_whole(self.plain, folder.read_overrides()["choices"])
            from_plain(self.plain)

    @contextmanager
    def _telling(self, folder: RunDir) -> Iterator[None]:
        """Tell in one line of a config that makes no run, whatever is wrong with it."""
        try:
            yield
        except UserError as error:
            raise UserError(f"{folder.config}: {error}") from error
        except (TypeError, ValueError, KeyError, AttributeError, OverflowError) as error:
            why = " ".join(f"{type(error).__name__}: {error}".split())
            raise UserError(f"{folder.config}: it does not make a run ({why})") from error


def read_saved(
    folder: RunDir,
    trust: bool = False,
    to_write: bool = True,
    hint: str = "",
    as_trained: bool = False,
) -> Saved:
    """Read the config of a run folder that one is about to go on with, or to build from.

    Args:
        folder: the run's.
        trust: build what the config names, whoever wrote it.
        as_trained: its weights are to be used, so its config has to be the one that it had.
        to_write: the run is to go on, so its config has to be the one that it had, and nothing
            in its folder may lead elsewhere.
        hint: how to trust a config that is only built from, for messages.

    Raises:
        UserError: no config, not the one that the run had, not plain, or somebody else's that
            names classes of his own; something in the folder that must not be there.
    """
    check_flag("trust", trust)
    text, plain = _read(folder)
    seals = list({seal.get("sha256"): seal for seal in _seals(folder)}.values())
    checksum = hashlib.sha256(text.encode("utf-8")).hexdigest()
    if (
        (to_write or as_trained)
        and seals
        and checksum not in [seal.get("sha256") for seal in seals]
    ):
        raise UserError(f"{folder.config}: {_another(folder)}")
    if to_write and folder.format > FORMAT:
        raise UserError(
            f"{folder.path}: of a later version of optbench, which has to go on with it "
            f"(format {folder.format}, this one's is {FORMAT})"
        )
    own = is_own(text, seals)
    if to_write:
        folder.inspect(links=own or trust)
    _refuse_interpolations(folder, plain)
    if not own and not trust:
        refuse_foreign(folder.config, plain, TRUST if to_write else hint)
    return Saved(plain, seals, own)


def _another(folder: RunDir) -> str:
    """Return what is wrong where neither the status nor a manifest has the SHA-256 of a config."""
    if not isinstance(folder.read_json("status.json").get("config"), list):
        lost = next((line for line in folder.damaged() if line.startswith("status.json")), "")
        return (
            "not the one that any checkpoint is of (another SHA-256), and "
            f"{lost or 'status.json has no config'}, which knows of later ones, with other tags "
            "or notes perhaps; put status.json back, or these as they were"
        )
    return (
        "not the one that the run had (another SHA-256); put that one back; "
        "settings are changed on the command line: optbench resume RUN key=value"
    )


def read_plain(folder: RunDir) -> dict[str, Any]:
    """Read the config of a run folder as plain data, to be looked at: whose it is is not asked.

    Raises:
        UserError: no config, or not plain.
    """
    _, plain = _read(folder)
    _refuse_interpolations(folder, plain)
    return plain


def _read(folder: RunDir) -> tuple[str, dict[str, Any]]:
    try:
        text = read_text(folder.config)
    except OSError as error:
        raise UserError(reason(error)) from None
    plain = parse_yaml(text, folder.config)
    if not isinstance(plain, dict) or not all(isinstance(key, str) for key in plain):
        raise UserError(f"{folder.config}: not a run's config")
    return text, with_paths(plain, now)


def _refuse_interpolations(folder: RunDir, plain: Mapping[str, Any]) -> None:
    for key, value in _texts(plain):
        if "${" in value:
            raise UserError(f"{folder.config}: {key}={value}: a saved config is plain data")


HINT = "; --trust builds it all the same"
TRUST = "; optbench resume RUN --trust runs it all the same"


def refuse_foreign(path: Path, plain: Mapping[str, Any], hint: str = TRUST) -> None:
    """Raise UserError, which names `path`, for a config that names classes of a stranger's own."""
    for key, value in foreign(plain):
        raise UserError(
            f"{path}: {key}={value}: not optbench's, and not a run that you began here{hint}"
        )


def _seals(folder: RunDir) -> Iterator[Seal]:
    """Yield the seals of the status and of every manifest that can be read."""
    listed = folder.read_json("status.json").get("config")
    found = list(listed) if isinstance(listed, list) else []
    for path in sorted(folder.checkpoints.glob(f"{CHECKPOINTS}/manifest.json")):
        try:
            found.append(load_json(path).get("config"))
        except (OSError, BadFile):
            continue  # a damaged one is told of when the checkpoints are looked at
    for seal in found:
        if isinstance(seal, dict):
            yield {str(key): str(value) for key, value in seal.items()}


def _texts(node: Any, at: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from _texts(value, f"{at}.{key}" if at else str(key))
    elif isinstance(node, list):
        for index, item in enumerate(node):
            yield from _texts(item, f"{at}[{index}]")
    elif isinstance(node, str):
        yield at, node
