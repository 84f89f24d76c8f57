"""optbench.assemble.wording: what libraries refuse, in the words of a config."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from optbench.assemble.create import call, create, created
from optbench.errors import Argument, ArgumentError, Choice, UserError

REFUSED = ArgumentError(
    Argument("path", Path("a.txt")),
    ": point ",
    Argument("root"),
    " elsewhere, set ",
    Argument("download", True),
    " ",
    Argument("mean", [0]),
    " ",
    Argument("by", None),
    " or take ",
    Choice("model", "gpt"),
)
IN_PYTHON = (
    "path='a.txt': point root elsewhere, set download=True mean=[0] by=None or take the model gpt"
)
IN_KEYS = (
    "dataset.path=a.txt: point dataset.root (or OPTBENCH_DATA) elsewhere, set dataset.download=true"
    " dataset.mean=[0] dataset.by=null or take model=gpt"
)


def refuse(**given: object) -> None:
    raise REFUSED


refuse.__module__ = "optbench.data"  # code of ours, which the user can't mend


def test_a_library_speaks_of_its_arguments() -> None:
    assert isinstance(REFUSED, ValueError)
    assert str(REFUSED) == IN_PYTHON
    assert str(pickle.loads(pickle.dumps(REFUSED))) == IN_PYTHON  # from a worker of a data set


def test_the_command_line_speaks_of_keys() -> None:
    with pytest.raises(UserError) as caught:
        call(refuse, "dataset")
    assert str(caught.value) == IN_KEYS


def test_arguments_of_a_custom_part_have_a_key_of_their_own() -> None:
    path = "optbench.tasks.reconstruction.Reconstruction"
    with pytest.raises(UserError, match=r"^task\.arguments\.loss=l is not known; it is cross_"):
        created({"_target_": path, "arguments": {"loss": "l"}}, "task")


def test_what_names_no_argument_names_the_node() -> None:
    node = {"_target_": "optbench.tasks.function.Function", "input_shape": [1, 8, 8]}
    with pytest.raises(UserError, match=r"^task: examples of shape .* take dataset=draws$"):
        created(node, "task")


def test_a_node_in_a_node_is_named_by_its_key() -> None:
    inner = {"_target_": "optbench.data.deepobs_quadratic.hessian", "dim": 1}
    with pytest.raises(UserError, match=r"^model\.hessian: dim=1: quadratic_deep has at least 2"):
        create({"_target_": "builtins.dict", "hessian": inner}, "model")
    with pytest.raises(UserError, match=r"^model\.parts\[0\]\._target_=no\.Such: no such class"):
        create({"_target_": "builtins.dict", "parts": [{"_target_": "no.Such"}]}, "model")


def test_code_of_the_users_own_has_no_such_keys() -> None:
    """What it gives our class is not what the config gives it."""

    def own() -> None:
        refuse()

    own.__module__ = __name__
    with pytest.raises(UserError, match=r"^dataset: path='a\.txt': point root elsewhere"):
        call(own, "dataset")
