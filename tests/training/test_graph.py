"""A step that is noted once and repeated does what a step in pieces does: on a CPU's double of a
CUDA graph (`tape.py`), which repeats nothing that the host would have to do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path

import pytest
import torch
import yaml

from optbench.compose.paths import configs_folder
from optbench.optim.engine import foreach, tensor_list
from optbench.optim.engine.rule_optimizer import RuleOptimizer
from optbench.torch_internals import onednn_enabled, set_onednn_enabled
from optbench.training.graph.held import CAPTURABLE

from .graphed import STEPS, Graphed, compared

REPEATED = STEPS - 4
"""Of 30 steps: without three that go before, and an epoch's last batch, which is smaller."""

OURS = (
    *("adabelief", "adabound", "adagrad_eps_inside", "adan", "amsbound", "amsgrad", "heavy_ball"),
    *("lamb", "lars", "lion", "momentum", "rmsprop_eps_inside"),
)
"""Files of all rules that are nothing but a rule."""

AS_EVER = {"nadam": 3e-6, "radam": 2e-5}
"""How far torch's are from their own, whose numbers of the step are of double precision."""

OPTIONS = {
    "momentum": ["optimizer=sgd", "optimizer.momentum=0.9"],
    "nesterov": ["optimizer=sgd", "optimizer.momentum=0.9", "optimizer.nesterov=true"],
    "weight decay": ["optimizer=adamw", "optimizer.weight_decay=0.1"],
    "cosine": ["optimizer=adamw", "schedule=cosine", "schedule.warmup_steps=5"],
    "cosine, a rule": ["optimizer=lion", "schedule=cosine", "schedule.warmup_steps=5"],
    "steps": ["optimizer=sgd", "schedule=step"],
    "momentum moves, a rule": ["optimizer=momentum", "schedule=one_cycle"],
    "by norm": ["optimizer=adamw", "clip.norm=0.1"],
    "by value": ["optimizer=lion", "clip.value=0.01"],
    "adaptively": ["optimizer=sgd", "clip.adaptive=0.01"],
    "accumulation": ["optimizer=adamw", "accumulate=2"],
    "averages": ["optimizer=sgd", "ema=0.9"],
    "bf16": ["optimizer=adamw", "precision=bf16"],
    "dropout": ["optimizer=adamw", "model.dropout=0.2"],
    "batch norm": ["optimizer=sgd", "model.batch_norm=true"],
    "groups": ["optimizer=adamw", "optimizer.layer_decay=0.8"],
    "all of it": [
        *("optimizer=lion", "accumulate=2", "clip.norm=0.1", "ema=0.9", "precision=bf16"),
        *("schedule=cosine", "schedule.warmup_steps=5", "model.dropout=0.2"),
    ],
}

IMAGES = ["dataset=synthetic", "dataset.shape=[1,16,16]", "dataset.train_size=80", "batch_size=10"]
TEXT = ["dataset=text", "dataset.path=text.txt", "dataset.context=8", "batch_size=4"]
SMALL = ["model.layers=1", "model.width=8"]
TASKS = {
    "convolutions": [*IMAGES, "model=2c2d"],
    "patches": [*IMAGES, "model=vit"],
    "reconstruction": [
        *(*IMAGES, "model=autoencoder", "model.hidden=[8]", "model.code=4"),
        *("task.mean=[0]", "task.std=[1]"),
    ],
    "latent": [*IMAGES, "model=vae", "task.mean=[0]", "task.std=[1]", "optimizer=adam"],
    "attention": [*TEXT, "model=gpt", "model.heads=2", *SMALL],
    "a test function": ["model=rosenbrock", "model.dim=4", "optimizer=adam"],
}


@pytest.fixture(autouse=True)
def a_cpu_that_is_taken_for_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch's capturable steps and ours of many tensors go another way on a CPU."""
    for name in CAPTURABLE:
        module = import_module(f"torch.optim.{name.lower()}")
        if hasattr(module, "_get_capturable_supported_devices"):
            supported = lambda supports_xla=True: ["cpu"]  # noqa: E731
            monkeypatch.setattr(module, "_get_capturable_supported_devices", supported)
    for module in (foreach, tensor_list):
        monkeypatch.setattr(module, "numbers_are_at_hand", lambda device: False)


def files_of_rules() -> Iterator[str]:
    """Files whose class is a rule and nothing else."""
    for path in sorted((configs_folder() / "optimizer").glob("*.yaml")):
        target = str(yaml.safe_load(path.read_text(encoding="utf-8")).get("_target_"))
        module, _, name = target.rpartition(".")
        if module.startswith("optbench."):
            cls = getattr(import_module(module), name)
            if isinstance(cls, type) and issubclass(cls, RuleOptimizer) and cls.is_rule_alone():
                yield path.stem


def test_these_are_all_rules() -> None:
    assert list(files_of_rules()) == sorted(OURS)


@pytest.mark.parametrize("implementation", ["loop", "foreach"])
@pytest.mark.parametrize("name", OURS)
def test_a_rule_is_repeated(name: str, implementation: str) -> None:
    lines = [f"optimizer={name}", f"optimizer.implementation={implementation}"]
    graphed, far = compared(*lines, "schedule=cosine")
    assert graphed.step.replayed == REPEATED and not graphed.reasons and far < 2e-6


def of_torch() -> list[tuple[str, str]]:
    return [(name.lower(), way) for name, ways in CAPTURABLE.items() for way in ways]


@pytest.mark.parametrize(("name", "implementation"), of_torch())
def test_one_of_torchs_is_repeated(name: str, implementation: str) -> None:
    lines = [f"optimizer={name}", f"optimizer.implementation={implementation}"]
    graphed, far = compared(*lines, "schedule=cosine")
    assert graphed.step.replayed == REPEATED and not graphed.reasons
    assert far < AS_EVER.get(name, 2e-6)


@pytest.mark.parametrize("lines", OPTIONS.values(), ids=OPTIONS.keys())
def test_a_step_with_what_belongs_to_it_is_repeated(lines: Sequence[str]) -> None:
    graphed, far = compared(*lines)
    assert graphed.step.replayed == REPEATED and not graphed.reasons
    assert far < (1e-3 if "model.batch_norm=true" in lines else 2e-6)


@pytest.mark.parametrize("lines", TASKS.values(), ids=TASKS.keys())
def test_each_kind_of_model_is_repeated(
    lines: Sequence[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("text.txt").write_text("some words of no matter " * 40, encoding="utf-8")
    graphed, _ = compared("optimizer=lion", *lines)
    assert graphed.step.replayed >= STEPS - 7 and not graphed.reasons


def test_an_lstm_by_its_parts_is_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not by oneDNN's kernel, which a GPU has not either."""
    monkeypatch.chdir(tmp_path)
    Path("text.txt").write_text("some words of no matter " * 40, encoding="utf-8")
    had = onednn_enabled()
    set_onednn_enabled(False)
    try:
        graphed, far = compared("optimizer=lion", "model=lstm", *SMALL, *TEXT)
    finally:
        set_onednn_enabled(had)
    assert graphed.step.replayed == REPEATED and not graphed.reasons and far < 2e-6


def test_what_is_measured_is_taken_in_pieces_with_the_same_bits() -> None:
    measured, whole = Graphed("optimizer=lion"), Graphed("optimizer=lion")
    step, progress, feed = measured.step, measured.made.state.progress, measured.made.feed
    for number in range(20):
        work = feed.step_at(progress.epoch, progress.index)
        step.loss_and_gradients(work, unseen=number % 3 != 0)
        assert step.update()
        step.player.advance()
        progress.advance(work.examples, feed.steps_per_epoch)
        progress.step += 1
    assert 5 < step.replayed < 14
    assert torch.equal(measured.train(20), whole.train(20))


def test_it_is_noted_anew_where_state_is_at_another_place() -> None:
    graphed, other = Graphed("optimizer=momentum"), Graphed("optimizer=momentum")
    (player,) = graphed.made.state.players
    graphed.train(10)
    for state in player.optimizer.state.values():
        state["velocity"] = state["velocity"].clone()
    work = graphed.made.feed.step_at(0, 0)
    graphed.step.loss_and_gradients(work)  # of a step that is measured
    player.clear_gradients()
    assert torch.equal(graphed.train(), other.train())
    assert len(graphed.graphs.tapes) == 2 and not graphed.reasons


def test_settings_that_move_on_the_host_end_it_and_nothing_is_wrong() -> None:
    """One cycle moves Adam's betas, which torch gives its kernels as numbers."""
    graphed, far = compared("optimizer=adamw", "schedule=one_cycle")
    assert graphed.reasons == ["its operations keep changing"] and far < 2e-6
    assert len(graphed.graphs.tapes) == 3


def test_a_weight_decay_that_becomes_0_is_another_step() -> None:
    found = []
    for pieces in (False, True):
        each = Graphed("optimizer=lion", "optimizer.weight_decay=0.1", pieces=pieces)
        each.train(10)
        for group in each.made.state.players[0].optimizer.param_groups:
            group["weight_decay"] = 0.0
        found.append(each.train(20))
    assert torch.equal(*found)
