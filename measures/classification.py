"""How well scores tell two classes apart: ROC, area under it, and operating points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


def auc(scores, labels) -> float:
    """Area under the ROC curve of scores (N,) for labels (N, bool); NaN with one class only.

    The chance that a positive scores higher than a negative, ties counting half (Mann-Whitney).
    """
    from scipy.stats import rankdata

    labels = np.asarray(labels, bool)
    positive, negative = labels.sum(), (~labels).sum()
    if not positive or not negative:
        return float("nan")
    ranks = rankdata(scores)[labels].sum()
    return float((ranks - positive * (positive + 1) / 2) / (positive * negative))


def roc_curve(scores, labels) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """False-positive rate, true-positive rate and threshold at every step of the ROC curve.

    Positive is a score of at least the threshold; the first is infinite (nobody is positive).
    Raises ValueError with one class only.
    """
    scores, labels = np.asarray(scores, float), np.asarray(labels, bool)
    if labels.all() or not labels.any():
        raise ValueError("a ROC curve needs positive and negative cases")
    order = np.argsort(-scores, kind="stable")
    scores, labels = scores[order], labels[order]
    last = np.append(np.diff(scores) != 0, True)  # of cases with the same score
    hits, alarms = np.cumsum(labels)[last], np.cumsum(~labels)[last]
    return (
        np.append(0, alarms / alarms[-1]),
        np.append(0, hits / hits[-1]),
        np.append(np.inf, scores[last]),
    )


def youden_threshold(scores, labels) -> float:
    """Threshold with the highest sensitivity + specificity - 1; the highest of equal ones.

    It lies half-way to the next lower score, so that new cases may fall on either side.
    """
    false, true, thresholds = roc_curve(scores, labels)
    best = int(np.argmax(true - false))
    if best == 0:
        return float(np.nextafter(thresholds[1], np.inf))
    lower = thresholds[best + 1] if best + 1 < len(thresholds) else thresholds[best]
    return float((thresholds[best] + lower) / 2)


@dataclass(frozen=True)
class Counts:
    """Cases at an operating point."""

    true_positive: int
    positive: int
    true_negative: int
    negative: int

    @property
    def sensitivity(self) -> float:
        """Share of the positives found; NaN without any."""
        return _share(self.true_positive, self.positive)

    @property
    def specificity(self) -> float:
        """Share of the negatives left alone; NaN without any."""
        return _share(self.true_negative, self.negative)

    @property
    def accuracy(self) -> float:
        """Share of all cases classed right."""
        return _share(self.true_positive + self.true_negative, self.positive + self.negative)

    @property
    def positive_predictive_value(self) -> float:
        """Share of positives among those called positive; NaN where none is."""
        return _share(self.true_positive, self.true_positive + self.negative - self.true_negative)

    @property
    def negative_predictive_value(self) -> float:
        """Share of negatives among those called negative; NaN where none is."""
        return _share(self.true_negative, self.true_negative + self.positive - self.true_positive)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")


def counts(scores, labels, threshold: float) -> Counts:
    """Cases right and wrong where a score of at least ``threshold`` is called positive."""
    labels, called = np.asarray(labels, bool), np.asarray(scores) >= threshold
    return Counts(
        int((called & labels).sum()), int(labels.sum()),
        int((~called & ~labels).sum()), int((~labels).sum()),
    )  # fmt: skip
