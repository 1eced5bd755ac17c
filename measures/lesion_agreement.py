"""Agreement of two lesion masks, lesion by lesion: the detection metrics of MSSEG."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from measures.components import MIN_LESION_MM3, label_components


@dataclass(frozen=True)
class DetectionRule:
    """When a lesion is detected (McKinley 2021, last section, after Commowick 2018).

    A lesion of X is detected by Y where lesions of Y cover at least ``alpha_percent`` of it, and
    where each of those that cover most of it, in falling order of overlap until they make up
    ``gamma_percent`` of the overlap, lies at most ``beta_percent`` outside of it. Lesions have
    18-connectivity and ``min_mm3`` or more; smaller components count for nothing.

    "Outside" is outside of that one lesion, as the paper has it. With ``merging`` it is outside
    of all lesions of X, as the challenge's own program (Anima's SegPerfAnalyzer) counts: a lesion
    of Y may then cover several of X, and scores are higher where lesions run together.
    """

    alpha_percent: float = 10
    beta_percent: float = 70
    gamma_percent: float = 65
    min_mm3: float = MIN_LESION_MM3
    merging: bool = False


@dataclass(frozen=True)
class DetectionRates:
    """Detected lesions among ``ref_count`` and ``pred_count``; NaN where there are none to count.

    ``sensitivity`` is the share of the reference's lesions that the prediction detects,
    ``predictive_value`` the share of the prediction's that the reference detects.
    """

    ref_count: int
    pred_count: int
    sensitivity: float
    predictive_value: float

    @property
    def f1(self) -> float:
        """Harmonic mean of both rates.

        0 as soon as one rate is 0, also where the other is undefined because its mask is empty:
        the mean is 0 whatever the other were, and a method that finds nothing must not drop out
        of an average. NaN where both masks are empty.
        """
        rates = (self.sensitivity, self.predictive_value)
        return 0.0 if 0 in rates else 2 * rates[0] * rates[1] / (rates[0] + rates[1])


@dataclass(frozen=True)
class Detection:
    """Volumes in mm3 of the lesions of both masks, and which of them the other mask detects."""

    ref_mm3: np.ndarray
    ref_detected: np.ndarray
    pred_mm3: np.ndarray
    pred_detected: np.ndarray

    def rates(self, low_mm3: float = 0, high_mm3: float = np.inf) -> DetectionRates:
        """Rates among the lesions of ``low_mm3`` to below ``high_mm3``, each by its own volume.

        Their counterparts in the other mask may have any volume.
        """
        counts, shares = [], []
        sides = ((self.ref_mm3, self.ref_detected), (self.pred_mm3, self.pred_detected))
        for volumes, detected in sides:
            chosen = detected[(volumes >= low_mm3) & (volumes < high_mm3)]
            counts.append(len(chosen))
            shares.append(float(chosen.mean()) if len(chosen) else float("nan"))
        return DetectionRates(*counts, *shares)


def detect_lesions(
    pred: np.ndarray, ref: np.ndarray, voxel_mm3: float, rule: DetectionRule | None = None
) -> Detection:
    """Tell which lesions of two masks (X, Y, Z) of one grid the other mask detects.

    Without a ``rule`` that of the paper. Raises ValueError for masks of different shapes.
    """
    rule = rule or DetectionRule()
    if pred.shape != ref.shape:
        raise ValueError(f"masks of shapes {pred.shape} and {ref.shape}")
    ref, pred = (label_components(mask, voxel_mm3, rule.min_mm3) for mask in (ref, pred))
    sizes = [np.bincount(labels.ravel())[1:] for labels in (ref, pred)]
    # rounded, since voxel sizes come from single-precision headers and bins have sharp edges
    ref_mm3, pred_mm3 = (np.round(size * voxel_mm3, 3) for size in sizes)
    both = (ref > 0) & (pred > 0)
    pairs, overlap = np.unique(np.stack([ref[both], pred[both]]), axis=1, return_counts=True)
    ours, theirs = pairs - 1
    return Detection(
        ref_mm3, _detected(*sizes, ours, theirs, overlap, rule),
        pred_mm3, _detected(*sizes[::-1], theirs, ours, overlap, rule),
    )  # fmt: skip


def _detected(
    sizes: np.ndarray,
    other_sizes: np.ndarray,
    lesions: np.ndarray,
    others: np.ndarray,
    overlap: np.ndarray,
    rule: DetectionRule,
) -> np.ndarray:
    """Which lesions (N,) are detected.

    ``lesions``, ``others`` and ``overlap`` (P,) are the pairs that share voxels and how many.
    Counts of voxels against percents: whole numbers, so that a lesion at a limit is on its right
    side.
    """
    inside = overlap
    if rule.merging:
        inside = np.bincount(others, weights=overlap, minlength=len(other_sizes))[others]
    outside = 100 * (1 - inside / other_sizes[others])
    too_far = 100 * (other_sizes[others] - inside) > rule.beta_percent * other_sizes[others]
    detected = np.zeros(len(sizes), bool)
    for lesion in np.unique(lesions):
        mine = np.flatnonzero(lesions == lesion)
        # of two that cover the same, the one that lies less outside goes first
        mine = mine[np.lexsort((outside[mine], -overlap[mine]))]
        covered = np.cumsum(overlap[mine])
        needed = np.searchsorted(100 * covered, rule.gamma_percent * covered[-1]) + 1
        enough = 100 * covered[-1] >= rule.alpha_percent * sizes[lesion]
        detected[lesion] = enough and not too_far[mine[:needed]].any()
    return detected
