"""Rows of the table: every pair of masks with its measures."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from bids_app.errors import UsageError
from bids_app.evaluate.lesions import LesionSettings
from bids_app.evaluate.masks import ComparisonError, Labels, load_pair, measure_masks
from bids_app.evaluate.pairing import describe_mask, match_key

LOGGER = logging.getLogger("msmorph.evaluate")

Row = dict[str, Any]
LabelPair = tuple[Labels, Labels]


def pair_labels(
    pred: Sequence[int] | None, ref: Sequence[int] | None, union: bool
) -> list[LabelPair]:
    """Return which labels of the prediction are compared with which of the reference.

    The first with the first and so on, or all with all where ``union``. None stands for any label
    but 0. Raises UsageError where one side has several labels without a partner.
    """
    if union:
        return [(tuple(pred) if pred else None, tuple(ref) if ref else None)]
    if pred is None and ref is None:
        return [(None, None)]
    if pred is None or ref is None:
        given = pred or ref
        if len(given) > 1:
            raise UsageError("Several labels on one side need --union, or labels on the other.")
        return [((given[0],), None)] if pred else [(None, (given[0],))]
    if len(pred) != len(ref):
        raise UsageError(
            f"{len(pred)} labels of PRED cannot be paired with {len(ref)} of REF; give as many "
            "on both sides, or --union."
        )
    return [((a,), (b,)) for a, b in zip(pred, ref, strict=True)]


def compare_masks(
    pairs: Iterable[tuple[Path, Path]],
    labels: Sequence[LabelPair],
    measures: Sequence[str],
    threshold: float,
    window_mm: float | None,
    lesions: LesionSettings,
) -> tuple[list[Row], int]:
    """Return a row for each pair of files and of labels, and how many pairs of files failed.

    A pair that cannot be compared is logged with the reason and has no row.
    """
    rows, failed = [], 0
    for pred, ref in pairs:
        try:
            rows += _compare_pair(pred, ref, labels, measures, threshold, window_mm, lesions)
        except ComparisonError as error:
            LOGGER.error("not compared: %s", error)
            failed += 1
    return rows, failed


def _compare_pair(pred, ref, labels, measures, threshold, window_mm, lesions) -> list[Row]:
    pair = load_pair(pred, ref)
    rows = []
    for pred_labels, ref_labels in labels:
        masks = (pair.pred.mask(pred_labels, threshold), pair.ref.mask(ref_labels, threshold))
        row = name_row(pred)
        row |= {"pred_labels": spell_labels(pred_labels), "ref_labels": spell_labels(ref_labels)}
        row |= {
            "pred_volume_ml": pair.volume_ml(masks[0]),
            "ref_volume_ml": pair.volume_ml(masks[1]),
        }
        row |= measure_masks(pair, *masks, measures, window_mm, lesions)
        rows.append(row | {"pred_file": str(pred), "ref_file": str(ref)})
    return rows


def name_row(pred: Path) -> Row:
    """Return the columns that a prediction's file name gives; None for what it lacks."""
    sub, ses, acq, run, space = match_key(pred.name)
    return {
        "participant_id": f"sub-{sub}" if sub else None,
        "session_id": f"ses-{ses}" if ses else None,
        "acq": acq or None,
        "run": run or None,
        "space": space or None,
        "mask": describe_mask(pred.name),
    }


def spell_labels(labels: Labels) -> str:
    """Return labels as the table has them: ``10+49``, or ``all`` for any but 0."""
    return "all" if labels is None else "+".join(map(str, labels))
