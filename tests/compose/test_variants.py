"""A sweep's runs, each composed from what the one before has left, are what each is by itself."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from few import few
from omegaconf import OmegaConf

from optbench.compose.composer import Composer, hydra_session
from optbench.config.run_spec import RunSpec
from optbench.errors import UserError

PARTS = "schedule.parts=[{schedule: constant, for: 10%}, {schedule: cosine, min_ratio: 0.1}]"
GAN = "model=dcgan dataset=digits"
GROUPS = "optimizer.groups=[{params: '*.bias', weight_decay: 0.0, schedule: linear}]"

ONE_BASE = [
    ["seed=1"],
    ["model.hidden=[8]", "steps=20"],
    ["seed=2"],
    ["epochs=3", "name=mine"],
    ["steps=7", "epochs=null"],
    ["model.hidden=[8,9,10]", "model.dropout=0.5"],
    ["optimizer.lr=${oc.env:NO_SUCH_ONE,0.25}"],
    ["seed=5", "dataset.split_seed=${seed}"],
    ["seed=6"],
    ["eval.every=${monitor.every}", "monitor.every=3"],
    ["early_stopping=${target}", "early_stopping.metric=val/loss"],
    ["target={metric: val/accuracy, value: 0.5}"],
    ["target.metric=val/loss", "target.value=0.5"],
    ["data_root=/nowhere"],
    ["data_root='${oc.env:HOME}'"],
    ["name='a, \"quoted\" ${seed}'"],
    ["name='a, \"quoted\" text'"],
    ["notes='it''s'"],
    ["+optimizer.lr=0.1"],
    ["++optimizer.lr=0.1"],
    ["+player={}"],
    ["++player.x.lr=1"],
    ["~seed"],
    ["~optimizer.lr"],
    ["optimizer.lr=none"],
    ["optimizer.lrr=0.1"],
    ["optimizer.lr.x=0.1"],
    ["optimizer.lr=0.125"],
    ["seed=${sead}"],
    ["seed=a"],
    ["model={hidden: [4]}"],
    ["optimizer.betas.0=0.5"],
    ["optimizer.betas=[0.5,0.9]"],
    [GROUPS],
    ["optimizer.groups.0.lr=1"],
    ["momentum_schedule={schedule: linear, to: 0.5}"],
    ["weight_decay_schedule={to: 0.5}"],
    ["momentum_schedule.to=0.5"],
    ["+new=1"],
    ["new.key=1"],
    ["+monitor.new={a: 1}"],
    ["weights=RUN"],
    ["weights.path=RUN", "weights.exclude=[head]"],
    ["weights={path: RUN}"],
    ["monitor.sinks=[csv]"],
    ["clip.norm=1.0", "accumulate=2"],
    [],
]
"""Overrides of values, good and bad ones, some of which reach other keys than they name."""

OTHER_FILES = [
    ["optimizer=sgd", "optimizer.momentum=0.9"],
    ["optimizer=sgd", "optimizer.betas=[0.1,0.2]"],
    ["optimizer=sgd"],
    ["schedule=chain", PARTS],
    ["schedule=chain"],
    ["wrapper=sam", "seed=3"],
    ["workload=fmnist_2c2d"],
    ["workload=fmnist_2c2d", "model.init=zeros"],
    ["workload=fmnist_2c2d", "optimizer=sgd", "steps=9"],
    ["workload=fmnist_2c2d", "recipe=vision", "optimizer.lr=0.5"],
    ["workload=adding_rnn", "model=lstm", "model.width=64"],
    ["workload=adding_rnn", "model=lstm"],
    [*GAN.split(), "player.generator.optimizer=sgd", "player.generator.optimizer.lr=0.5"],
    [*GAN.split(), "player.generator.optimizer=sgd"],
    [*GAN.split(), "optimizer.lr=0.5"],
    [*GAN.split(), "player.discriminator.schedule.warmup_steps=3"],
    ["dataset=mnist", "data_root=/nowhere"],
    ["dataset=mnist", "dataset.root=/elsewhere"],
    ["dataset=mnist"],
    ["model=no_such"],
]


@pytest.fixture(scope="module")
def warm() -> Iterator[Composer]:
    with hydra_session() as composer:
        yield composer


def outcome(composer: Composer, overrides: Sequence[str]) -> RunSpec | str:
    """The run, or what is wrong with it."""
    try:
        return composer.variant(overrides)
    except UserError as error:
        return f"refused: {error}"


@pytest.mark.parametrize("overrides", few([*ONE_BASE, *OTHER_FILES], 24), ids=" ".join)
def test_a_variant_is_what_it_is_by_itself(warm: Composer, overrides: list[str]) -> None:
    before = outcome(warm, ONE_BASE[0])
    found = outcome(warm, overrides)
    if isinstance(found, RunSpec):
        alone = warm.spec(warm.compose(overrides), overrides)
        assert dataclasses.replace(found, folder=alone.folder) == alone
        assert list(found.plain) == list(alone.plain), "config.yaml has its own order"
    else:
        with hydra_session() as composer:
            assert found == outcome(composer, overrides)
    assert outcome(warm, ONE_BASE[0]) == before, "nothing of it is left"


def test_runs_share_nothing_that_may_change(tmp_path: Path) -> None:
    own = tmp_path / "model" / "own.yaml"
    own.parent.mkdir()
    own.write_text(
        "_target_: own.Model\narguments: {deep: {in: [{it: [[2]]}]}}\n", encoding="utf-8"
    )
    chosen = ["model=own", "model=own tags=[a,b]"]
    found = {}
    with hydra_session(str(tmp_path)) as composer:
        for overrides in [*ONE_BASE, *OTHER_FILES, *map(str.split, chosen)] * 2:
            spec = outcome(composer, overrides)
            if isinstance(spec, RunSpec):
                parts = [spec.plain, spec.overrides, spec.choices]
                for each in {id(part): part for part in containers(parts)}.values():
                    assert id(each) not in found, f"{each} is also in {found[id(each)]}"
                    found[id(each)] = (overrides, each)


def containers(value: Any) -> Iterator[Any]:
    """What may change in plain data."""
    if isinstance(value, dict | list):
        yield value
        for item in value.values() if isinstance(value, dict) else value:
            yield from containers(item)


def test_what_refers_to_a_changed_key_follows_it(warm: Composer) -> None:
    seeds = [warm.variant([f"seed={seed}"]).plain["dataset"]["split_seed"] for seed in (3, 4)]
    roots = [
        warm.variant(["dataset=mnist", f"data_root=/{name}"]).plain["dataset"]["root"]
        for name in "ab"
    ]
    assert (seeds, roots) == ([3, 4], ["/a", "/b"])


def test_what_a_resolver_gave_is_no_other_runs(warm: Composer) -> None:
    drawn = itertools.count()
    OmegaConf.register_new_resolver("drawn", lambda: next(drawn), use_cache=True)
    try:
        assert [warm.variant(["seed=${drawn:}"]).plain["seed"] for _ in range(2)] == [0, 1]
    finally:
        OmegaConf.clear_resolver("drawn")
