"""`python -m optbench`, which is what torchrun launches, and the entry point."""

from __future__ import annotations

import os
import signal
import sys


def in_utf8() -> None:
    """Begin anew in Python's UTF-8 mode where the locale would read names as other letters.

    What is printed stays in the terminal's encoding.
    """
    if sys.getfilesystemencoding() == "utf-8" or sys.flags.utf8_mode or not sys.executable:
        return
    encoding = getattr(sys.stdout, "encoding", None)
    if encoding:
        os.environ.setdefault("PYTHONIOENCODING", f"{encoding}:replace")
    os.environ["PYTHONUTF8"] = "1"  # in processes of its own too
    os.execv(sys.executable, [sys.orig_argv[0], "-X", "utf8", *sys.orig_argv[1:]])


def main() -> None:
    """Run the command line and exit with its code."""
    in_utf8()
    from optbench.cli.main import main as run

    code = run()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # one more Ctrl-C changes nothing any more
    if "torch" in sys.modules:
        from optbench.training.distributed import end

        end(code)
    sys.exit(code)


if __name__ == "__main__":
    main()
