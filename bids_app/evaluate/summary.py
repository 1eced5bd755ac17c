"""The summary of a table: mean and SD of every measure, and the agreement of the volumes."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from bids_app.evaluate import KEY_COLUMNS, STRUCTURE_COLUMNS, VOLUME_COLUMNS
from measures.repeatability import (
    bland_altman,
    intraclass_correlation,
    pearson_correlation,
    repeatability,
)

COLUMNS = (*STRUCTURE_COLUMNS, "measure", "statistic", "n", "value")

Row = dict[str, Any]


def group_structures(rows: Iterable[Row]) -> dict[tuple, list[Row]]:
    """Return the rows of each structure (space, mask and labels), in the order of the table."""
    groups = defaultdict(list)
    for row in rows:
        groups[tuple(row.get(name) for name in STRUCTURE_COLUMNS)].append(row)
    return dict(groups)


def volumes_of(rows: Sequence[Row]) -> np.ndarray:
    """Return the volumes (pairs, 2) of PRED and REF in mL where both are known."""
    pairs = [[row[name] for name in VOLUME_COLUMNS] for row in rows]
    pairs = np.array(pairs, float).reshape(-1, 2)
    return pairs[np.isfinite(pairs).all(axis=1)]


def summarise(rows: Sequence[Row], measures: Sequence[str], repeats: str) -> list[Row]:
    """Return the summary's rows: for every structure one a measure and statistic.

    ``repeats`` is the column whose values tell repeated measurements of one person apart.
    """
    lines = []
    for structure, members in group_structures(rows).items():
        named = dict(zip(STRUCTURE_COLUMNS, structure, strict=True))
        found = []
        for name in (*VOLUME_COLUMNS, *measures):
            found += _describe(name, [row[name] for row in members])
        found += _volume_agreement(volumes_of(members))
        found += _variability(group_repeats(members, repeats))
        lines += [named | dict(zip(COLUMNS[len(named) :], line, strict=True)) for line in found]
    return lines


def group_repeats(rows: Sequence[Row], column: str) -> list[list[float]]:
    """Return the volumes of PRED in mL, a list for each person with the values of ``column``.

    Rows that agree in all other key columns are one person's; with a ``column`` that is no key
    (such as the scanner), those of one participant. Volumes of one value of ``column`` are
    averaged first, as Opfer 2022 does before comparing scanners.
    """
    keys = [name for name in KEY_COLUMNS if name != column]
    if column not in KEY_COLUMNS:
        keys = ["participant_id", *STRUCTURE_COLUMNS]
    people = defaultdict(lambda: defaultdict(list))
    for row in rows:
        volume, repeat = row[VOLUME_COLUMNS[0]], row.get(column)
        if repeat not in (None, "n/a") and math.isfinite(volume):
            people[tuple(row.get(name) for name in keys)][repeat].append(volume)
    return [[float(np.mean(same)) for same in repeats.values()] for repeats in people.values()]


def _describe(name: str, values: Sequence[float]) -> list[tuple]:
    known = np.array([value for value in values if math.isfinite(value)], float)
    mean = known.mean() if len(known) else None
    sd = known.std(ddof=1) if len(known) > 1 else None
    return [(name, "mean", len(known), mean), (name, "sd", len(known), sd)]


def _volume_agreement(volumes: np.ndarray) -> list[tuple]:
    limits = bland_altman(volumes[:, 0], volumes[:, 1])
    values = {
        "pearson_r": pearson_correlation(volumes[:, 0], volumes[:, 1]),
        "icc_2_1": intraclass_correlation(volumes),
        "bland_altman_bias_ml": limits.bias,
        "bland_altman_sd_ml": limits.sd,
        "bland_altman_lower_ml": limits.lower,
        "bland_altman_upper_ml": limits.upper,
    }
    return [("volume_ml", name, limits.n, value) for name, value in values.items()]


def _variability(repeats: list[list[float]]) -> list[tuple]:
    found = repeatability(repeats)
    count = found.measurements if found else 0
    names = {
        "cov_percent": "cov_percent",
        "within_subject_sd_ml": "within_subject_sd",
        "residual_sd_ml": "residual_sd",
        "residual_p50_ml": "residual_p50",
        "residual_p95_ml": "residual_p95",
    }
    return [
        ("pred_volume_ml", f"repeats_{name}", count, getattr(found, field, None))
        for name, field in names.items()
    ]
