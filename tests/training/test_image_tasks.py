"""Whole runs of the tasks that make images: resumed exactly, scored, and shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from .runs import assert_same_run, metrics_of, state_of, train, whole_and_resumed

DIGITS = ["dataset=digits", "batch_size=100", "accumulate=2", "epochs=2", "checkpoint.every=5"]
RUNS = {
    "autoencoder": ["model=autoencoder", "model.hidden=[20]", "model.code=4", "precision=bf16"],
    "vae": ["model=vae", "model.hidden=[20]", "model.latent=4", "task.beta=2"],
    "dcgan": [
        *("model=dcgan", "model.width=4", "model.latent=8", "label_smoothing=0.1"),
        *("player.generator.update_every=2", "player.discriminator.optimizer=momentum"),
        *("player.generator.schedule=cosine", "ema=0.9"),
    ],
}
METRICS = {
    "autoencoder": {"loss", "squared_error"},
    "vae": {"loss", "reconstruction", "kl"},
    "dcgan": {"sliced_wasserstein", "real_accuracy", "fake_accuracy"},
}
PICTURES = {
    "autoencoder": {"reconstructions"},
    "vae": {"reconstructions", "samples"},
    "dcgan": {"samples"},
}


@pytest.mark.parametrize("name", RUNS)
def test_a_killed_run_goes_on_to_the_same_bits_and_pictures(name: str) -> None:
    overrides = [*DIGITS, *RUNS[name]]
    whole, resumed = whole_and_resumed(17, *overrides)
    assert_same_run(whole, resumed)

    scores = [set(line) for line in metrics_of(whole) if line["kind"] == "val"]
    expected = {f"val/{metric}" for metric in METRICS[name]}
    assert len(scores) == 2
    assert all(expected <= found for found in scores)

    last = "samples/step-00000026"
    pictures = sorted((whole / last).glob("*.png"))
    assert {picture.stem for picture in pictures} == PICTURES[name]
    for picture in pictures:
        with Image.open(picture) as one, Image.open(resumed / last / picture.name) as other:
            assert one.tobytes() == other.tobytes()
            assert one.getextrema()[0] < one.getextrema()[1]


def test_each_player_has_its_own_optimizer_and_pace() -> None:
    assert train(Path("run"), *DIGITS, *RUNS["dcgan"]) == 0
    players = state_of(Path("run"))["state.pt"]["players"]
    assert {name: player["step"] for name, player in players.items()} == {
        "discriminator": 26,
        "generator": 13,
    }
    kept = {name: set(player["optimizer"]["state"][0]) for name, player in players.items()}
    assert "exp_avg" in kept["generator"]
    assert "exp_avg" not in kept["discriminator"]


def test_scores_do_not_depend_on_the_size_of_evaluations_batches() -> None:
    for size in (7, 1000):
        for name in ("vae", "dcgan"):
            settings = [*DIGITS, *RUNS[name], f"eval.batch_size={size}", "epochs=1"]
            assert train(Path(f"{name}-{size}"), *settings) == 0
    for name in ("vae", "dcgan"):
        one, other = (
            [
                line[key]
                for line in metrics_of(Path(f"{name}-{size}"))
                for key in sorted(line)
                if key.startswith("val/")
            ]
            for size in (7, 1000)
        )
        assert len(one) == 3
        assert one == pytest.approx(other, rel=1e-5)


@pytest.mark.parametrize("task", ["reconstruction", "vae", "adversarial"])
def test_a_data_set_of_unknown_range_is_refused(
    task: str, capsys: pytest.CaptureFixture[str]
) -> None:
    choice = {"reconstruction": "autoencoder", "vae": "vae", "adversarial": "dcgan"}[task]
    assert train(Path("run"), f"task={task}", f"model={choice}", "dataset=synthetic") == 2
    line = capsys.readouterr().err.strip()
    assert "task.mean=[0] task.std=[1]" in line
    assert "\n" not in line
    assert not Path("run").exists()
