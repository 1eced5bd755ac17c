"""Values of a cohort that lie far from the others, by a rule that the outliers do not bend."""

from __future__ import annotations

import numpy as np

LIMIT = 3.5
LEAST = 10
_CONSISTENCY = 0.6745  # of the median absolute deviation, with the SD of a normal distribution


def robust_z(values: np.ndarray) -> np.ndarray:
    """Return the modified z score 0.6745 (x - median) / MAD of every value.

    ``values`` (N,) may hold NaN, which stays NaN. MAD is the median of the absolute deviations
    from the median. All are NaN where the rule cannot be trusted: with fewer than ``LEAST``
    values, or where more than half of them are equal (MAD 0). A score above ``LIMIT`` in size
    names an outlier (Iglewicz and Hoaglin 1993).
    """
    values = np.asarray(values, dtype=float)
    found = values[np.isfinite(values)]
    scores = np.full(values.shape, np.nan)
    if found.size < LEAST:
        return scores
    median = np.median(found)
    deviation = np.median(np.abs(found - median))
    if deviation <= np.finfo(float).eps * max(1.0, abs(median)):
        return scores
    return _CONSISTENCY * (values - median) / deviation


def robust_z_within(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return :func:`robust_z` (N,) of every value within its group; ``groups`` (N,) are labels."""
    values, groups = np.asarray(values, dtype=float), np.asarray(groups)
    scores = np.full(values.shape, np.nan)
    for group in np.unique(groups):
        own = groups == group
        scores[own] = robust_z(values[own])
    return scores
