"""`python -m kselect`, and the command `kselect`."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the words of the command line; see `kselect.cli.main.main`."""
    try:
        from kselect.cli.main import main as run  # takes a third of a second, in which Ctrl-C may come

        return run()
    except KeyboardInterrupt:
        print("kselect: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
