"""A planted error changes the verdict that it should: an Adam that does not correct its bias."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.program import call

from .conftest import write

UNCORRECTED = '''
import torch


class Uncorrected(torch.optim.Optimizer):
    """Adam, but for the correction of its moments' bias, which was forgotten."""

    def __init__(self, params, lr, betas, eps):
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            first, second = group["betas"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state["m"], state["v"] = torch.zeros_like(p), torch.zeros_like(p)
                state["m"].lerp_(p.grad, 1 - first)
                state["v"].lerp_(p.grad**2, 1 - second)
                p.addcdiv_(state["m"], state["v"].sqrt() + group["eps"], value=-group["lr"])
'''
CONFIG = """
_target_: uncorrected.Uncorrected
lr: 1e-3
betas: [0.9, 0.999]
eps: 1e-8
"""
CLAIM = "claim adam_bias_correction seeds=8 steps=100"
"""All four cases are of as many steps then, which are done once."""


@pytest.mark.slow
def test_an_adam_without_bias_correction_is_found(workplace: Path) -> None:
    pytest.importorskip("scipy")
    write(workplace / "uncorrected.py", UNCORRECTED)
    write(workplace / "own" / "optimizer" / "uncorrected.yaml", CONFIG)
    right = call(CLAIM)
    assert "verdict: holds  (p" in right.out, right.err
    wrong = call(f"{CLAIM} 'instead={{adam: uncorrected}}' --config-dir own")
    assert "verdict: does not hold here" in wrong.out, wrong.err
