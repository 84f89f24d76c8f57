"""Names of the zoo and of torchvision, where a choice of ours is expected."""

from pathlib import Path

import pytest

from optbench.config.libraries import choice_meant, torchvision_names

OURS = {
    "optimizer": ["adam", "adamax", "adamw", "sgd", "zoo"],
    "model": ["gpt", "mlp", "resnet18", "torchvision"],
}


@pytest.mark.parametrize(
    ("group", "word", "meant"),
    [
        ("optimizer", "adamm", "adam"),
        ("optimizer", "AdamW", "adamw"),
        ("optimizer", "ademamix", "optimizer=zoo optimizer.name=ademamix"),
        ("optimizer", "AdEMAMix", "optimizer=zoo optimizer.name=ademamix"),
        ("optimizer", "prodigi", "optimizer=zoo optimizer.name=prodigy"),
        ("model", "resnet", "resnet18"),
        ("model", "gpt2", "gpt"),
        ("model", "ResNet-50", "model=torchvision model.name=resnet50"),
    ],
)
def test_ours_go_first_then_a_librarys(group: str, word: str, meant: str) -> None:
    assert choice_meant(group, word, OURS[group]) == f"did you mean {meant}?"


def test_a_library_that_no_config_takes_is_not_named() -> None:
    assert "zoo" not in choice_meant("optimizer", "ademamix", ["adam"])
    assert choice_meant("schedule", "cosin", ["cosine"]) == "did you mean cosine?"


def test_a_player_is_told_its_own_key() -> None:
    meant = choice_meant("optimizer", "lamb2", ["zoo"], "player.a.optimizer")
    assert meant.startswith("did you mean player.a.optimizer=zoo player.a.optimizer.name=lamb")


@pytest.mark.parametrize(
    ("group", "word", "meant"),
    [
        ("dataset", "input.txt", "did you mean dataset=text dataset.path=input.txt?"),
        ("dataset", "a b.txt", "did you mean dataset=text 'dataset.path=a b.txt'?"),
        ("dataset", "sub/pics", "did you mean dataset=image_folder dataset.root=sub/pics?"),
        ("model", "m.pt", "did you mean weights=m.pt?"),
        ("model", "m.pth", "did you mean weights=m.pth?"),
        ("model", "sub/run", "did you mean weights=sub/run?"),
        ("dataset", "one.py", "did you mean dataset=custom dataset._target_=one.Mine?"),
        ("model", "./one.py", "did you mean model=custom model._target_=one.Mine?"),
        ("model", "sub/two.py", "a class of it is model=custom model._target_=sub.two.NAME"),
        ("model", "none.py", "a class of it is model=custom model._target_=none.NAME"),
        ("dataset", "x.csv", "choose from custom, image_folder, text"),
        ("model", "mine.Net", "did you mean model=custom model._target_=mine.Net?"),
    ],
)
def test_a_file_is_no_class(
    group: str, word: str, meant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("sub/pics", "sub/run"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "sub/run/config.yaml").touch()
    (tmp_path / "one.py").write_text("class Mine:\n    pass\n", encoding="utf-8")
    (tmp_path / "sub/two.py").write_text("class A: ...\nclass B: ...\n", encoding="utf-8")
    assert choice_meant(group, word, ["custom", "text", "image_folder"]) == meant


def test_torchvisions_names_are_those_that_it_lists() -> None:
    import torchvision

    assert torchvision_names() == sorted(torchvision.models.list_models(torchvision.models))
