"""Names of the zoo and of torchvision, where a choice of ours is expected."""

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


def test_torchvisions_names_are_those_that_it_lists() -> None:
    import torchvision

    assert torchvision_names() == sorted(torchvision.models.list_models(torchvision.models))
