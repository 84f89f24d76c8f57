"""Files fetched once from the network, checked, and never left half-written."""

from __future__ import annotations

import hashlib
import http.client
import logging
import os
import shutil
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from optbench.errors import UserError

TIMEOUT = 10.0  # seconds without an answer

_log = logging.getLogger(__name__)


def fetch(urls: Sequence[str], md5: str, destination: Path, timeout: float = TIMEOUT) -> None:
    """Download the file from the first of `urls` which gives one with this MD5 (hexadecimal).

    The destination appears whole or not at all. Raises UserError when no URL works (within
    `timeout` seconds without an answer each, default 10) or the folder cannot be written.
    """
    part = destination.with_name(f"{destination.name}.{os.getpid()}.part")
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        part.touch()
    except OSError as error:
        raise UserError(f"cannot write {destination}: {error}") from error
    failures = []
    try:
        for url in urls:
            failure = _download(url, md5, part, timeout)
            if failure is None:
                part.replace(destination)
                return
            failures.append(f"{url} ({failure})")
    finally:
        part.unlink(missing_ok=True)
    raise UserError(
        f"cannot download {destination.name} from {' or '.join(failures)}: without a network, put"
        f" the file at {destination} by hand, or point OPTBENCH_DATA or dataset.root at a folder"
        " which has the data set"
    )


def md5_of(path: Path) -> str:
    """The MD5 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _download(url: str, md5: str, part: Path, timeout: float) -> str | None:
    """Why it failed, in one line, or None."""
    _log.info("downloading %s", url)
    try:
        with urllib.request.urlopen(url, timeout=timeout) as answer, part.open("wb") as file:
            shutil.copyfileobj(answer, file)
    except (OSError, http.client.HTTPException, ValueError) as error:
        return " ".join(str(error).split()) or type(error).__name__
    found = md5_of(part)
    return None if found == md5 else f"MD5 {found} instead of {md5}"
