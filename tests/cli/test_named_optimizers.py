"""optimizer=zoo and optimizer=custom on the command line."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from .program import SMALL, assert_same_bits, call, final_state, left_in, train

OWN = '''
import torch

class Mine(torch.optim.Optimizer):
    """Averages its gradients in a list that no state dict knows."""

    def __init__(self, params, lr, keep=0.9):
        super().__init__(params, {"lr": lr, "keep": keep})
        self.params = [p for group in self.param_groups for p in group["params"]]
        self.averages = [torch.zeros_like(p) for p in self.params]

    @torch.no_grad()
    def step(self, closure=None):
        group = self.param_groups[0]
        for p, average in zip(self.params, self.averages):
            average.lerp_(p.grad, 1 - group["keep"])
            p -= group["lr"] * average
'''


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "named_optimizer.py").write_text(OWN, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p not in ("", str(tmp_path))])
    monkeypatch.delitem(sys.modules, "named_optimizer", raising=False)
    return tmp_path


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("optimizer=zoo", "optimizer.name=null: which one?"),
        ("optimizer=zoo optimizer.name=adamw2", "no such optimizer; did you mean adamw?"),
        ("optimizer=zoo optimizer.name=lion 'optimizer.arguments={beta: 1}'", "did you mean betas"),
        ("optimizer=zoo optimizer.name=lion optimizer.betas=[0.1,0.2]", "no such key"),
        ("optimizer=zoo optimizer.name=lion optimizer.lr=-1", "optimizer.lr=-1: not valid"),
        ("optimizer=zoo optimizer.name=lion 'optimizer.arguments={betas: [2, 2]}'", "optimizer: "),
        ("optimizer=zoo optimizer.name=lomo optimizer.layer_decay=0.5", "makes its groups of"),
        ("optimizer=custom", "optimizer._target_=null: which class?"),
        ("optimizer=custom optimizer._target_=named_optimizer.Mine", "Mine has no default"),
        ("optimizer=custom optimizer._target_=named_optimizer.Mind", "no such class"),
        ("optimizer=schedulefree ema=0.9", "averages the weights itself"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(line: str, said: str, here: Path) -> None:
    before = left_in(here)
    answer = call(f"train {SMALL} epochs=1 {line} hydra.run.dir=run")
    assert answer.code == 2
    assert said in answer.err
    assert answer.err.count("\n") == 1
    assert [name for name in left_in(here) if "__pycache__" not in name] == before


def test_a_class_in_the_current_folder_trains_and_resumes(here: Path) -> None:
    own = "optimizer=custom optimizer._target_=named_optimizer.Mine optimizer.lr=0.1"
    own += " 'optimizer.arguments={keep: 0.8}'"
    whole = train(f"epochs=2 {own}", here / "whole")
    half = train(f"epochs=1 {own}", here / "half")
    answer = call(f"resume {half.path} epochs=2")
    assert answer.code == 0, answer.err
    assert_same_bits(final_state(whole), final_state(half))


def test_a_resumed_run_keeps_its_optimizer(here: Path) -> None:
    run = train("epochs=1 optimizer=zoo optimizer.name=lion", here / "run")
    answer = call(f"resume {run.path} epochs=2 optimizer.name=tiger")
    assert answer.code == 2
    assert "optimizer.name=tiger: can't change when a run is resumed" in answer.err
