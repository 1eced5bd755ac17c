"""Lesion-wise measures of two masks: columns, size bins and values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from bids_app.errors import UsageError
from bids_app.evaluate import LESION_MEASURES

if TYPE_CHECKING:
    import numpy as np

    from measures.lesion_agreement import DetectionRates, DetectionRule

Bin = tuple[float, float]
#: Edges of the size bins in mm3 where none are given; the least lesion volume comes before them.
DEFAULT_EDGES = (10.0, 50.0, 250.0)


@dataclass(frozen=True)
class LesionSettings:
    """What is a detected lesion, and the size bins (low, below high) in mm3."""

    rule: DetectionRule
    bins: tuple[Bin, ...] = ()


def size_bins(edges_mm3: Iterable[float], min_mm3: float) -> tuple[Bin, ...]:
    """Return the bins from ``min_mm3`` over rising edges to infinity; raises UsageError."""
    bins = tuple(pairwise((min_mm3, *edges_mm3, float("inf"))))
    if not all(low < high for low, high in bins):
        raise UsageError(f"--size-bins must be finite and rise from above {min_mm3:g} mm3.")
    return bins


def add_bin_columns(measures: Sequence[str], bins: Sequence[Bin]) -> list[str]:
    """Return the columns of the measures, those of every bin after each lesion-wise measure."""
    columns = []
    for name in measures:
        columns.append(name)
        if name in LESION_MEASURES:
            columns += [name + _ending(size_bin) for size_bin in bins]
    return columns


def measure_lesions(
    pred: np.ndarray, ref: np.ndarray, voxel_mm3: float, settings: LesionSettings
) -> dict[str, float]:
    """Return all lesion-wise measures of two masks (X, Y, Z), in total and by size bin."""
    from measures.lesion_agreement import detect_lesions

    found = detect_lesions(pred, ref, voxel_mm3, settings.rule)
    values = _name_rates(found.rates(), "")
    for size_bin in settings.bins:
        values |= _name_rates(found.rates(*size_bin), _ending(size_bin))
    return values


def _name_rates(rates: DetectionRates, ending: str) -> dict[str, float]:
    values = (
        rates.f1, rates.sensitivity, rates.predictive_value, rates.pred_count, rates.ref_count
    )  # fmt: skip
    return {name + ending: value for name, value in zip(LESION_MEASURES, values, strict=True)}


def _ending(size_bin: Bin) -> str:
    low, high = size_bin
    return f"_from{low:g}mm3" if high == float("inf") else f"_{low:g}to{high:g}mm3"
