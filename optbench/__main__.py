"""`python -m optbench`, which is what torchrun launches, and the entry point."""

from __future__ import annotations

import sys


def main() -> None:
    """Runs the command line and exits with its code."""
    from optbench.cli.main import main as run

    code = run()
    if "torch" in sys.modules:
        from optbench.training.distributed import leave

        leave()
    sys.exit(code)


if __name__ == "__main__":
    main()
