"""What the smaller commands have in common: errors as one sentence, and exit codes."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable

from bids_app.errors import UsageError

USAGE_ERROR, INTERRUPTED = 2, 130


def run_command(name: str, command: Callable[[], int]) -> int:
    """Run a command and return its exit code, with its log on the error stream.

    Wrong usage and files that cannot be read or written give one sentence and 2, an interruption
    130.
    """
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")
    try:
        return command()
    except (UsageError, OSError) as error:
        print(f"{name}: {error}", file=sys.stderr)
        return USAGE_ERROR
    except KeyboardInterrupt:
        print(f"{name}: interrupted.", file=sys.stderr)
        return INTERRUPTED
    except SystemExit as stop:  # argparse, after --help and --version
        return stop.code if isinstance(stop.code, int) else USAGE_ERROR
