"""The instruments by name; each is imported when it is asked for."""

from __future__ import annotations

CLASSES: dict[str, str] = {
    "hessian": "optbench.instruments.hessian.Hessian",
    "ggn": "optbench.instruments.hessian.GaussNewton",
    "spectrum": "optbench.instruments.spectrum.Spectrum",
    "trace": "optbench.instruments.traces.HessianTrace",
    "stability": "optbench.instruments.stability.Stability",
    "saddle": "optbench.instruments.saddle.Saddle",
}
"""`optbench.instruments.MODULE.CLASS` by name, in the order in which they are listed."""

WHAT: dict[str, str] = {
    "hessian": "eigenvalues of the Hessian: the largest and the smallest",
    "ggn": "eigenvalues of the generalized Gauss-Newton matrix: the largest",
    "spectrum": "density of the Hessian's eigenvalues (matrix=ggn: of the GGN's)",
    "trace": "the Hessian's trace with a confidence interval (matrix=ggn: the GGN's)",
    "stability": "sharpness against the stability line: 2 / lr, of Adam P^-1 H against 38 / lr",
    "saddle": "saddle or minimum: the gradient, and the negative curvature's share",
}
"""What each measures, for `--help`, without importing it; as its `what`."""

SETS: dict[str, tuple[str, ...]] = {
    "curvature": ("hessian", "ggn", "spectrum", "trace", "stability", "saddle"),
}
"""Names of several instruments together, such as `economy`."""
