"""Training on texts and made-up sequences, from the command line."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from few import few
from hydra.types import RunMode

from optbench.compose.composer import hydra_session
from optbench.config.run_spec import RunSpec
from optbench.rundir import RunDir

from .program import call, records
from .test_bad_input import assert_refused

SMALL = "threads=1 device=cpu monitor.tensorboard=false checkpoint=none batch_size=8"
LINE = "the quick brown fox jumps over the lazy dog\n"
TEXT = "dataset=text dataset.path=some.txt dataset.context=16"


def train(line: str, folder: Path) -> RunDir:
    answer = call(f"train {SMALL} {line} hydra.run.dir={folder}")
    assert answer.code == 0, answer.err
    return RunDir(folder)


def spec_of(*overrides: str) -> RunSpec:
    with hydra_session() as composer:
        return composer.spec(composer.compose(overrides, RunMode.RUN), overrides)


@pytest.mark.parametrize(
    ("word", "choices"),
    [
        ("task=language", ("language", "gpt", "tiny_shakespeare")),
        ("model=gpt", ("language", "gpt", "tiny_shakespeare")),
        ("model=lstm", ("language", "lstm", "tiny_shakespeare")),
        ("dataset=tiny_shakespeare", ("language", "gpt", "tiny_shakespeare")),
        ("dataset=text", ("language", "gpt", "text")),
        ("dataset=adding", ("regression", "lstm", "adding")),
        ("task=regression", ("regression", "lstm", "adding")),
        ("dataset=copy", ("copying", "lstm", "copy")),
        ("task=copying", ("copying", "lstm", "copy")),
    ],
)
def test_one_word_is_enough(word: str, choices: tuple[str, str, str]) -> None:
    found = spec_of(word).choices
    assert (found["task"], found["model"], found["dataset"]) == choices


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "data"), few([("rnn", "adding"), ("gru", "copy"), ("gpt", "copy")], 1)
)
def test_the_data_set_decides_what_a_model_is_trained_for(model: str, data: str) -> None:
    found = spec_of(f"model={model}", f"dataset={data}")
    assert found.choices["task"] == {"adding": "regression", "copy": "copying"}[data]
    assert found.choices["model"] == model


@pytest.mark.parametrize("model", few(["gpt model.layers=1", "rnn", "lstm", "gru"], 2))
def test_a_text_is_learned_and_shown(model: str, tmp_path: Path) -> None:
    Path("some.txt").write_text(LINE * 40, encoding="utf-8")
    line = f"{TEXT} model={model} model.width=16 steps=40 eval.every=20 optimizer.lr=0.01"
    if model.startswith("gpt"):
        line += " model.heads=2"
    run = train(line, tmp_path / "run")
    first, last = records(run, "val")
    assert last["val/loss"] < first["val/loss"] < math.log(28)
    assert last["val/perplexity"] == pytest.approx(math.exp(last["val/loss"]))
    assert last["val/bits_per_character"] == pytest.approx(last["val/loss"] / math.log(2))
    texts = [
        (run.samples / step / "sample.txt").read_text(encoding="utf-8")
        for step in sorted(steps_of(run))
    ]
    assert [len(text) for text in texts] == [301, 301]
    assert set("".join(texts)) <= set(LINE)
    assert texts[0] != texts[1]
    summary = run.read_json("summary.json")
    assert summary["samples"] == {"sample": texts[1]}
    assert summary["best"] == {
        "metric": "val/loss",
        "mode": "min",
        "value": last["val/loss"],
        "step": 40,
    }
    throughput = [
        (r["throughput/tokens_per_second"], 16 * r["throughput/examples_per_second"])
        for r in records(run, "train")
        if "throughput/tokens_per_second" in r
    ]
    assert throughput
    assert all(tokens == pytest.approx(wanted) for tokens, wanted in throughput)


def steps_of(run: RunDir) -> list[str]:
    return [path.name for path in run.samples.iterdir()]


def test_bytes_of_any_file_are_a_text(tmp_path: Path) -> None:
    Path("some.txt").write_bytes(bytes(range(256)) * 8)
    run = train(f"{TEXT} dataset.by=bytes model=rnn model.width=8 steps=1", tmp_path / "run")
    assert records(run, "val")[0]["val/loss"] == pytest.approx(math.log(256), rel=0.1)


@pytest.mark.parametrize("model", few(["rnn model.nonlinearity=relu", "lstm", "mlp", "gru"], 2))
def test_sums_are_learned(model: str, tmp_path: Path) -> None:
    sizes = "dataset.length=4 dataset.train_size=800 dataset.val_size=200 dataset.test_size=100"
    line = f"dataset=adding {sizes} model={model} steps=150 eval.every=75 optimizer.lr=0.01"
    run = train(line, tmp_path / "run")
    losses = [record["val/loss"] for record in records(run, "val")]
    assert losses[-1] < min(losses[0], 1 / 8)  # 1 / 6 without looking
    assert records(run, "test")[-1]["test/loss"] == pytest.approx(losses[-1], rel=0.5)


def test_symbols_are_copied(tmp_path: Path) -> None:
    sizes = "dataset.length=1 dataset.symbols=2 dataset.remember=1 dataset.train_size=400"
    line = f"dataset=copy {sizes} model.width=16 steps=80 optimizer.lr=0.02"
    run = train(line, tmp_path / "run")
    assert records(run, "val")[-1]["val/accuracy"] == 1.0
    assert records(run, "test")[-1]["test/accuracy"] == 1.0


@pytest.mark.parametrize(
    ("content", "line", "named"),
    [
        (b"", TEXT, ["dataset.path=some.txt", "empty"]),
        (b"\xff\xfe" * 99, TEXT, ["some.txt", "UTF-8", "byte 0", "dataset.by=bytes"]),
        (b"a" * 100, TEXT, ["dataset.context=16", "validation", "up to 9"]),
        (b"a" * 9, f"{TEXT} dataset.val_fraction=0", ["dataset.context=16", "training", "up to 8"]),
        (LINE.encode() * 9, f"{TEXT} dataset.by=word", ["dataset.by=word", "bytes"]),
        (LINE.encode() * 9, f"{TEXT} dataset.stride=-1", ["dataset.stride=-1", "at least 1"]),
        (LINE.encode() * 9, f"{TEXT} batch_size=4 model.heads=3", ["heads=3", "width=128"]),
        (
            LINE.encode() * 9,
            f"{TEXT} batch_size=4 model=mlp",
            ["model=mlp: takes floats", "dataset=text"],
        ),
        (None, TEXT, ["dataset.path=/", "/some.txt: no such file"]),
        (None, "dataset=text", ["dataset.path=null", "dataset.path=FILE"]),
        (None, "dataset=tiny_shakespeare dataset.download=false", ["input.txt", "OPTBENCH_DATA"]),
        (None, "dataset=adding dataset.length=1", ["dataset.length=1"]),
        (None, "dataset=adding model=gpt", ["GPT", "tokens", "(50, 2)"]),
        (None, "model=lstm dataset=digits", ["sequences of tokens", "tiny_shakespeare"]),
        (None, "dataset=adding model.recurrent_init=ortho", ["recurrent_init", "orthogonal"]),
    ],
)
def test_what_does_not_fit_is_one_line(
    content: bytes | None, line: str, named: list[str], tmp_path: Path
) -> None:
    if content is not None:
        path = tmp_path / "some.txt"
        path.write_bytes(content)
        line = line.replace("some.txt", str(path))
        named = [word.replace("dataset.path=some.txt", f"dataset.path={path}") for word in named]
    assert_refused(f"train {line}", named)
