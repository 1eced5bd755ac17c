"""Two tables of volumes, joined by participant and session."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bids_app.errors import UsageError
from bids_app.tables import MISSING, TableError, read_tsv
from measures.agreement import volume_difference_percent

LOGGER = logging.getLogger("msmorph.evaluate")
JOIN = ("participant_id", "session_id")

Row = dict[str, Any]
Key = tuple[str, ...]


def read_volumes(path: Path, columns: Sequence[str]) -> dict[Key, dict[str, str]]:
    """Return the rows of a TSV by participant and session, their prefixes removed.

    Raises UsageError for a table that cannot be read, lacks participant_id or one of the columns,
    or has two rows of one session.
    """
    try:
        names, rows = read_tsv(path)
    except TableError as error:
        raise UsageError(str(error)) from error
    lacking = [name for name in (JOIN[0], *columns) if name not in names]
    if lacking:
        raise UsageError(f"{path} has no column {', '.join(lacking)}; it has {', '.join(names)}.")
    found = {}
    for row in rows:
        key = tuple(_bare(row.get(name, MISSING)) for name in JOIN)
        if key in found:
            raise UsageError(f"{path} has two rows of {_spell(key)}; which one is meant?")
        found[key] = row
    return found


def compare_tables(
    pred_path: Path,
    ref_path: Path,
    columns: Sequence[tuple[str, str]],
    measures: Sequence[str],
    carried: Sequence[str] = (),
) -> tuple[list[Row], int, int, int]:
    """Return a row for each session and pair of columns, and what is missing from it.

    ``columns`` are (column of PRED, column of REF), volumes in mL; ``carried`` are columns of PRED
    that the rows keep. The counts are of values that are no numbers, of sessions of PRED alone
    and of sessions of REF alone; each is logged. A value of n/a gives measures of NaN.
    """
    preds = read_volumes(pred_path, [*(pred for pred, _ in columns), *carried])
    refs = read_volumes(ref_path, [ref for _, ref in columns])
    for path, others, ours in ((pred_path, refs, preds), (ref_path, preds, refs)):
        for key in sorted(ours.keys() - others.keys()):
            LOGGER.warning("no partner: %s of %s", _spell(key), path)
    rows, failed = [], 0
    for key in sorted(preds.keys() & refs.keys()):
        for pred, ref in columns:
            try:
                volumes = (_number(preds[key][pred]), _number(refs[key][ref]))
            except ValueError as error:
                LOGGER.error("not compared: %s, %s with %s: %s", _spell(key), pred, ref, error)
                failed += 1
                continue
            row = {name: preds[key][name] for name in carried}
            row |= {name: preds[key].get(name) for name in JOIN}
            row |= {"pred_labels": pred, "ref_labels": ref}
            row |= {"pred_file": str(pred_path), "ref_file": str(ref_path)}
            rows.append(row | _measure(*volumes, measures))
    return rows, failed, len(preds.keys() - refs.keys()), len(refs.keys() - preds.keys())


def _measure(pred_ml: float, ref_ml: float, measures: Sequence[str]) -> Row:
    values = {
        "volume_difference_ml": pred_ml - ref_ml,
        "volume_difference_percent": volume_difference_percent(pred_ml, ref_ml),
    }
    volumes = {"pred_volume_ml": pred_ml, "ref_volume_ml": ref_ml}
    return volumes | {name: values[name] for name in measures}


def _number(text: str) -> float:
    if text == MISSING:
        return math.nan
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"'{text}' is no number") from None


def _bare(identifier: str) -> str:
    return identifier.removeprefix("sub-").removeprefix("ses-")


def _spell(key: Key) -> str:
    return f"sub-{key[0]}" + (f" ses-{key[1]}" if key[1] != MISSING else "")
