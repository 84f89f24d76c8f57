"""What the program says about itself: help, version, lists, the composed config, completion."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from optbench import __version__
from optbench.cli.listing import files
from optbench.cli.main import VERBS
from optbench.compose.optimizers import optimizers
from optbench.compose.paths import configs_folder, description_of
from optbench.config.zoo import zoo
from optbench.console import print_table

from .program import call, left_in, table_lines

GROUPS = ["checkpoint", "dataset", "model", "optimizer", "precision", "recipe", "schedule"]
GROUPS += ["task", "workload", "wrapper"]
COMPLETIONS: list[tuple[str, list[str]]] = [
    ("optbench ", sorted(VERBS)),
    ("optbench show schedule=cos", ["schedule=cosine", "schedule=cosine_restarts"]),
    ("optbench tr", ["train"]),
    ("optbench list mo", ["model"]),
    (
        "optbench train optimizer=adam",
        [f"optimizer={name}" for name in ("adam", "adamax", "adamw")],
    ),
    ("optbench train -m schedule=cos", ["schedule=cosine", "schedule=cosine_restarts"]),
    ("optbench train optimizer=adamw optimizer.lr", ["optimizer.lr="]),
    ("optbench train seed=1 epo", ["epochs="]),
    ("optbench resume", ["resume"]),
]


@pytest.mark.parametrize("line", ["", "--help", "-h", "help"])
def test_the_programs_help_names_every_verb(line: str) -> None:
    answer = call(line)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith("optbench: ")
    assert [verb for verb in VERBS if f"  {verb} " not in answer.out] == []


@pytest.mark.parametrize("verb", VERBS)
def test_a_verbs_help_begins_with_its_usage(verb: str) -> None:
    answer = call(f"{verb} --help")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith(f"usage: optbench {verb} ")
    assert call(f"{verb} -h").out == call(f"help {verb}").out == answer.out


def test_help_comes_whatever_else_is_on_the_line() -> None:
    answer = call("train optimizer=adamm --help")
    assert answer.code == 0
    assert "usage: optbench train" in answer.out


def test_the_help_of_train_names_all_groups_and_real_keys() -> None:
    text = call("train --help").out
    assert [group for group in GROUPS if group not in text] == []
    keys = text.partition("keys\n")[2].partition("\nAll keys")[0]
    values = [word for word in keys.split() if "=" in word and word != "hydra.run.dir=FOLDER"]
    assert len(values) > 15
    one_length = [word for word in values if not word.startswith("steps=")]
    assert call(f"train --cfg job {' '.join(one_length)}").code == 0


def test_the_version() -> None:
    assert call("--version").out == f"optbench {__version__}\n"


def test_a_list_of_everything() -> None:
    lines = table_lines(call("list").out)
    groups = sorted([*GROUPS, "claim", "executor", "space", "suite"])
    assert [line.split()[0] for line in lines] == ["group", *groups]
    precision = next(line for line in lines if line.startswith("precision"))
    assert precision.split()[1:] == ["bf16", "fp16", "fp32", "tf32"]


@pytest.mark.parametrize("group", GROUPS)
def test_a_list_of_a_group_has_a_line_for_each_choice(group: str) -> None:
    header, *lines = table_lines(call(f"list {group}").out)
    names = [path.stem for path in sorted((configs_folder() / group).glob("*.yaml"))]
    assert header.split()[0] == group
    assert [line.split()[0] for line in lines][: len(names)] == names
    assert len(lines) == len(names) or group == "optimizer"  # which has the zoo's too


def test_the_list_of_optimizers_has_ours_torchs_and_the_zoos() -> None:
    header, *lines = call("list optimizers").out.splitlines()
    zoos = {line.split()[1] for line in lines if line.startswith("zoo ")} & set(zoo())
    assert zoos == set(zoo())
    named = [line for line in lines if line and line[0] != " "]
    assert len(named) - len(zoo()) >= 30
    adam = next(line for line in lines if line.startswith("adam "))
    assert adam[header.index("family") :].startswith("adaptive ")
    assert all(len(line) <= 80 for line in lines)


def test_one_optimizer_with_all_there_is_to_say() -> None:
    said = {
        line.split("  ")[0]: line.split("  ", 1)[1].strip()
        for line in call("list optimizer adam").out.splitlines()
        if not line.startswith(" ")
    }
    assert said["optimizer"] == "adam" and said["family"] == "adaptive"
    assert said["state"].startswith("2; 3 with amsgrad")
    assert said["defaults"].startswith("lr=1e-3 betas=[0.9,0.999] eps=1e-8")
    assert said["paper"].startswith("Adam")
    lomo = " ".join(call("list optimizer lomo").out.split())
    assert "here stepped after backward, without the saving of memory" in lomo


def test_an_optimizer_that_says_nothing_of_itself_is_shown_as_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "optimizer").mkdir()
    (tmp_path / "optimizer" / "mine.yaml").write_text("lr: [1, 2\n", encoding="utf-8")
    found = call(f"list optimizer mine --config-dir {tmp_path}")
    assert (found.code, found.out, found.err) == (0, "lr: [1, 2\n", "")


def test_one_choice_of_a_group_is_its_file() -> None:
    path = configs_folder() / "schedule" / "cosine.yaml"
    assert call("list schedules cosine").out == path.read_text(encoding="utf-8")
    both = call("list schedule cosine linear").out
    assert both == call("list schedule cosine").out + call("list schedule linear").out


def test_groups_may_be_named_in_the_plural_and_several_at_once() -> None:
    answer = call("list models precision")
    assert answer.out == call("list model").out + call("list precision").out


def test_a_description_is_else_the_first_comment_that_is_no_directive(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("# @package _global_\n\n# What it is\n# more\nkey: 1\n", encoding="utf-8")
    assert description_of(path) == {"description": "What it is"}
    path.write_text("key: 1\n", encoding="utf-8")
    assert description_of(path) == {"description": ""}


def test_the_composed_config_is_yaml_with_the_values_asked_for() -> None:
    answer = call("train optimizer=sgd optimizer.lr=0.5 schedule=cosine model.hidden=[3] --cfg job")
    config = yaml.safe_load(answer.out)
    assert answer.code == 0
    assert config["optimizer"]["_target_"] == "torch.optim.SGD"
    assert config["optimizer"]["lr"] == 0.5
    assert config["schedule"]["min_ratio"] == 0.0
    assert config["model"]["hidden"] == [3]
    assert "hydra" not in config
    assert left_in(Path.cwd()) == []


@pytest.mark.parametrize("flags", ["--cfg hydra", "--cfg all", "--info searchpath", "--info all"])
def test_hydras_own_flags_answer_and_leave_nothing(flags: str) -> None:
    answer = call(f"train {flags}")
    assert answer.code == 0
    assert "hydra" in answer.out
    assert left_in(Path.cwd()) == []


def test_the_config_of_a_workload() -> None:
    config = yaml.safe_load(call("train workload=fmnist_2c2d --cfg job").out)
    assert config["dataset"]["folder"] == "FashionMNIST"
    assert config["dataset"]["val_fraction"] == 0
    assert (config["epochs"], config["batch_size"]) == (100, 128)


def test_the_resolver_of_the_world_size(monkeypatch: pytest.MonkeyPatch) -> None:
    line = "train batch_size='${world_size:32}' seed='${world_size:}' --cfg job --resolve"
    ranks = {"WORLD_SIZE": "4", "RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}
    for name, value in ranks.items():
        monkeypatch.setenv(name, value)
    config = yaml.safe_load(call(line).out)
    assert (config["batch_size"], config["seed"]) == (128, 4)


def complete(line: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What bash is offered for a line with the cursor at its end."""
    monkeypatch.setenv("COMP_LINE", line)
    monkeypatch.setenv("COMP_POINT", str(len(line)))
    answer = call("-sc query=bash")
    assert (answer.code, answer.err) == (0, "")
    return sorted(answer.out.split())


@pytest.mark.parametrize(("line", "offered"), COMPLETIONS)
def test_completion(line: str, offered: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert complete(line, monkeypatch) == offered


def test_completion_of_an_empty_word_offers_groups_and_keys(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    offered = complete("optbench train ", monkeypatch)
    assert {"optimizer=", "optimizer.", "seed=", "clip."} <= set(offered)


@pytest.mark.parametrize(
    ("line", "offered"),
    [("optbench resume runs/x epo", ["epochs="]), ("optbench list model opt", ["optimizer"])],
)
def test_completion_after_a_verbs_own_word(
    line: str, offered: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert complete(line, monkeypatch) == offered


def test_completion_is_installed_for_the_program() -> None:
    script = call("-sc install=bash").out
    assert subprocess.run(["bash", "-n"], input=script, text=True, encoding="utf-8").returncode == 0
    shown = subprocess.run(
        ["bash", "-c", script + "\ncomplete -p optbench"],
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert shown.stdout.split()[-1] == "optbench"


IMPORTS = """
import sys
from optbench.cli.main import main
assert main({arguments!r}) == 0
print(sorted(sys.modules.keys() & {{"hydra", "omegaconf", "torch", "torchvision", "sklearn"}}))
"""


@pytest.mark.parametrize(
    ("arguments", "heavy"),
    [
        (["--help"], []),
        (["train", "--help"], []),
        (["list"], []),
        (["train", "--cfg", "job"], ["hydra", "omegaconf"]),
    ],
)
def test_it_imports_no_more_than_it_needs(arguments: list[str], heavy: list[str]) -> None:
    script = IMPORTS.format(arguments=arguments)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == str(heavy)


def test_a_table_in_a_terminal_shows_brackets() -> None:
    drawn = io.StringIO()
    print_table("", ["defaults"], [["eps=[null,1e-3]"]], Console(file=drawn, force_terminal=True))
    assert "eps=[null,1e-3]" in drawn.getvalue()


def test_hydras_help() -> None:
    command = [sys.executable, "-m", "optbench", "train", "--hydra-help"]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0 and "hydra/launcher=basic" in done.stdout
    assert all(len(line) <= 80 for line in done.stdout.splitlines())


def test_a_narrow_terminal_shows_whole_names() -> None:
    drawn = io.StringIO()
    rows = [[row[0], row[6]] for row in optimizers(files("optimizer"))]
    console = Console(file=drawn, force_terminal=True, width=80, no_color=True)
    print_table("", ["optimizer", "what it is"], rows, console)
    lines = re.sub(r"\x1b\[[0-9;]*m", "", drawn.getvalue()).splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert all(any(f" {row[0]} " in line for line in lines) for row in rows)


def test_a_shell_that_has_no_completion_is_refused() -> None:
    answer = call("-sc install=tcsh")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == "optbench: -sc install=tcsh: no such shell; choose from bash, fish, zsh\n"
