"""What is wrong is said in one line, with exit code 2, before anything is left on the disk.

A row is a command line and what its answer has to name: key and value, and the nearest right
spelling where there is one.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import optbench
import optbench.cli.main as program
from optbench.errors import UserError

from .program import call, left_in

Row = tuple[str, list[str]]

MUST_SHOW: list[Row] = [
    ("optimizer=adamm", ["optimizer=adamm", "did you mean adam?"]),
    ("optimizr=sgd", ["optimizr=sgd", "did you mean optimizer?"]),
    ("+optimizr=sgd", ["optimizr=sgd", "did you mean optimizer?"]),
    ("+optimizer.lrr=1", ["optimizer.lrr=1", "did you mean optimizer.lr?"]),
    ("optimizer.lr=abc", ["optimizer.lr=abc", "a number"]),
    ("optimizer.lr=-1", ["optimizer.lr=-1", "at least 0"]),
    (
        "optimizer.betas=[0.9]",
        ["optimizer.betas=[0.9]", "2 numbers", "betas=[0.9,0.999]'"],
    ),
    ("epochs=1 steps=5", ["epochs=1", "steps=5", "contradiction"]),
    ("epochs=0", ["epochs=0", "at least 1"]),
    ("precision=fp8", ["precision=fp8", "did you mean fp"]),
    ("device=gpu", ["device=gpu", "did you mean cuda?"]),
    ("resume=nowhere", ["resume=nowhere", "no such run folder"]),
    (
        "dataset=mnist dataset.download=false",
        ["MNIST", "dataset.root (or OPTBENCH_DATA)", "dataset.download=true"],
    ),
    ("dataset=cifar10 dataset.download=false", ["cifar-10", "OPTBENCH_DATA", "dataset.root"]),
    ("dataset=image_folder", ["no images in", "dataset.root", "OPTBENCH_DATA"]),
    ("batch_size=100000", ["batch_size=100000", "1293 examples"]),
    ("accumulate=1000000000000", ["accumulate=1000000000000", "64 examples of a step"]),
]
"""What anybody may type."""

CHOICES_AND_KEYS: list[Row] = [
    ("++optimizer.lrr=1", ["optimizer.lrr=1", "did you mean optimizer.lr?"]),
    ("optimizer.lrr=1", ["optimizer.lrr=1", "did you mean optimizer.lr?"]),
    ("model.hiden=[100]", ["model.hiden=[100]", "did you mean model.hidden?"]),
    ("momentum_schedule.from=0.5", ["momentum_schedule.from=0.5", "momentum_schedule={from: ...}"]),
    (
        "optimizer=zoo optimizer.name=lion optimizer.arguments.betas=1",
        ["optimizer.arguments.betas=1", "optimizer.arguments={betas: ...}"],
    ),
    ("clip.nrom=1", ["clip.nrom=1", "did you mean clip.norm?"]),
    ("+model.depth.width=1", ["model.depth", "no such key"]),
    ("precision=bfloat16", ["precision=bfloat16", "did you mean bf16?"]),
    ("dataset=mnits", ["dataset=mnits", "did you mean mnist?"]),
    ("model=resnet", ["model=resnet", "did you mean resnet18?"]),
    ("schedule=cosin", ["schedule=cosin", "did you mean cosine?"]),
    ("checkpoint=defualt", ["checkpoint=defualt", "did you mean default?"]),
    ("workload=fmnist_2c2", ["workload=fmnist_2c2", "did you mean fmnist_2c2d?"]),
    ("optimizer=xyzzy", ["optimizer=xyzzy", "choose from", "adamw", "sgd"]),
]

VALUES: list[Row] = [
    (
        "model=resnet18 batch_size=68 epochs=1 threads=1",  # 1293 is 19 x 68 + 1
        ["batch_size=68", "1293 examples", "batch_size=67 or batch_size=69"],
    ),
    ("optimizer.lr=nan", ["optimizer.lr=nan", "a number"]),
    ("optimizer.lr=", ["optimizer.lr=:", "a number"]),
    ("optimizer.betas=0.9", ["optimizer.betas=0.9", "numbers from 0"]),
    ("optimizer.betas=[0.9,1.0]", ["optimizer.betas=[0.9, 1.0]", "not including, 1"]),
    ("optimizer.amsgrad=1", ["optimizer.amsgrad=1", "true or false"]),
    ("optimizer=muon optimizer.companion.lr=-1", ["optimizer.companion.lr=-1", "at least 0"]),
    ("epochs=2.5", ["epochs=2.5", "a whole number"]),
    ("steps=abc", ["steps=abc", "a whole number"]),
    ("batch_size=0", ["batch_size=0", "at least 1"]),
    ("accumulate=0", ["accumulate=0", "at least 1"]),
    ("seed=-1", ["seed=-1", "from 0"]),
    ("scale_lr=linaer", ["scale_lr=linaer", "did you mean linear?"]),
    ("lr=0.1", ["lr=0.1: no such key", "did you mean optimizer.lr?"]),
    ("shuffle=one", ["shuffle=one", "did you mean once?"]),
    ("nonfinite=stpo", ["nonfinite=stpo", "did you mean stop?"]),
    ("optimizer.implementation=fuse", ["optimizer.implementation=fuse", "did you mean fused?"]),
    ("deterministic=maybe", ["deterministic=maybe", "true or false"]),
    ("clip.norm=0", ["clip.norm=0", "a positive number"]),
    ("label_smoothing=2", ["label_smoothing=2", "not including, 1"]),
    ("dataset.val_fraction=1", ["dataset.val_fraction=1", "not including, 1"]),
    ("model.hidden=100", ["model.hidden=100", "a list of whole numbers"]),
    ("checkpoint.keep_last=1", ["checkpoint.keep_last=1", "at least 2"]),
    ("eval.every=1epo", ["eval.every=1epo", "epochs (5ep)"]),
    ("schedule.warmup_steps=150%", ["schedule.warmup_steps=150%", "a part of the run (10%)"]),
    ("schedule=step schedule.step_size=abc", ["schedule.step_size=abc", "epochs (5ep)"]),
    ("optimizer.groups=5", ["optimizer.groups=5", "a list"]),
    ("optimizer.groups=[5]", ["optimizer.groups[0]=5", "params"]),
    ("'optimizer.groups=[{parms: a}]'", ["optimizer.groups[0]", "parms", "params"]),
    ("'optimizer.groups=[{params: a, lrr: 1}]'", ["optimizer.groups[0].lrr=1", "did you mean lr?"]),
    ("'optimizer.groups=[{params: a, lr: -1}]'", ["optimizer.groups[0].lr=-1", "at least 0"]),
    ("optimizer.lr='${seedd}'", ["seedd"]),
]

TOGETHER: list[Row] = [
    (
        "schedule=chain 'schedule.parts=[{schedule: constant, fro: 50%}, {schedule: cosine}]'",
        ["schedule.parts[0].fro", "did you mean for?"],
    ),
    ("weights.at=last", ["weights.at=last", "add weights=RUN"]),
    ("weights.strict=false", ["weights.strict=false", "add weights=RUN"]),
    ("'weights.exclude=[head.*]'", ["weights.exclude=", "add weights=RUN"]),
    ("'monitor.sinks=[csv,csv]'", ["monitor.sinks[1]=csv", "named already"]),
    ("checkpoint.best=val/loss dataset.val_fraction=0", ["checkpoint.best=val/loss", "fraction=0"]),
    ("schedule=plateau dataset.val_fraction=0", ["schedule.metric=val/loss", "val_fraction=0"]),
    (
        "early_stopping.patience=3 dataset.val_fraction=0",
        ["early_stopping.metric=val/loss", "dataset.val_fraction=0"],
    ),
]

NEEDS_TORCH: list[Row] = [
    ("schedule.warmup_steps=5000 steps=10", ["schedule.warmup_steps=5000", "the run of 10"]),
    ("optimizer=rprop schedule=cosine", ["schedule", "Rprop", "schedule=constant"]),
    ("optimizer=muon model=logistic", ["Muon", "no parameter", "optimizer=adamw"]),
    ("optimizer=lbfgs precision=fp16", ["precision=fp16", "LBFGS", "bf16"]),
    ("wrapper=sam optimizer=sgd precision=fp16", ["precision=fp16: SAM evaluates", "bf16"]),
    ("wrapper=sam optimizer=lbfgs", ["wrapper: SAM can't wrap LBFGS", "wrapper=none"]),
    ("optimizer=newton optimizer.solver=exact", ["solver exact", "7,510", "there is cg"]),
    ("optimizer=newton optimizer.solver=exat", ["did you mean exact?"]),
    ("optimizer=bfgs precision=fp16", ["precision=fp16", "BFGS", "bf16"]),
    (
        "optimizer=sr1 model.hidden=[9000]",
        ["SR1 keeps", "675,010 x 675,010", "1,697.4 GiB", "L-BFGS"],
    ),
    ("optimizer=newton clip.norm=1", ["clip.norm=1.0: Newton"]),
    ("optimizer=newton optimizer.layer_decay=0.9", ["groups: Newton", "one vector"]),
    ("model=quadratic optimizer=gauss_newton", ["GaussNewton", "Function", "linear", "Hessian"]),
    ("optimizer=newton wrapper=sam", ["SAM can't wrap Newton"]),
    ("optimizer=newton compile=true", ["compile=true: Newton"]),
    ("optimizer=radam optimizer.implementation=fused", ["implementation=fused", "RAdam", "loop"]),
    ("schedule=cyclic optimizer=adagrad", ["schedule.cycle_momentum=true", "Adagrad"]),
    ("'optimizer.groups=[{params: haed*}]'", ["optimizer.groups", "params=haed*", "head.weight"]),
    ("early_stopping.patience=1 early_stopping.metric=val/acc", ["did you mean val/accuracy?"]),
    ("early_stopping.metric=test/loss", ["only scores of the validation set"]),
    ("checkpoint.best=val/los", ["checkpoint.best=val/los", "did you mean val/loss?"]),
    ("early_stopping.patience=1 eval.every=0", ["eval.every=0", "early_stopping.patience"]),
    ("model.activation=rleu", ["activation", "rleu", "did you mean relu"]),
    ("model.init=xavir", ["init", "xavir", "did you mean xavier"]),
    (
        "model=mlp model.init=trunc_normal model.init_std=0",
        ["model.init_std=0", "model.init=trunc_normal"],
    ),
    (
        "model=mlp dataset=synthetic task=language",
        ["task: ", "not sequences of tokens; take dataset=tiny_shakespeare or dataset=text"],
    ),
    ("dataset=synthetic dataset.noise=-1", ["synthetic: dataset.noise=-1.0 must not be neg"]),
    ("dataset=synthetic model=vae task.beta=-1", ["task.beta=-1.0 is below 0"]),
    ("dataset=synthetic model=vae", ["no mean and std", "set task.mean=[0] task.std=[1]"]),
    ("model=beale dataset.dim=3", ["model=beale: does not fit dataset=draws and task=function"]),
    (
        "model=beale task=classification dataset=digits",
        ["model=beale: does not fit dataset=digits"],
    ),
    ("model=mlp task=adversarial dataset=digits", ["discriminator and generator"]),
    ("task=functon", ["task=functon", "did you mean function?"]),
    ("target.metric=val/acuracy target.value=1", ["val/acuracy", "did you mean val/accuracy?"]),
    ("target.metric=val/accuracy", ["target: has no value"]),
    ("dataset=adding dataset.val_fraction=0.5", ["val_fraction=0.5", "of its own"]),
    ("model=vit model.patch_size=3", ["patch_size=3", "8, 8"]),
    ("optimizer._target_=torch.optim.Foo", ["optimizer._target_=torch.optim.Foo", "no such class"]),
    ("precision.autocast=float8", ["precision.autocast=float8", "no such dtype"]),
    ("optimizer=sophia compile=true", ["compile=true", "Sophia", "compile=false"]),
    (
        "optimizer=zoo optimizer.name=adahessian compile=true",
        ["compile=true", "AdaHessian", "compile=false"],
    ),
]

COMMANDS: list[Row] = [
    ("trian", ["trian", "did you mean train?"]),
    ("--verison", ["--verison", "no such flag"]),
    ("train foo", ["foo", "key=value"]),
    ("train -m foo", ["foo", "key=value"]),
    ("train --foo", ["--foo"]),
    ("train --cfg jbo", ["--cfg", "jbo", "job"]),
    ("train --config-name=x", ["--config-name", "--config-dir"]),
    ("train --config-dir nowhere", ["--config-dir=nowhere", "no such folder"]),
    ("resume nowhere", ["resume=nowhere", "no such run folder"]),
    ("resume", ["which run", "optbench resume RUN"]),
    ("resume epochs=3", ["which run", "optbench resume RUN"]),
    ("list foo", ["list foo", "choose from", "optimizer"]),
    ("list optimizr", ["list optimizr", "did you mean optimizer?"]),
    ("list optimizer adm", ["list optimizer adm", "no such optimizer", "did you mean adam?"]),
    ("list schedule cosin", ["no such schedule", "did you mean cosine?"]),
    ("train optimizer=sgd,adam", ["optimizer=sgd,adam", "need -m"]),
    ("train optimizer.lr=1,2", ["optimizer.lr=1,2", "need -m"]),
    ("train 'seed=range(3)'", ["seed=range(3)", "need -m"]),
    (
        "train hydra.sweep.dir=mine",
        ["hydra.sweep.dir=mine: settings of a sweep need -m; of one run write hydra.run.dir=mine"],
    ),
    ("train hydra/launcher=joblib", ["hydra/launcher=joblib: settings of a sweep need -m"]),
    ("train hydra/sweeper=basic", ["hydra/sweeper=basic: settings of a sweep need -m"]),
    ("train --cfg job hydra.launcher.n_jobs=2", ["n_jobs=2: settings of a sweep need -m"]),
    (
        "find-lr hydra.sweep.dir=mine",
        ["settings of a sweep need optbench train -m, find-lr takes one; of one run write"],
    ),
    ("show hydra.sweep.subdir=x", ["settings of a sweep need optbench train -m, show takes one"]),
    ("train a=b=c", ["a=b=c"]),
    ("train --cfg job optimizer=adamm", ["optimizer=adamm", "did you mean adam?"]),
]

ONE_BAD_RUN: list[Row] = [
    ("optimizer=sgd,adamm", ["optimizer=adamm", "did you mean adam?"]),
    ("optimizer.lr=1e-3,1e-2,abc", ["optimizer.lr=abc", "a number"]),
    ("epochs=2,1,0", ["epochs=0", "at least 1"]),
    ("batch_size=64,100000", ["batch_size=100000", "1293 examples"]),
    ("model.hidden=[100],[0]", ["model.hidden=[0]", "whole numbers"]),
    ("optimizer=adamw,sgd optimizer.amsgrad=true", ["optimizer.amsgrad", "no such key"]),
]


LATE_IN_HYDRA: list[tuple[str, list[str]]] = [
    ("~optimizer.lr", ["optimizer.lr"]),
    ("~optimizer", ["optimizer"]),
    ("~clip", ["clip"]),
    ("+optimizer=sgd", ["optimizer=sgd"]),
    ("optimizer@optimizer=sgd", ["optimizer"]),
    ("-m hydra/launcher=foo", ["hydra/launcher", "foo"]),
    ("=5", ["=5", "key=value"]),
    ("seed=99999999999999999999999", ["seed=999"]),
    ("--cfg job optimizer.lrr=1", ["did you mean optimizer.lr?"]),
    ("--cfg job -m seed=0,1", ["--multirun"]),
    (
        "optimizer=lbfgs optimizer.line_search_fn=foo steps=1",
        ["optimizer.line_search_fn=foo", "strong_wolfe"],
    ),
]
"""What Hydra, YAML or torch would answer with a traceback, or after a folder was made."""

EVERYTHING = MUST_SHOW + CHOICES_AND_KEYS + VALUES + TOGETHER + NEEDS_TORCH + LATE_IN_HYDRA


def assert_refused(line: str, named: list[str]) -> None:
    answer = call(line)
    assert answer.code == 2
    assert answer.err.startswith("optbench: ")
    assert answer.err.count("\n") == 1
    assert answer.err.endswith("\n")
    assert [word for word in named if word not in answer.err] == []
    assert answer.out == ""
    assert left_in(Path.cwd()) == []


@pytest.mark.parametrize(("line", "named"), COMMANDS)
def test_a_command_that_makes_no_sense_is_refused(line: str, named: list[str]) -> None:
    assert_refused(line, named)


@pytest.mark.parametrize(("line", "named"), EVERYTHING)
def test_bad_overrides_are_refused(line: str, named: list[str]) -> None:
    assert_refused(f"train {line}", named)


@pytest.mark.parametrize(("line", "named"), MUST_SHOW)
def test_bad_overrides_are_refused_in_a_sweep(line: str, named: list[str]) -> None:
    assert_refused(f"train -m seed=0,1 {line}", named)


@pytest.mark.parametrize(("line", "named"), ONE_BAD_RUN)
def test_a_sweep_with_one_bad_run_does_not_start(line: str, named: list[str]) -> None:
    assert_refused(f"train -m {line}", named)


def test_a_data_set_that_can_not_be_downloaded_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def offline(*_: object, **__: object) -> None:
        raise OSError("Name or service not known")

    monkeypatch.setattr("urllib.request.urlopen", offline)
    named = ["train-images-idx3-ubyte.gz", "Name or service not known", "without a network"]
    assert_refused("train dataset=mnist", [*named, "by hand", "OPTBENCH_DATA", "dataset.root"])


def test_an_empty_folder_of_images_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    root = tmp_path / "empty"
    assert_refused(f"train dataset=image_folder dataset.root={root}", [f"{root}/train"])


def test_a_folder_with_nearly_the_name_is_suggested(tmp_path: Path) -> None:
    (tmp_path / "12-00-00-digits").mkdir()
    (tmp_path / "12-00-00-digits/config.yaml").touch()
    asked = tmp_path / "12-00-00-digts"
    assert_refused(f"resume {asked}", [f"resume={asked}", f"did you mean {asked.parent}/12-00-00"])


def test_a_folder_that_is_no_run_is_not_resumed(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert_refused(f"resume {tmp_path}/empty", ["not a run folder", "config.yaml"])


def test_a_sweep_names_the_choice_that_lacks_a_key() -> None:
    assert_refused(
        "train -m optimizer=sgd,adam optimizer.momentum=0.9",
        ["optimizer=adam has no such key", "optimizer.betas=[0.9,0.999]", "rmsprop, sgd"],
    )


def test_only_the_first_rank_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in RANKS.items():
        monkeypatch.setenv(name, value)
    answer = call("train optimizer=adamm")
    assert (answer.code, answer.err) == (2, "")


RANKS = {"WORLD_SIZE": "2", "RANK": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}


@pytest.mark.parametrize(
    ("others", "named"),
    [
        ({"RANK": ""}, "WORLD_SIZE=2, but RANK is not set: start with torchrun, or unset"),
        ({"MASTER_ADDR": ""}, "WORLD_SIZE=2, but MASTER_ADDR is not set"),
        ({"MASTER_PORT": ""}, "WORLD_SIZE=2, but MASTER_PORT is not set"),
        ({"MASTER_PORT": "http"}, "MASTER_PORT=http: expected a whole number"),
        ({"LOCAL_RANK": "-1"}, "LOCAL_RANK=-1: expected a whole number"),
        ({"RANK": "2"}, "RANK=2: not one of the WORLD_SIZE=2 ranks"),
        ({"WORLD_SIZE": "two"}, "WORLD_SIZE=two: expected a whole number of 1 or more"),
        ({"WORLD_SIZE": "0"}, "WORLD_SIZE=0: expected"),
    ],
)
@pytest.mark.parametrize("verb", ["train", "find-lr"])
def test_variables_of_torchrun_without_torchrun(
    verb: str, others: dict[str, str], named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**RANKS, **others}.items():
        monkeypatch.setenv(name, value)
    assert_refused(f"{verb} steps=2", [named])
    with pytest.raises(UserError, match=named.partition(":")[0]):
        optbench.train("steps=2")


def test_a_rank_without_others_is_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "5")
    assert_refused("train optimizer=adamm", ["did you mean"])
    monkeypatch.setenv("WORLD_SIZE", "1")
    answer = call("train steps=1 device=cpu threads=1 hydra.run.dir=alone")
    assert answer.code == 0 and "finished" in answer.out


def test_interrupted_twice_before_a_run_has_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    def pressed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(program, "_dispatch", pressed)
    assert call("train").code == 130
    monkeypatch.setattr(program, "print_error", pressed)
    assert call("train").code == 130


IMPORTS = """
import sys
from optbench.cli.main import main
for line in {lines!r}:
    assert main(line.split()) == 2, line
print(sorted(sys.modules.keys() & {{"torch", "torchvision", "sklearn", "tensorboard"}}))
"""


def test_what_can_be_refused_without_torch_is(workplace: Path) -> None:
    lines = [f"train {line}" for line, _ in MUST_SHOW + TOGETHER]
    lines += ["train model=resnet50", "train optimizer=ademamix", "train --epochs 3"]
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS.format(lines=lines)],
        capture_output=True,
        text=True,
        env=dict(os.environ),
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[]\n"
    assert done.stderr.count("\n") == len(lines)


def test_the_program_itself_exits_with_two(workplace: Path) -> None:
    command = [sys.executable, "-m", "optbench", "train", "optimizer=adamm"]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 2
    assert done.stderr == "optbench: optimizer=adamm: no such optimizer; did you mean adam?\n"
    assert left_in(workplace) == []
