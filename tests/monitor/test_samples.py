"""What a task has to show: as PNG, as files of the run folder, in TensorBoard."""

from __future__ import annotations

import io
from pathlib import Path

import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from optbench.monitor.images import images
from optbench.monitor.record import Recorder
from optbench.monitor.samples import Samples
from optbench.monitor.tensorboard import TensorBoard

GREY = torch.tensor([[[0.0, 0.5, 1.0], [-1.0, 2.0, 0.25]]])
COLOUR = torch.rand(3, 4, 5, generator=torch.Generator().manual_seed(0))


def test_pixels_survive_the_png() -> None:
    found = images({"grey": GREY, "colour": COLOUR})
    grey = Image.open(io.BytesIO(found["grey"]))
    assert (grey.mode, grey.size) == ("L", (3, 2))
    assert list(grey.tobytes()) == [0, 128, 255, 0, 255, 64]
    colour = Image.open(io.BytesIO(found["colour"]))
    assert (colour.mode, colour.size) == ("RGB", (5, 4))
    assert colour.getpixel((4, 1)) == tuple((COLOUR[:, 1, 4] * 255).round().int().tolist())
    assert images({}) == {}


def test_files_by_step(tmp_path: Path) -> None:
    sink = Samples(tmp_path / "samples")
    assert not (tmp_path / "samples").exists()
    sink.show(20, {"sample": "to be\nor not"}, images({"grid": GREY}))
    folder = tmp_path / "samples" / "step-00000020"
    assert (folder / "sample.txt").read_text(encoding="utf-8") == "to be\nor not"
    with Image.open(folder / "grid.png") as image:
        assert image.size == (3, 2)


def test_tensorboard_reads_texts_and_images(tmp_path: Path) -> None:
    board = TensorBoard(tmp_path)
    recorder = Recorder([board], board)
    recorder.show(7, {"sample": "one\n<b>two</b>"}, images({"grid": COLOUR}))
    recorder.close()
    found = EventAccumulator(str(tmp_path))
    found.Reload()
    (text,) = found.Tensors("samples/sample")
    assert text.step == 7
    assert text.tensor_proto.string_val[0].decode() == "    one\n    <b>two</b>"
    assert found.SummaryMetadata("samples/sample").plugin_data.plugin_name == "text"
    (image,) = found.Images("samples/grid")
    assert (image.step, image.width, image.height) == (7, 5, 4)
    assert Image.open(io.BytesIO(image.encoded_image_string)).mode == "RGB"


def test_sinks_that_show_nothing_are_left_alone() -> None:
    class Numbers:
        def write(self, record: object) -> None: ...
        def flush(self) -> None: ...
        def close(self) -> None: ...

    Recorder([Numbers()]).show(1, {"sample": "text"}, {})
