"""Agreement of paired volumes and variability of repeated ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

#: Standard deviations on either side of the bias that hold 95 % of normal differences.
AGREEMENT_SD = 1.96


@dataclass(frozen=True)
class BlandAltman:
    """Bias and 95 % limits of agreement, in the unit of the measurements; ``n`` pairs."""

    n: int
    bias: float
    sd: float
    lower: float
    upper: float


@dataclass(frozen=True)
class Repeatability:
    """Variability of repeats about their subject's mean.

    ``subjects`` with two repeats or more and their ``measurements`` took part. Everything but
    ``cov_percent`` is in the unit of the measurements, mL for volumes.
    """

    subjects: int
    measurements: int
    cov_percent: float
    within_subject_sd: float
    residual_sd: float
    residual_p50: float
    residual_p95: float


def bland_altman(measured: Sequence[float], reference: Sequence[float]) -> BlandAltman:
    """Bias (mean of measured minus reference) and limits of agreement, bias +- 1.96 SD.

    Bland and Altman 1986. The sequences are as long as each other; SD has divisor n - 1. A figure
    that too few pairs support is NaN: the bias of none, the limits of one.
    """
    difference = np.asarray(measured, float) - np.asarray(reference, float)
    bias = float(difference.mean()) if len(difference) else float("nan")
    sd = float(difference.std(ddof=1)) if len(difference) > 1 else float("nan")
    reach = AGREEMENT_SD * sd
    return BlandAltman(len(difference), bias, sd, bias - reach, bias + reach)


def pearson_correlation(first: Sequence[float], second: Sequence[float]) -> float:
    """Pearson's r of two sequences; NaN for fewer than three pairs or a constant sequence.

    Two points lie on a line whatever they are.
    """
    from scipy.stats import pearsonr

    pairs = np.asarray([first, second], float)
    if pairs.shape[1] < 3 or (np.ptp(pairs, axis=1) == 0).any():
        return float("nan")
    return float(pearsonr(*pairs).statistic)


def intraclass_correlation(ratings: np.ndarray) -> float:
    """ICC(2,1): absolute agreement of single measurements, two-way random effects.

    ``ratings`` is (subjects, raters). From the mean squares of the two-way analysis of variance
    (Shrout and Fleiss 1979). NaN for fewer than two subjects or raters, or ratings all equal.
    """
    ratings = np.asarray(ratings, float)
    subjects, raters = ratings.shape
    if subjects < 2 or raters < 2:
        return float("nan")
    row_effects = ratings.mean(axis=1, keepdims=True) - ratings.mean()
    column_effects = ratings.mean(axis=0, keepdims=True) - ratings.mean()
    residuals = ratings - ratings.mean() - row_effects - column_effects
    between_subjects = raters * (row_effects**2).sum() / (subjects - 1)
    between_raters = subjects * (column_effects**2).sum() / (raters - 1)
    error = (residuals**2).sum() / ((subjects - 1) * (raters - 1))
    total = between_subjects + (raters - 1) * error + raters * (between_raters - error) / subjects
    return float((between_subjects - error) / total) if total else float("nan")


def repeatability(repeats: Iterable[Sequence[float]]) -> Repeatability | None:
    """Pool the residuals of repeated measurements; one sequence of repeats a subject.

    Subjects may have different numbers of repeats; those with one are left out, and None is
    returned where nobody has two. Opfer 2022 ("Intra- and inter-scanner variability"): each
    measurement less the mean of its subject's (there: scanner's) repeats, all in one vector, whose
    SD and whose absolute values' 50th and 95th percentiles are given (``residual_*``; the divisor
    of that SD is not stated, n - 1 is taken). Residuals about a mean of few repeats are too small,
    so ``within_subject_sd`` divides by the degrees of freedom instead, measurements less
    subjects, and ``cov_percent`` (Opfer gives none) is that SD in percent of the mean measurement:
    for two visits of one subject |a - b| / sqrt(2) over their mean.
    """
    groups = [np.asarray(group, float) for group in repeats]
    groups = [group for group in groups if len(group) > 1]
    if not groups:
        return None
    residuals = np.concatenate([group - group.mean() for group in groups])
    within = np.sqrt((residuals**2).sum() / (len(residuals) - len(groups)))
    mean = np.concatenate(groups).mean()
    p50, p95 = np.percentile(np.abs(residuals), [50, 95])
    return Repeatability(
        subjects=len(groups),
        measurements=len(residuals),
        cov_percent=float(100 * within / mean) if mean else float("nan"),
        within_subject_sd=float(within),
        residual_sd=float(residuals.std(ddof=1)),
        residual_p50=float(p50),
        residual_p95=float(p95),
    )
