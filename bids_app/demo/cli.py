"""Command line of ``msmorph-demo``."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of ``msmorph-demo DIR [--seed N]``."""
    parser = argparse.ArgumentParser(
        prog="msmorph-demo",
        description="Write a small simulated BIDS dataset (two subjects, two sessions, T1w + "
        "FLAIR + T2w, and one spinal cord) with known truth in derivatives/truth.",
    )
    parser.add_argument("directory", metavar="DIR", type=Path, help="folder to write")
    parser.add_argument(
        "--seed", metavar="N", type=int, default=1, help="seed of all random choices (default: 1)"
    )
    return parser


def run(argv: Sequence[str] | None = None) -> int:
    """Write the dataset, print what was written and return 0, or say what is wrong: 2."""
    parser = build_parser()
    args = parser.parse_args(argv)
    if args.seed < 0:
        print(f"msmorph-demo: error: --seed must not be negative, got {args.seed}", file=sys.stderr)
        return 2
    from .dataset import DemoError, write_dataset

    start = time.monotonic()
    try:
        target = write_dataset(args.directory, args.seed)
    except DemoError as error:
        print(f"msmorph-demo: error: {error}", file=sys.stderr)
        return 2
    n_images = len(list(target.glob("sub-*/ses-*/anat/*.nii.gz")))
    seconds = time.monotonic() - start
    print(f"Wrote {n_images} images (seed {args.seed}) to {target} in {seconds:.0f} s.")
    print(f"Truth ({target / 'derivatives' / 'truth' / 'truth.tsv'}):")
    print((target / "derivatives" / "truth" / "truth.tsv").read_text(encoding="utf-8").rstrip())
    return 0
