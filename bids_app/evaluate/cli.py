"""The command ``msmorph-evaluate``: pair, compare, and write what was found."""

from __future__ import annotations

import argparse
import logging
import math
import numbers
from collections.abc import Sequence
from typing import Any

from bids_app import tables
from bids_app.console import run_command
from bids_app.errors import UsageError
from bids_app.evaluate import KEY_COLUMNS, VOLUME_COLUMNS
from bids_app.evaluate.options import parse_options
from bids_app.evaluate.pairing import SUFFIXES, find_masks, pair_masks

LOGGER = logging.getLogger("msmorph.evaluate")
SOME_FAILED = 1
_FILES = ("pred_file", "ref_file")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code.

    0: all compared; 1: some pair could not be compared; 2: wrong usage, nothing to compare or
    results that cannot be written; 130: interrupted.
    """
    words = None if argv is None else list(argv)
    return run_command("msmorph-evaluate", lambda: run(parse_options(words)))


def run(options: argparse.Namespace) -> int:
    """Compare what the options name, write the results, and return the exit code."""
    compare = _compare_tables if options.kind == "table" else _compare_images
    rows, failed, alone_pred, alone_ref = compare(options)
    if not rows and not failed:
        raise UsageError(
            f"Nothing to compare: no partner for {alone_pred} of {options.pred} and "
            f"{alone_ref} of {options.ref}."
        )
    write_results(rows, options)
    LOGGER.info(
        "%d compared, %d not compared, without a partner: %d of PRED and %d of REF",
        len(rows), failed, alone_pred, alone_ref,
    )  # fmt: skip
    return SOME_FAILED if failed else 0


def _compare_images(options: argparse.Namespace) -> tuple[list[dict], int, int, int]:
    from bids_app.evaluate.compare import compare_masks, pair_labels

    labels = pair_labels(
        options.labels or options.pred_labels, options.labels or options.ref_labels, options.union
    )
    pairs, alone_pred, alone_ref = [(options.pred, options.ref)], [], []
    if options.kind == "folder":
        chosen = (options.suffix or SUFFIXES, options.seg)
        found = pair_masks(
            find_masks(options.pred, options.pred_pattern, *chosen),
            find_masks(options.ref, options.ref_pattern, *chosen),
        )
        pairs, alone_pred, alone_ref = found.pairs, found.unpaired_pred, found.unpaired_ref
    for path in (*alone_pred, *alone_ref):
        LOGGER.warning("no partner: %s", path)
    rows, failed = compare_masks(
        pairs, labels, options.measure, options.threshold, options.window_mm, options.lesions
    )
    return rows, failed, len(alone_pred), len(alone_ref)


def _compare_tables(options: argparse.Namespace) -> tuple[list[dict], int, int, int]:
    from bids_app.evaluate.tables import compare_tables

    for name in dict.fromkeys(name for pair in options.columns for name in pair):
        if not name.endswith("_ml"):
            LOGGER.warning("column %s does not end in _ml; its values are taken as mL", name)
    carried = [options.repeats] if options.repeats not in KEY_COLUMNS else []
    return compare_tables(
        options.pred, options.ref, options.columns, options.measure, carried=carried
    )


def write_results(rows: list[dict[str, Any]], options: argparse.Namespace) -> None:
    """Write the table, and the summary and the plot where they are asked for."""
    columns = [*KEY_COLUMNS, *VOLUME_COLUMNS, *options.measure, *_FILES]
    lines = [{name: spell(row.get(name)) for name in columns} for row in rows]
    if options.output:
        tables.write_tsv(options.output, columns, lines)
    else:
        print("\t".join(columns))
        for line in lines:
            print("\t".join(line[name] for name in columns))
    if options.summary:
        from bids_app.evaluate import summary

        lines = summary.summarise(rows, options.measure, options.repeats)
        spelled = [{name: spell(value) for name, value in line.items()} for line in lines]
        tables.write_tsv(options.summary, summary.COLUMNS, spelled)
    if options.bland_altman:
        from bids_app.evaluate.plot import plot_bland_altman

        plot_bland_altman(rows, options.bland_altman)


def spell(value: Any) -> str:
    """Spell a value for a table: six decimals, since false positive rates are small, or n/a."""
    if isinstance(value, numbers.Real) and not isinstance(value, numbers.Integral):
        return f"{value:.6f}" if math.isfinite(value) else tables.MISSING
    return tables.format_value(value)


if __name__ == "__main__":
    raise SystemExit(main())
