"""What K-FAC can't go with is said in one line, before anything is left on the disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from .program import call, left_in

KFAC = "optbench.optim.second_order.kfac.kfac.KFAC"
ROWS: list[tuple[str, list[str]]] = [
    ("optimizer=kfac compile=true", ["compile=true", "KFAC looks at what goes into layers"]),
    ("optimizer=kfac precision=fp16", ["precision=fp16: Combined", "use bf16 or fp32"]),
    (
        "player.discriminator.optimizer=kfac task=adversarial model=dcgan dataset=digits",
        ["KFAC needs a loss that is the criterion of one model's outputs", "Adversarial is not"],
    ),
    ("optimizer=kfac model=beale", ["knows Linear, Conv1d, Conv2d and Embedding", "Beale"]),
    (
        "optimizer=kfac task.loss._target_=torch.nn.MultiMarginLoss",
        [
            "optimizer.fisher=sampled: the loss of Classification is not",
            "optimizer.fisher=empirical",
        ],
    ),
    ("optimizer=kfac optimizer.fisher=exact", ["fisher=exact is not empirical or sampled"]),
    (
        f"optimizer=custom optimizer._target_={KFAC} model.batch_norm=true",
        ["K-FAC knows no layer like blocks.0.1 (BatchNorm1d)"],
    ),
    (
        "optimizer=kfac optimizer.adapt_every=5 clip.norm=1",
        ["clip.norm=1.0: KFAC holds losses and products against gradients"],
    ),
    (
        "optimizer=ekfac optimizer.adapt_every=5 optimizer.centralize_gradients=true",
        ["optimizer.centralize_gradients=true: KFAC holds"],
    ),
    ("optimizer=kfac optimizer.decay=coupled", ["optimizer.decay=coupled: KFAC"]),
]


@pytest.mark.parametrize(("line", "named"), ROWS, ids=[line for line, _ in ROWS])
def test_it_is_refused(line: str, named: list[str]) -> None:
    answer = call(f"train {line}")
    assert answer.code == 2
    assert answer.out == ""
    assert len(answer.err.splitlines()) == 1
    assert [word for word in named if word not in answer.err] == []
    assert left_in(Path.cwd()) == []
