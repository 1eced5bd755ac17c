"""How well two images of one head (or a head and a template) lie on each other.  Pure functions."""

from __future__ import annotations

import numpy as np

# For gross errors only.  13 pairs of 3 OpenMS patients that lie within 0.5 mm of the provider's
# transforms: overlap at least 0.96, correlation at least 0.35 (T2w to FLAIR; FLAIR to T1w 0.78).
# Nine of them moved 12 mm away: at most 0.89 and 0.13.  Moved by 6 mm or 10 degrees they still
# reach 0.95 and 0.41, so that an error of this size is NOT caught.
MIN_DICE = 0.90  # brain masks of one head after rigid registration, in the common field of view
MIN_CORRELATION = 0.25  # correlation ratio inside the brain
# Seven images fitted to the template reach at least 0.95; three of them moved 15 mm or turned by 30
# or 180 degrees at most 0.89; 8 mm or 15 degrees (0.92) are NOT caught.
MIN_TEMPLATE_DICE = 0.90  # brain mask against the template's after affine registration


def correlation_ratio(reference, other, mask, bins: int = 64) -> float:
    """Correlation ratio eta (0 to 1) of `other` given `reference` inside a mask.

    eta^2 is the share of `other`'s variance explained by its mean in each of `bins` intensity
    classes (equal counts) of `reference`, so that the contrasts may differ (Roche et al. 1998).
    Returns nan for fewer than 1000 voxels, 0 for a constant image.
    """
    x, y = np.asarray(reference)[mask].ravel(), np.asarray(other)[mask].ravel().astype(float)
    if x.size < 1000:
        return float("nan")
    low, high = np.percentile(y, (1, 99))
    y = np.clip(y, low, high)
    total = y.var()
    if total == 0:
        return 0.0
    edges = np.unique(np.percentile(x, np.linspace(0, 100, bins + 1)[1:-1]))
    label = np.searchsorted(edges, x, side="right")
    count = np.bincount(label)
    means = np.bincount(label, weights=y) / np.maximum(count, 1)
    between = (count * (means - y.mean()) ** 2).sum() / y.size
    return float(np.sqrt(min(1.0, max(0.0, between / total))))


def dice(a, b, where=None) -> float:
    """Dice overlap of two boolean arrays, optionally only where a third is True; nan if empty."""
    a, b = np.asarray(a, bool), np.asarray(b, bool)
    if where is not None:
        a, b = a & where, b & where
    total = int(a.sum()) + int(b.sum())
    return 2.0 * int((a & b).sum()) / total if total else float("nan")


def coregistration_flag(correlation: float, overlap: float) -> str:
    """'ok', or why the registration of two contrasts of one head is not to be believed."""
    if not overlap >= MIN_DICE:
        return f"brain masks overlap only by Dice {overlap:.2f} after registration"
    if not correlation >= MIN_CORRELATION:
        return f"images correlate only by {correlation:.2f} inside the brain after registration"
    return "ok"


def template_flag(overlap: float) -> str:
    """'ok', or why the registration to the template is not to be believed."""
    if not overlap >= MIN_TEMPLATE_DICE:
        return f"brain mask overlaps the template only by Dice {overlap:.2f} after registration"
    return "ok"
