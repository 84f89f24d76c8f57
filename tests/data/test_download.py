"""optbench.data.download"""

import hashlib
from pathlib import Path

import pytest

from optbench.data import download
from optbench.data.download import fetch, md5_of
from optbench.data.files import Unreadable
from optbench.errors import ArgumentError

CONTENT = b"some bytes"
MD5 = hashlib.md5(CONTENT).hexdigest()
NOWHERE = "http://127.0.0.1:9/file.gz"  # nothing listens on the discard port


@pytest.fixture
def mirror(tmp_path: Path) -> str:
    (tmp_path / "mirror.gz").write_bytes(CONTENT)
    return (tmp_path / "mirror.gz").as_uri()


def test_the_first_mirror_which_works_is_used(tmp_path: Path, mirror: str) -> None:
    destination = tmp_path / "deep" / "down" / "file.gz"
    fetch([NOWHERE, mirror], MD5, destination)
    assert destination.read_bytes() == CONTENT
    assert md5_of(destination) == MD5
    assert [path.name for path in destination.parent.iterdir()] == ["file.gz"]


@pytest.mark.parametrize(
    "urls", [[NOWHERE], ["not a url"], ["file:///no/such/file"], [NOWHERE, "ftp://127.0.0.1:9/x"]]
)
def test_a_failure_is_one_line_with_the_way_out(tmp_path: Path, urls: list[str]) -> None:
    destination = tmp_path / "folder" / "file.gz"
    with pytest.raises(ArgumentError) as caught:
        fetch(urls, MD5, destination, timeout=1)
    message = str(caught.value)
    assert "\n" not in message
    assert all(text in message for text in [*urls, f"at {destination} by hand", "point root at"])
    assert not (tmp_path / "folder").exists()


def test_a_wrong_md5_leaves_no_file(tmp_path: Path, mirror: str) -> None:
    destination = tmp_path / "folder" / "file.gz"
    with pytest.raises(ArgumentError, match=f"MD5 {MD5} instead of 0123"):
        fetch([mirror], "0123", destination)
    assert not (tmp_path / "folder").exists()


def test_a_folder_which_cannot_be_made_is_named(tmp_path: Path, mirror: str) -> None:
    (tmp_path / "taken").write_text("", encoding="utf-8")
    with pytest.raises(ArgumentError, match=r"taken: a file, where a folder .*; point root at"):
        fetch([mirror], MD5, tmp_path / "taken" / "file.gz")


def test_a_download_without_end_is_given_up(
    tmp_path: Path, mirror: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "LIMIT", len(CONTENT) - 1)
    with pytest.raises(ArgumentError, match="more than 9 bytes"):
        fetch([mirror], MD5, tmp_path / "folder" / "file.gz")
    assert not (tmp_path / "folder").exists()
    with pytest.raises(Unreadable, match="a folder, not a file"):
        md5_of(tmp_path)
