"""The textbook's claims from Python: `optbench.claim`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from optbench.compose.texts import check_texts
from optbench.library import Path, check_folders, composer_of, of_a_library

if TYPE_CHECKING:
    from optbench.claims.result import Claimed


def claim(
    name: str,
    *words: str,
    out: Path | None = None,
    quiet: bool = True,
    config_dir: str | None = None,
) -> Claimed:
    """Test a claim of the textbook, or one of your own, as `optbench claim` does.

    Args:
        name: of the claim, such as `noise_variance`.
        words: of the verb, `budget=full`, `seeds=20`, `seed=1000`, `instead={adam: adamw}`, and
            overrides of all runs.
        out: where claims have their folders. Default: `runs/claims`. What is done there is not
            done again.
        quiet: say nothing; else of each part as it begins.
        config_dir: a folder of your own config files.

    Returns:
        What came of it: `verdict`, `said`, `p`, the `values` of each quantity by seed, `picture`,
        and `plain`, which is what `claim.json` has.

    Raises:
        UserError: bad input, a data set that is missing, a run that failed.

    Example:
        >>> found = optbench.claim("gd_convex_rate")
        >>> found.verdict
        'holds'
    """
    from optbench.claims.asked import asked, claim_of
    from optbench.claims.claims import ROOT, ready, test
    from optbench.claims.result import Claimed

    check_texts("claim", (name, *words))
    check_folders(out, config_dir, "out")
    root = ROOT if out is None else os.fspath(out)
    with composer_of(config_dir) as composer:
        at = ready(composer, claim_of(composer, name), asked(composer, words), root)
    with of_a_library(quiet) as (log, _):
        said = test(at, config_dir, log.say)
    return Claimed(at.folder, said)
