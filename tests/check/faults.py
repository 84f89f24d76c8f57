"""Which planted fault which check finds, and by what words."""

from __future__ import annotations

from typing import NamedTuple

SETS = "dataset=custom dataset._target_=planted.{data} 'dataset.train={{train: true}}' "
SETS += "'dataset.test={{train: false}}' "
DIGITS = "model=mlp model.hidden=[32]"


class Fault(NamedTuple):
    """One row.

    Attributes:
        line: overrides that plant it.
        check: that has to find it.
        status: that it has to give.
        says: words of what it says.
        remedy: words of the remedy.
    """

    line: str
    check: str
    says: str
    remedy: str
    status: str = "fail"


def data(name: str) -> str:
    return SETS.format(data=name) + DIGITS


def model(name: str) -> str:
    return SETS.format(data="Digits") + f"model=custom model._target_=planted.{name}"


FAULTS = {
    "a wrong backward": Fault(
        model("WrongBackward"), "gradients", "wrong gradients in first", "mend the backward"
    ),
    "a detached layer": Fault(
        model("Detached"), "gradients", "the loss depends on first", "after first"
    ),
    "a detached layer, in its wiring": Fault(
        model("Detached"), "wiring", "no gradient reaches first.weight", "mend forward"
    ),
    "zero init": Fault(
        f"{DIGITS} model.init=zeros", "initialisation", "zero init", "model.init=kaiming"
    ),
    "constant init": Fault(
        model("Constant"), "initialisation", "constant init", "model.init=kaiming"
    ),
    "zero init is not learned": Fault(
        f"{DIGITS} model.init=zeros", "overfit", "can't be learned by heart", "model.init=kaiming"
    ),
    "unnormalised data": Fault(data("Unnormalised"), "data", "not normalised", "(x - 7"),
    "unnormalised by its settings": Fault(
        f"{DIGITS} dataset.mean=[0.0] dataset.std=[0.003]",
        "data",
        "not normalised",
        "'dataset.mean=[0.30",
    ),
    "shuffled labels": Fault(
        data("Shuffled"), "data", "say nothing of the inputs", "mend the pair"
    ),
    "labels shuffled in training": Fault(
        data("ShuffledInTraining"), "data", "say nothing of the inputs", "mend the pairing"
    ),
    "classes in another order": Fault(
        data("OtherOrder"), "data", "do not fit the training set's", "one order"
    ),
    "swapped images and labels": Fault(
        data("Swapped"), "data", "inputs and labels are swapped", "return image, label"
    ),
    "test images in train": Fault(
        data("Leaking"), "data", "test examples are training examples too", "out of training"
    ),
    "lr x 1000": Fault(f"{DIGITS} optimizer.lr=1", "lr", "above the best", "optimizer.lr=0.0"),
    "lr x 1e33": Fault(f"{DIGITS} optimizer.lr=1e30", "lr", "it diverges at each", "optimizer.lr="),
    "lr / 1000": Fault(f"{DIGITS} optimizer.lr=1e-6", "lr", "below the best", "optimizer.lr=0.0"),
    "sgd's lr x 1000": Fault(
        f"{DIGITS} optimizer=sgd optimizer.lr=100", "lr", "above the best", "optimizer.lr="
    ),
    "sgd's lr / 1000": Fault(
        f"{DIGITS} optimizer=sgd optimizer.lr=1e-4", "lr", "below the best", "optimizer.lr="
    ),
    "dropout active in evaluation": Fault(
        model("AlwaysDropping"), "wiring", "dropout is active", "training=self.training"
    ),
    "softmax before cross entropy": Fault(
        model("Softmax"), "wiring", "softmax twice", "leave it out"
    ),
    "loss summed": Fault(
        f"{DIGITS} task=custom task._target_=planted.Summed",
        "wiring",
        "a sum over examples",
        "reduction='mean'",
    ),
    "a parameter in no group": Fault(
        f"{DIGITS} optimizer=custom optimizer._target_=planted.Forgetful optimizer.lr=0.1",
        "wiring",
        "in no parameter group",
        "optimizer=adamw",
    ),
    "a layer in a list": Fault(
        model("InAList"), "wiring", "are no parameters of the model", "nn.ModuleList"
    ),
    "a layer that is not called": Fault(
        model("Uncalled"), "wiring", "no gradient reaches unused.weight", "freeze=[unused"
    ),
    "BatchNorm frozen": Fault(
        model("NormFrozen"), "wiring", "BatchNorm frozen", "leave eval() out"
    ),
    "BatchNorm with momentum 0": Fault(
        model("NormStill"), "wiring", "BatchNorm frozen", "leave eval() out"
    ),
    "train() that ignores its mode": Fault(
        model("NeverEvaluating"), "wiring", "training mode after eval()", "train(mode)"
    ),
    "augmentation that changes the look": Fault(
        data("Turned"), "data", "look like class", "leave that augmentation out"
    ),
    "augmentation that changes the label": Fault(
        data("Relabelled"), "data", "augmentation changes the label", "as it was"
    ),
    "one class missing": Fault(
        data("OneMissing"), "data", "class 3 of 10 has no training example", "split_seed"
    ),
    "integers overflowing": Fault(
        data("Bytes").replace(DIGITS, "model=custom model._target_=planted.Wrapping"),
        "data",
        "integers overflow: uint8",
        "inputs.float()",
    ),
    "labels overflowing": Fault(
        data("Narrow") + " dataset.num_classes=200", "data", "from -128 to 127", "int64"
    ),
    "first layer frozen": Fault(
        f"{DIGITS} 'freeze=[blocks.0.*]'", "wiring", "the first layer, blocks.0.0", "freeze=[]"
    ),
    "first layer frozen by the model": Fault(
        model("Frozen"), "wiring", "first frozen by the model itself", "requires_grad_(True)"
    ),
    "gradients clipped to nearly nothing": Fault(
        f"{DIGITS} clip.norm=1e-5", "wiring", "clipping leaves", "clip.norm="
    ),
    "gradients clipped by value": Fault(
        f"{DIGITS} clip.value=1e-7", "wiring", "clipping leaves", "clip.value=null"
    ),
    "no seed": Fault(model("Clocked"), "determinism", "the same seed", "generator"),
    "equal images of two classes": Fault(
        data("Disagreeing"), "data", "equal to another one of another class", "one of each pair"
    ),
    "numbers that are not finite": Fault(data("Missing"), "data", "not finite", "leave them out"),
    "classes in order": Fault(
        data("Sorted") + " shuffle=none", "data", "one after the other", "shuffle=epoch"
    ),
    "weight decay on norms": Fault(
        f"{DIGITS} model.batch_norm=true optimizer.weight_decay=0.1",
        "wiring",
        "weight decay on norms",
        "optimizer.decay_norm_and_bias=false",
        status="warn",
    ),
}
