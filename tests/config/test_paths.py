"""optbench.config.paths"""

from pathlib import Path

import pytest

from optbench.config.paths import with_absolute_paths


def test_paths_to_data_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    plain = {"data_root": "data", "dataset": {"path": "~/t.txt", "root": "../x", "train_dir": "t"}}
    assert with_absolute_paths(plain) == {
        "data_root": f"{tmp_path}/data",
        "dataset": {"path": "/home/me/t.txt", "root": f"{tmp_path.parent}/x", "train_dir": "t"},
    }


@pytest.mark.parametrize("value", [None, "", "s3://bucket/t.txt", 3])
def test_what_is_no_path_stays(value: object) -> None:
    plain = {"data_root": "/", "dataset": {"path": value}}
    assert with_absolute_paths(plain) == plain
