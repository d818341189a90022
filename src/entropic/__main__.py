"""Start the command line, or say which extra is missing."""

from __future__ import annotations

import sys


def main() -> int:
    """The command ``entropic``, and ``python -m entropic``; returns the exit status."""
    try:
        from . import _cli
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        print("entropic: the command line needs click: pip install 'entropic[cli]'", file=sys.stderr)
        return 2
    return _cli.main()


if __name__ == "__main__":
    sys.exit(main())
