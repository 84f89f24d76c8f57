"""A population that is gone on with elsewhere than it was begun."""

from __future__ import annotations

from pathlib import Path

import pytest

from .program import call
from .test_pbt import LINE, LR


def test_a_config_file_that_has_changed_is_told_of(tmp_path: Path) -> None:
    own = tmp_path / "own" / "optimizer"
    own.mkdir(parents=True)
    text = "defaults: [sgd]\nmomentum: {}\n"
    (own / "mine.yaml").write_text(text.format(0.9), encoding="utf-8")
    line = f"{LINE} optimizer=mine steps=4 rounds=2 members=2 'search={{{LR}}}'"
    assert call(f"{line} --config-dir {own.parent}").code == 0
    (own / "mine.yaml").write_text(text.format(0.5), encoding="utf-8")
    refused = call("resume study")
    assert refused.code == 2
    assert "optimizer.momentum=0.5: a config file says so today" in refused.err


@pytest.mark.parametrize("verb", ["pbt", "resume"])
def test_ranks_of_torchrun_are_refused(verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    line = f"{LINE} optimizer=sgd steps=4 rounds=2 members=2 'search={{{LR}}}'"
    assert call(line).code == 0
    ranks = {"WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}
    for name, value in ranks.items():
        monkeypatch.setenv(name, value)
    refused = call(line if verb == "pbt" else "resume study")
    assert refused.code == 2 and "pbt: not under torchrun" in refused.err
