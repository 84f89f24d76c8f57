"""Grids of pictures."""

import torch

from optbench.tasks.grid import BACKGROUND, GAP, grid, pairs


def cell(picture, row, column, side=4):
    top, left = GAP + row * (side + GAP), GAP + column * (side + GAP)
    return picture[:, top : top + side, left : left + side]


def test_images_stand_in_rows_on_grey():
    images = torch.rand(5, 3, 4, 4)
    picture = grid(images, columns=2)
    assert picture.shape == (3, 3 * 6 + GAP, 2 * 6 + GAP)
    for number, image in enumerate(images):
        assert torch.equal(cell(picture, *divmod(number, 2)), image)
    assert (cell(picture, 2, 1) == BACKGROUND).all()
    assert (picture[:, :GAP] == BACKGROUND).all()
    assert (picture[:, :, -GAP:] == BACKGROUND).all()


def test_fewer_images_than_columns_make_a_narrow_grid():
    assert grid(torch.rand(2, 1, 4, 4), columns=8).shape == (1, 6 + GAP, 2 * 6 + GAP)


def test_values_are_cut_and_other_channels_left_out():
    images = torch.tensor([-1.0, 2.0, float("nan"), float("inf")]).view(4, 1, 1, 1)
    images = images.expand(4, 5, 4, 4).clone()
    images[:, 1:] = 0.7
    picture = grid(images, columns=4)
    assert picture.shape[0] == 1
    assert [float(cell(picture, 0, n).mean()) for n in range(4)] == [0, 1, 0, 1]


def test_pairs_stand_one_above_the_other():
    above, below = torch.rand(5, 1, 4, 4), torch.rand(5, 1, 4, 4)
    picture = pairs(above, below, columns=3)
    for number in range(5):
        row, column = divmod(number, 3)
        assert torch.equal(cell(picture, 2 * row, column), above[number])
        assert torch.equal(cell(picture, 2 * row + 1, column), below[number])
    assert (cell(picture, 2, 2) == BACKGROUND).all()
    assert (cell(picture, 3, 2) == BACKGROUND).all()
