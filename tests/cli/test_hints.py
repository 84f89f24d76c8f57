"""What a newcomer tries first, and the right spelling that the answer has to name."""

from __future__ import annotations

import pytest

from .test_bad_input import Row, assert_refused

CHOICES: list[Row] = [
    ("optimizer=adma", ["optimizer=adma", "did you mean adam?"]),
    ("optimizer=ademamix", ["did you mean optimizer=zoo optimizer.name=ademamix?"]),
    ("model=resnet50", ["did you mean model=torchvision model.name=resnet50?"]),
    (
        "model=dcgan player.generator.optimizer=ademamix",
        ["player.generator.optimizer=zoo player.generator.optimizer.name=ademamix"],
    ),
    ("schedule=none", ["schedule=none", "did you mean constant?"]),
]

KEYS: list[Row] = [
    ("optimizer.nesterov=true", ["no such key here", "optimizer=muon, sgd, shampoo have it"]),
    ("wrapper.rho=0.1", ["wrapper.rho=0.1", "wrapper=sam has it"]),
    (
        "optimizer=zoo optimizer.name=ademamix optimizer.alpha=3",
        ["optimizer.alpha=3", "optimizer.arguments={alpha: ...}"],
    ),
    ("clip_norm=1", ["clip_norm=1: no such key", "did you mean clip.norm?"]),
    ("clp.norm=1", ["clp.norm=1: no such key", "did you mean clip.norm?"]),
    ("++wd=1", ["wd=1: no such key", "did you mean optimizer.weight_decay?"]),
    ("warmup=5", ["warmup=5: no such key", "did you mean schedule.warmup_steps?"]),
    ("momentum=0.9 optimizer=sgd", ["momentum=0.9", "did you mean optimizer.momentum?"]),
    ("weight_decay=0.1", ["weight_decay=0.1", "did you mean optimizer.weight_decay?"]),
    ("optimizer.wd=0.1", ["optimizer.wd=0.1", "did you mean weight_decay?"]),
    ("-m optimizer.wd=0.1,0.2", ["optimizer.wd=0.1", "did you mean weight_decay?"]),
    ("model=dcgan player.generator.lr=1", ["did you mean player.generator.optimizer.lr?"]),
    ("model.hidden.x=1", ["model.hidden.x=1", "model.hidden takes no keys"]),
]

VALUES: list[Row] = [
    ("optimizer.groups={params:a}", ["a list; in brackets: 'optimizer.groups=[{params:a}]'"]),
    ("clip=1.0", ["clip=1.0: not valid", "did you mean clip.norm?"]),
    ("clip=[1]", ["clip=[1]: not valid", "a group of keys"]),
    ("early_stopping=3", ["did you mean early_stopping.patience?"]),
    ("schedule.warmup=10%", ["schedule.warmup=10%", "did you mean schedule.warmup_steps?"]),
    ("optimizer.decay=0.1", ["coupled", "did you mean optimizer.weight_decay?"]),
    ("model.hidden=256,128", ["several values need -m", "a list: model.hidden=[256,128]"]),
    ("-m model.hidden=256,128", ["model.hidden=256", "such as [256]"]),
]

FLAGS: list[Row] = [
    ("train --epochs 3", ["--epochs: no such flag", "did you mean epochs=3?"]),
    ("train --epochs=3", ["--epochs: no such flag", "did you mean epochs=3?"]),
    ("train optimizer=sgd --momentum 0.9 -m", ["did you mean optimizer.momentum=0.9?"]),
    ("train optimizer=adma --lr 1", ["did you mean optimizer.lr=1?"]),
    ("train --hidden 256", ["did you mean model.hidden=[...]?"]),
    ("train --deterministic", ["did you mean deterministic=true?"]),
    ("train --config_dir x", ["did you mean --config-dir?"]),
    ("train --foo", ["--foo: no such flag", "settings are key=value"]),
    ("train --foo={", ["--foo: no such flag"]),
    ("show optimizer.lr=1,2", ["several values need optbench train -m, show takes one"]),
    ("find-lr seed=0,1", ["several values need optbench train -m, find-lr takes one"]),
    ("recommend --model gpt", ["--model: no such flag", "did you mean model=gpt?"]),
    ("show --epochs 3", ["did you mean epochs=3?"]),
    ("find-lr --png a.png", ["--png: no such flag", "find-lr.png is always made"]),
    ("find-lr --form 1", ["--form: no such flag", "did you mean --from?"]),
    ("find-lr --batch-size 32", ["did you mean batch_size=32?"]),
]


@pytest.mark.parametrize(("line", "named"), CHOICES + KEYS + VALUES)
def test_a_wrong_override_is_told_the_right_one(line: str, named: list[str]) -> None:
    assert_refused(f"train {line}", named)


@pytest.mark.parametrize(("line", "named"), FLAGS)
def test_a_flag_that_there_is_not_is_told_the_setting(line: str, named: list[str]) -> None:
    assert_refused(line, named)
