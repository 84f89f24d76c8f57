"""Overrides as a shell or Python would write them, sweeps without values, and what is no verb."""

from __future__ import annotations

import os

import pytest

from optbench.compose.composer import hydra_session

from .program import call
from .test_bad_input import assert_refused

ELSEWHERE = [
    ("'model.hidden=(256,128)'", ["a list", "model.hidden=[256,128]"]),
    ("'model.hidden={256,128,}'", ["a list", "model.hidden=[256,128]"]),
    ("steps=1,000", ["steps=1,000", "a number has no commas and spaces: steps=1000"]),
    ("-m steps=1,000", ["steps=1,000", "a number has no commas and spaces: steps=1000"]),
    ("-m batch_size=1,024", ["no commas and spaces: batch_size=1024"]),
    ("'steps=1 200'", ["no commas and spaces: steps=1200"]),
    ("optimizer.lr=0,1", ["several values need -m; a decimal has a point: optimizer.lr=0.1"]),
    ("optimizer.lr=3,e-4", ["a decimal has a point: optimizer.lr=3.e-4"]),
    ("steps=1,200", ["several values need -m; one number has no commas: steps=1200"]),
    ("'model.hidden=[128;64]'", ["brackets and commas: 'model.hidden=[128,64]'"]),
    ("'model.hidden=[128 64]'", ["brackets and commas: 'model.hidden=[128,64]'"]),
    ("'model.hidden=128 64'", ["brackets and commas: 'model.hidden=[128,64]'"]),
    ("'optimizer.betas=0.9 0.99'", ["brackets and commas: 'optimizer.betas=[0.9,0.99]'"]),
    ("'optimizer.betas=\"0.9, 0.99\"'", ["brackets and commas: 'optimizer.betas=[0.9,0.99]'"]),
    ("optimizer.lr=1e-3,", ["without the comma", "optimizer.lr=1e-3"]),
    ("'epochs = 3'", ["without spaces: epochs=3"]),
    ("epochs= 3", ["3: expected key=value; without spaces: epochs=3"]),
    ("epochs =3", ["epochs: expected key=value; without spaces: epochs=3"]),
    ("epochs = 3", ["without spaces: epochs=3"]),
    ("epochs 3", ["epochs: expected key=value; did you mean epochs=3?"]),
    ("epochs:3", ["did you mean epochs=3?"]),
    ("adamw", ["adamw: expected key=value; did you mean optimizer=adamw?"]),
    ("epochs=None", ["epochs=None", "did you mean null?"]),
    ("\"optimizer.lr='0.1'\"", ["optimizer.lr=0.1", "in quotes it is a text"]),
    ("'model.hidden=[256,128'", ["[ is not closed"]),
    ('"name=\'abc"', ["' is not closed"]),
    ("'data_root=~/data'", ["a text needs quotes: 'data_root=\"~/data\"'"]),
    ("'tags=[wide,größe]'", ["a text needs quotes: 'tags=[wide,\"größe\"]'"]),
    ("-m 'tags=[ü],[wide, é]'", ['needs quotes: \'tags=["ü"],[wide, "é"]\'']),
    ("'tags=[ü, wide é]'", ["can't be parsed", "expected a list of words without spaces"]),
    ("-m 'name=a,\"b c\",ü'", ['a text needs quotes: \'name=a,"b c","ü"\'']),
    ("'notes=größe, x'", ["a text needs quotes: 'notes=\"größe, x\"'"]),
    ("'dataset.arguments={a: größe, b: [ü,1]}'", ['={a: "größe", b: ["ü",1]}\'']),
    ("'name=a b/ü,é'", ["can't be parsed", "expected a text for a folder's name: no /"]),
    ("'name=a/ü'", ["can't be parsed", "expected a text for a folder's name: no /"]),
    (
        "'optimizers={a: [optimizer=newton, lr=1], b: sgd}'",
        ['texts inside need quotes: \'optimizers={a: ["optimizer=newton", "lr=1"], b: sgd}\''],
    ),
    ("'optimizer.groups[0].lr=1'", ["a list is given whole: optimizer.groups=[...]"]),
    ("'seed=rang(3)'", ["no such function; did you mean range(...)?"]),
    ("'seed=choice()'", ["choice(...) does not take these"]),
    (
        "'optimizer.groups=[{param: \"*\", lr: 1}]'",
        ["optimizer.groups[0]={param: *, lr: 1}", "did you mean params in place of param?"],
    ),
    ("steps=1ep", ["steps=1ep", "a whole number, at least 1; did you mean epochs=1?"]),
    ("'steps=3 epochs'", ["did you mean epochs=3?"]),
    ("~seed", ["~seed: a key can be set, not deleted"]),
    ("optimizer.fused=true", ["optimizer.fused=true", "optimizer.implementation=fused"]),
    ("++optimizer.foreach=true", ["optimizer.foreach", "optimizer.implementation=foreach"]),
    ("optimizer.fused=false", ["optimizer.implementation=auto"]),
    ("--fused", ["--fused: no such flag; did you mean optimizer.implementation"]),
    ("hydra.mode=MULTIRUN", ["write -m"]),
    ("hydra/launcher=null", ["hydra/launcher=null: "]),
    ("'optimizer=${oc.env:HOME}'", ["a file is chosen by its name alone"]),
    ("'+hydra.sweeper.params={seed: 1}'", ["hydra.sweeper.params", "need -m"]),
    ("optimizer.lr=" + "[" * 400 + "]" * 400, ["optimizer.lr=[[", "nested too deeply"]),
    ("seed=" + "9" * 5000, ["seed=999"]),
]

SWEEPS = [
    ("'optimizer.lr=interval(0.001,0.1)'", ["interval lists no values", "choice(...)"]),
    ("'optimizer=interval(0,1)'", ["interval lists no values"]),
    ("'seed=range(5,1)'", ["seed=range(5,1): lists no values"]),
    ("'seed=range(0,5,0)'", ["a step that is not 0"]),
    ("'seed=range(0,inf)'", ["expected a finite range"]),
    ("'seed=range(0,1e9)'", ["a sweep of 1000000000 runs; at most 10000"]),
    ("'seed=range(0,101)' 'split=range(0,100)'", ["a sweep of 10100 runs"]),
    ("'optimizer=glob(xyz*)'", ["optimizer=glob(xyz*): lists no values"]),
    ("'seed=glob(*)'", ["lists no values"]),
    ("'+hydra.sweeper.params=3'", ["hydra.sweeper.params=3: expected keys and values"]),
    ("'+hydra.sweeper.params={seed: \"0,x\"}'", ["seed=x: not valid"]),
    ("'hydra.sweep.dir=${nope}' seed=0,1", ["hydra.sweep.dir=${nope}: no such key: nope"]),
]


@pytest.mark.parametrize(("line", "named"), ELSEWHERE)
def test_what_is_written_as_elsewhere_is_told_how_it_is_written_here(
    line: str, named: list[str]
) -> None:
    assert_refused(f"train {line}", named)


@pytest.mark.parametrize(("line", "named"), SWEEPS)
def test_a_sweep_that_lists_nothing_or_no_end_is_refused(line: str, named: list[str]) -> None:
    assert_refused(f"train -m {line}", named)


@pytest.mark.parametrize("verb", ["test", "zzz", "predict"])
def test_a_word_that_is_like_no_verb_gets_the_list_of_them(verb: str) -> None:
    assert_refused(verb, [f"{verb}: no such verb; choose from benchmark, check, claim, compare, "])


@pytest.mark.parametrize(
    ("verb", "meant"), [("eval", "evaluate"), ("run", "train, or runs"), ("trian", "train")]
)
def test_a_word_that_is_like_a_verb_is_told_which(verb: str, meant: str) -> None:
    assert_refused(verb, [f"{verb}: no such verb; did you mean {meant}?"])


@pytest.mark.parametrize("line", ["optimizer=sgd seed=1", "-m seed=0,1"])
def test_a_verb_that_was_left_out_is_told(line: str) -> None:
    what = "flag" if line.startswith("-") else "verb"
    assert_refused(line, [f"no such {what}; did you mean optbench train {line}?"])


@pytest.mark.parametrize(
    "params",
    [
        "'+hydra.sweeper.params={seed: \"0,1\"}'",
        "'hydra.sweeper.params={seed: \"range(2)\"}'",
        "+hydra.sweeper.params.seed=0,1",
        "'seed=sort(1,0)'",
        "'seed=tag(a,choice(0,1))'",
    ],
)
def test_every_way_to_list_values_gives_the_runs(params: str) -> None:
    small = "threads=1 device=cpu model.hidden=[8] steps=1 checkpoint=none hydra.sweep.dir=mine"
    assert call(f"train -m {small} {params}").code == 0
    assert sorted(os.listdir("mine")) == ["0", "1", "sweep.yaml"]


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("batch_size=128,256", ["batch_size=128", "batch_size=256"]),
        ("optimizer.lr=0.1,0.01", ["optimizer.lr=0.1", "optimizer.lr=0.01"]),
        ("name='1 000'", ["name='1 000'"]),
    ],
)
def test_what_may_be_several_values_is(line: str, values: list[str]) -> None:
    with hydra_session() as composer:
        (parsed,) = composer.parse([line])
    found = (
        [f"{parsed.key_or_group}={value}" for value in parsed.sweep_string_iterator()]
        if (parsed.is_sweep_override())
        else [parsed.input_line]
    )
    assert found == values
