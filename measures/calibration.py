"""Calibration: how often is right what is said with a probability."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Reliability:
    """A reliability diagram: for every bin its mean probability, share of truth, and voxels.

    ``expected_error`` is the expected calibration error, the mean distance of the two over the
    voxels counted (Guo 2017, arXiv:1706.04599).
    """

    mean_probability: np.ndarray
    observed: np.ndarray
    count: np.ndarray
    expected_error: float


def reliability(
    probability: np.ndarray, truth: np.ndarray, bins: int = 10, least: float = 0.05
) -> Reliability:
    """Reliability of a probability map against a mask (X, Y, Z) in ``bins`` of equal width.

    Only voxels with a probability of at least ``least`` count: the countless voxels that nobody
    takes for the structure would make every map look calibrated. Empty bins are NaN. Raises
    ValueError for other shapes and for a map outside of 0 to 1.
    """
    probability, truth = np.asarray(probability, float), np.asarray(truth) > 0
    if probability.shape != truth.shape:
        raise ValueError(f"a map of {probability.shape} and a mask of {truth.shape}")
    if not (np.isfinite(probability).all() and 0 <= probability.min() <= probability.max() <= 1):
        raise ValueError("a probability lies between 0 and 1")
    counted = probability >= least
    values, right = probability[counted], truth[counted]
    index = np.minimum((values * bins).astype(int), bins - 1)
    count = np.bincount(index, minlength=bins)
    with np.errstate(invalid="ignore"):
        mean = np.bincount(index, values, bins) / count
        observed = np.bincount(index, right, bins) / count
    error = np.nansum(np.abs(mean - observed) * count) / max(count.sum(), 1)
    return Reliability(mean, observed, count, float(error))
