"""What a newcomer tries first, and the right spelling that the answer has to name."""

from __future__ import annotations

import re

import pytest

from .program import call
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
    ("optimizer=foo", ["optimizer=foo", "choose from adabelief"]),
    ("workload=nope", ["workload=nope", "choose from adding_rnn"]),
    (
        "optimizer=torch.optim.Adam",
        ["did you mean optimizer=adam, or optimizer=custom optimizer._target_=torch.optim.Adam?"],
    ),
    ("optimizer=torch.optim.Foo", ["mean optimizer=custom optimizer._target_=torch.optim.Foo?"]),
    (
        "schedule=torch.optim.lr_scheduler.StepLR",
        ["did you mean schedule=torch schedule.scheduler=StepLR?"],
    ),
    ("model=torchvision.models.resnet50", ["mean model=torchvision model.name=resnet50?"]),
    ("wrapper=sam wrapper=lookahead", ["wrapper=lookahead: after wrapper=sam", "one wrapper"]),
    ("hydra/launcher=slurm", ["hydra/launcher=slurm: no such launcher; submitit_slurm, if"]),
    (
        "hydra/launcher=submitit_slurm",
        ["=submitit_slurm: no such launcher; it comes with pip install hydra-submitit-launcher"],
    ),
    ("hydra/launcher=ray", ["no such launcher; it comes with pip install hydra-ray-launcher"]),
    ("hydra/sweeper=optuna", ["no such sweeper; it comes with pip install hydra-optuna-sweeper"]),
    ("hydra/sweeper=optunna", ["no such sweeper; optuna, if that is meant, comes with pip"]),
    ("hydra/sweeper=nothing", ["no such sweeper; choose from basic"]),
    ("hydra/launcher=jobib", ["hydra/launcher=jobib: no such launcher; did you mean joblib?"]),
]

KEYS: list[Row] = [
    (
        "optimizer.nesterov=true",
        ["=adamw has no such key", "optimizer=muon, sgd, shampoo have it"],
    ),
    ("wrapper.rho=0.1", ["wrapper.rho=0.1", "wrapper=sam has it"]),
    (
        "optimizer=zoo optimizer.name=ademamix optimizer.alpha=3",
        ["optimizer.alpha=3", "optimizer.arguments={alpha: ...}"],
    ),
    ("recipes=gan", ["recipes=gan: no such key; did you mean recipe?"]),
    ("workloads=digits_mlp", ["did you mean workload?"]),
    ("frobnicate=1", ["frobnicate=1: no such key; optbench train --cfg job names them all"]),
    (
        "optimizer._target_=torch.optim.SGD",
        ["optimizer.betas: no argument of SGD; it takes lr, momentum"],
    ),
    ("clip_norm=1", ["clip_norm=1: no such key", "did you mean clip.norm?"]),
    ("clp.norm=1", ["clp.norm=1: no such key", "did you mean clip.norm?"]),
    ("++wd=1", ["wd=1: no such key", "did you mean optimizer.weight_decay?"]),
    ("warmup=5", ["warmup=5: no such key", "did you mean schedule.warmup_steps?"]),
    ("momentum=0.9 optimizer=sgd", ["momentum=0.9", "did you mean optimizer.momentum?"]),
    ("weight_decay=0.1", ["weight_decay=0.1", "did you mean optimizer.weight_decay?"]),
    ("optimizer.wd=0.1", ["optimizer.wd=0.1", "did you mean optimizer.weight_decay?"]),
    ("-m optimizer.wd=0.1,0.2", ["optimizer.wd=0.1", "did you mean optimizer.weight_decay?"]),
    ("model=dcgan player.generator.lr=1", ["did you mean player.generator.optimizer.lr?"]),
    ("dataset.name=mnist", ["dataset.name=mnist: no such key; did you mean dataset=mnist?"]),
    ("dataset.name=mnits", ["did you mean dataset=mnist?"]),
    ("optimizer.name=ademamix", ["did you mean optimizer=zoo optimizer.name=ademamix?"]),
    ("dataset.name=xyzzy", ["write dataset=NAME; choose from adding"]),
    ("momentum=0.9", ["did you mean 'optimizer.betas=[0.9,0.999]'?"]),
    ("early_stopping.monitor=val_loss", ["did you mean early_stopping.metric?"]),
    ("model=vit model.patch=5", ["did you mean model.patch_size?"]),
    ("model=gpt model.dim=100", ["model=gpt has no such key; did you mean model.width?"]),
    ("optimizer.learning_rate=0.1", ["did you mean optimizer.lr?"]),
    ("eval.evry=2", ["did you mean eval.every?"]),
    ("dataset=image_folder dataset.num_workers=1", ["did you mean dataset.workers?"]),
    ("dataset.num_workers=1", ["dataset=custom, image_folder have it, as workers"]),
    ("gpus=4", ["gpus=4: no such key; on several GPUs: torchrun --nproc-per-node 4 -m optbench"]),
    ("world_size=1", ["torchrun --nproc-per-node 2 -m optbench train"]),
    ("distributed=true", ["torchrun --nproc-per-node 2 -m optbench train"]),
    ("folder=x", ["folder=x: no such key; did you mean hydra.run.dir=x?"]),
    ("output_dir=null", ["did you mean hydra.run.dir=...?"]),
    ("config=x.yaml", ["config=x.yaml: no such key", "--config-dir"]),
    (
        "optimizer=adam optimizer.momentum=0.9",
        ["optimizer=adam has no such key; did you mean 'optimizer.betas=[0.9,0.999]'? optimizer="],
    ),
    ("wrapper=sam wrapper.k=5", ["=sam has no such key; wrapper=lookahead has it, as sync_period"]),
    ("wrapper=lookahead wrapper.k=5", ["did you mean wrapper.sync_period?"]),
    ("hydra.runn.dir=x", ["hydra.runn.dir=x: no such key; did you mean hydra.run.dir?"]),
    ("hydra.run.dri=x", ["hydra.run.dri=x: no such key; did you mean hydra.run.dir?"]),
    ("model.hidden.x=1", ["model.hidden.x=1", "model.hidden takes no keys"]),
]

VALUES: list[Row] = [
    ("optimizer.groups={params:a}", ["a list; in brackets: 'optimizer.groups=[{params:a}]'"]),
    ("clip=1.0", ["clip=1.0: not valid", "did you mean clip.norm?"]),
    ("optimizer.betas=0.9", ["such as 'optimizer.betas=[0.9,0.999]'"]),
    ("monitor.sinks=val_loss", ["such as 'monitor.sinks=[csv]'"]),
    ("monitor=val_loss", ["monitor=val_loss: not valid; expected a group of keys: every"]),
    ("freeze=head.*", ["such as 'freeze=[head.*]'"]),
    ("task.loss=mse", ["did you mean task.loss._target_=torch.nn.MSELoss?"]),
    ("task.loss=my.Loss", ["did you mean task.loss._target_=my.Loss?"]),
    ("task.loss._target_=mse", ["did you mean task.loss._target_=torch.nn.MSELoss?"]),
    ("task.loss._target_=MSELoss", ["did you mean task.loss._target_=torch.nn.MSELoss?"]),
    ("'optimizer=sgd steps=20'", ["two overrides in one text? write optimizer=sgd steps=20"]),
    ("'optimizer.lr=0.1;0.2'", ["told apart by commas, with -m: optimizer.lr=0.1,0.2"]),
    ("'optimizer.lr=a;'", ["can't be parsed as key=value; expected a number"]),
    (
        "'momentum_schedule={from: 0.5, to: 0.9}'",
        [
            "momentum_schedule={from: 0.5, to: 0.9}: which schedule?",
            "such as 'momentum_schedule={schedule: linear, from: 0.5, to: 0.9}'",
        ],
    ),
    ("momentum_schedule=cosine", ["such as 'momentum_schedule={schedule: cosine, to: 0.99}'"]),
    (
        "schedule=chain 'schedule.parts=[{name: step, for: 5},{schedule: cosine}]'",
        ["schedule.parts[0]={name: step, for: 5}: which", "such as {schedule: step, for: 5}"],
    ),
    (
        "early_stopping.patience=1 early_stopping.metric=test/loss",
        ["only scores of the validation set", "did you mean early_stopping.metric=val/loss?"],
    ),
    ("target.metric=train/loss target.value=1", ["validation set or test set", "=val/loss?"]),
    (
        "schedule=torch schedule.scheduler=StepLR 'schedule.arguments={stepsize: 5}'",
        ["schedule.arguments.stepsize: StepLR takes none such; did you mean step_size?"],
    ),
    (
        "schedule=torch schedule.scheduler=StepLR 'schedule.arguments={gamma: 0.5}'",
        ["StepLR needs step_size; write 'schedule.arguments={gamma: 0.5, step_size: ...}'"],
    ),
    ("clip=[1]", ["clip=[1]: not valid", "a group of keys"]),
    ("early_stopping=3", ["did you mean early_stopping.patience?"]),
    ("schedule.warmup=10%", ["schedule.warmup=10%", "did you mean schedule.warmup_steps?"]),
    ("optimizer.decay=0.1", ["coupled", "did you mean optimizer.weight_decay?"]),
    ("model.hidden=256,128", ["several values need -m", "a list: 'model.hidden=[256,128]'"]),
    ("-m model.hidden=256,128", ["model.hidden=256", "such as 'model.hidden=[256]'"]),
]

FLAGS: list[Row] = [
    ("train --epochs 3", ["--epochs: no such flag", "did you mean epochs=3?"]),
    ("train --epochs=3", ["--epochs: no such flag", "did you mean epochs=3?"]),
    ("train optimizer=sgd --momentum 0.9 -m", ["did you mean optimizer.momentum=0.9?"]),
    ("train optimizer=adma --lr 1", ["did you mean optimizer.lr=1?"]),
    ("train --hidden 256", ["did you mean 'model.hidden=[256]'?"]),
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


PASTED = [
    "optimizer.betas=0.9",
    "optimizer.betas=[0.9]",
    "momentum=0.9",
    "hidden=256",
    "monitor.sinks=val_loss",
    "freeze=head.*",
    "dataset.name=mnist",
    "task.loss=mse",
    "task.loss=MultiMarginLoss",
    "'optimizer=sgd steps=20'",
    "'momentum_schedule={from: 0.5, to: 0.9}'",
    "momentum_schedule=0.9",
    "'weight_decay_schedule={for: 10%}'",
    "optimizer=torch.optim.SGD",
    "folder=x",
    "-m model.hidden=256,128",
]


@pytest.mark.parametrize("line", PASTED)
def test_a_suggestion_is_accepted_as_it_stands(line: str) -> None:
    said = call(f"train {line}").err
    pasted = re.search(r"(?:mean|such as|write|a list:) ([^?\n]+)", said)
    assert pasted is not None, said
    for each in pasted[1].split(", or "):
        answer = call(f"train --cfg job {each}")
        assert (answer.code, answer.err) == (0, "")


def test_all_of_freeze_is_no_suggestion() -> None:
    assert "such as" not in call("train freeze=*").err


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        *(("help trian", "train"), ("lr-find", "find-lr"), ("version", "--version")),
        *(("-V", "--version"), ("-v", "--version"), ("hlp", "--help")),
    ],
)
def test_a_verb_that_there_is_not(line: str, meant: str) -> None:
    what = "flag" if line.startswith("-") else "verb"
    assert_refused(line, [f"{line.split()[-1]}: no such {what}; did you mean {meant}?"])


@pytest.mark.parametrize(("line", "named"), FLAGS)
def test_a_flag_that_there_is_not_is_told_the_setting(line: str, named: list[str]) -> None:
    assert_refused(line, named)


def test_a_loss_given_whole_says_where_its_arguments_go() -> None:
    answer = call(
        ["train", "task.loss={_target_: torch.nn.CrossEntropyLoss, label_smoothing: 0.1}"]
    )
    assert answer.code == 2 and "no key label_smoothing" in answer.err
    assert "arguments={...}" in answer.err and "struct" not in answer.err


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("-m optimizer=[sgd,adam]", "several runs are -m optimizer=sgd,adam"),
        ("sweep.population=8", "of several runs; write -m"),
        ("sweep.fail_fast=true", "of several runs; write -m"),
        ("wat=1", "optbench train --cfg job names them all"),
        ("optimizer=sam", "did you mean wrapper=sam?"),
        ("optimizer=Lookahead", "did you mean wrapper=lookahead?"),
        ("optimizer=nesterov", "did you mean optimizer=nag?"),
        ("optimizer=swa", "did you mean ema=0.999?"),
        ("precision=16-mixed", "did you mean fp16?"),
        ("shuffle=true", "did you mean epoch?"),
        ("min_lr=1e-5", "did you mean schedule.min_ratio?"),
        ("random_seed=1", "did you mean seed?"),
        ("val_split=0.1", "did you mean dataset.val_fraction?"),
        ("accelerator=cpu", "did you mean device?"),
        ("logger=wandb", "did you mean monitor.sinks=[wandb]?"),
        ("workers=2", "dataset.workers load examples, executor.workers do many runs"),
        ("direction=maximize", "target.mode=max"),
        ("step_size=3", "schedule=step and schedule=multistep have it"),
        ("augment=true", "images have dataset.crop and dataset.flip"),
    ],
)
def test_what_others_call_it(word: str, said: str) -> None:
    assert_refused(f"train {word}", [word.removeprefix("-m "), said])


def test_a_choice_is_listed_with_its_group() -> None:
    assert_refused("list mlp", ["list mlp: no such group; did you mean list model mlp?"])
