"""ROC, its area and operating points."""

import math

import numpy as np
import pytest

from measures.classification import Counts, auc, counts, roc_curve, youden_threshold

SCORES = [0.1, 0.4, 0.35, 0.8]
LABELS = [False, False, True, True]


def test_area_is_the_share_of_pairs_in_order():
    assert auc(SCORES, LABELS) == 0.75
    assert auc([1, 1, 1, 1], LABELS) == 0.5
    assert math.isnan(auc(SCORES, [True] * 4))


def test_area_agrees_with_the_curve():
    rng = np.random.default_rng(1)
    labels = rng.random(200) < 0.3
    scores = np.round(rng.random(200) + 0.3 * labels, 1)  # many ties
    false, true, _ = roc_curve(scores, labels)
    assert np.trapezoid(true, false) == pytest.approx(auc(scores, labels))
    assert (false[0], true[0], false[-1], true[-1]) == (0, 0, 1, 1)


def test_youden_finds_the_best_point_by_brute_force():
    rng = np.random.default_rng(2)
    labels = rng.random(60) < 0.4
    scores = rng.random(60) + 0.4 * labels

    def index(threshold):
        at = counts(scores, labels, threshold)
        return at.sensitivity + at.specificity - 1

    assert index(youden_threshold(scores, labels)) == max(index(s) for s in scores)


def test_the_threshold_lies_between_the_classes():
    assert youden_threshold([0.1, 0.2, 0.6, 0.9], LABELS) == pytest.approx(0.4)


def test_useless_scores_call_nobody_positive():
    threshold = youden_threshold([0.9, 0.8, 0.2, 0.1], LABELS)
    assert counts([0.9], [False], threshold).true_negative == 1


def test_one_class_has_no_curve():
    with pytest.raises(ValueError, match="positive and negative"):
        roc_curve([1, 2], [True, True])


def test_shares_of_the_counts():
    found = counts([0.9, 0.6, 0.4, 0.7, 0.1], [True, True, True, False, False], 0.5)
    assert found == Counts(2, 3, 1, 2)
    assert found.sensitivity == pytest.approx(2 / 3)
    assert found.specificity == 0.5
    assert found.accuracy == pytest.approx(3 / 5)
    assert found.positive_predictive_value == pytest.approx(2 / 3)
    assert found.negative_predictive_value == pytest.approx(1 / 2)
    assert math.isnan(Counts(0, 0, 1, 2).sensitivity)
