"""The Hessian of DeepOBS's `quadratic_deep`, number by number.

Source: Schneider, Balles, Hennig, "DeepOBS: A Deep Learning Optimizer Benchmark Suite", ICLR 2019,
and its code (MIT): eigenvalues and rotation come from numpy's RandomState(42), one after the other.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]

SEED = 42


def hessian(dim: int = 100, seed: int = SEED) -> Matrix:
    """Return R^T diag(eigenvalues) R, [dim, dim]; see `eigenvalues` and `rotation`.

    With the defaults it is DeepOBS's own.

    Raises:
        ValueError: fewer than 2 dimensions.
    """
    if dim < 2:
        raise ValueError(f"dim={dim}: quadratic_deep has at least 2 dimensions")
    random = np.random.RandomState(seed)
    values = eigenvalues(dim, random)
    turned = rotation(dim, random)
    whole: Matrix = turned.T @ (values[:, None] * turned)
    return (whole + whole.T) / 2


def eigenvalues(dim: int, random: np.random.RandomState) -> Matrix:
    """Return [dim]: nine tenths from U(0, 1), the others from U(30, 60), as in deep networks."""
    small = dim * 9 // 10
    low, high = random.uniform(0.0, 1.0, small), random.uniform(30.0, 60.0, dim - small)
    return np.concatenate([low, high])


def rotation(dim: int, random: np.random.RandomState) -> Matrix:
    """Return a rotation [dim, dim] drawn uniformly.

    By the subgroup algorithm of Diaconis and Shahshahani ("The subgroup algorithm for generating
    uniform random variables", 1987): a rotation of d dimensions, bordered by a 1, is reflected so
    that the new axis goes to a random direction.
    """
    angle = 2 * np.pi * random.uniform()
    cos, sin = np.cos(angle), np.sin(angle)
    turned: Matrix = np.array([[cos, sin], [-sin, cos]])
    for size in range(3, dim + 1):
        direction = random.normal(size=size)
        mirror = -direction / np.linalg.norm(direction)
        mirror[0] += 1.0
        mirror /= np.linalg.norm(mirror)
        bordered = np.zeros((size, size))
        bordered[0, 0] = 1.0
        bordered[1:, 1:] = turned
        turned = bordered - 2.0 * np.outer(mirror, mirror @ bordered)
    return -turned
