"""The command ``msmorph-gadolinium``."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from bids_app.errors import UsageError
from bids_app.gadolinium import __doc__ as ABOUT

LOGGER = logging.getLogger("msmorph.gadolinium")
SOME_LEFT_OUT, USAGE_ERROR = 1, 2


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="msmorph-gadolinium", description=ABOUT)
    add = parser.add_argument
    add("bids_dir", type=Path, help="dataset with ce-*_T1w images")
    add("derivatives", type=Path, help="what msmorph has left of it, with --tasks lesions")
    add("output_dir", type=Path, help="where the cohort, candidates.tsv and candidates.html go")
    add(
        "--lesions", type=Path, help="lesion masks on the FLAIR's grid, instead of the derivatives'"
    )
    add("--random-seed", type=int, default=1, help="of the registration")
    add("--confirm", action="store_true", help="only write the masks that candidates.tsv confirms")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. Returns 0, 1 when a session was left out, 2 for wrong usage."""
    options = build_parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")
    try:
        left = _confirm(options) if options.confirm else _candidates(options)
    except (UsageError, ValueError, OSError) as error:
        print(f"msmorph-gadolinium: {error}", file=sys.stderr)
        return USAGE_ERROR
    for name, reason in left.items():
        LOGGER.warning("LEFT OUT %s: %s", name, reason)
    return SOME_LEFT_OUT if left else 0


def _confirm(options) -> dict[str, str]:
    from bids_app.gadolinium.review import confirm

    written, left = confirm(options.output_dir)
    LOGGER.info("%d session(s) confirmed, for msmorph-train enhancement", len(written))
    return left


def _candidates(options) -> dict[str, str]:
    from bids_app.gadolinium.review import PAGE, TABLE, candidate_rows, write_review
    from bids_app.gadolinium.session import NotUsableError, collect, find_enhanced, write_session
    from measures.image_checks import ImageError

    table = options.output_dir / TABLE
    if table.exists():
        raise UsageError(
            f"{table} is there already, perhaps with a reader's work; choose another folder, move"
            " it away, or give --confirm."
        )
    scans = find_enhanced(options.bids_dir)
    if not scans:
        raise UsageError(f"{options.bids_dir} has no *_ce-*_T1w.nii.gz in any sub-*/.../anat.")
    lesions = options.lesions or options.derivatives
    rows, left = [], {}
    for ce in scans:
        try:
            session = collect(ce, options.bids_dir, options.derivatives, lesions)
            found = write_session(session, options.output_dir, options.random_seed)
        except (NotUsableError, ImageError, RuntimeError) as error:
            left[ce.name] = str(error)
            continue
        LOGGER.info("%s: %d candidate(s)", session.prefix, len(found))
        rows += candidate_rows(session.prefix, found)
    if rows:
        write_review(options.output_dir, rows)
        LOGGER.info("Look at %s and fill in %s.", options.output_dir / PAGE, table)
    return left


if __name__ == "__main__":
    sys.exit(main())
