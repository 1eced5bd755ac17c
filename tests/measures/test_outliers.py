"""Outliers are found, and are not found where the rule says nothing."""

import numpy as np
import pytest

from measures.outliers import LEAST, LIMIT, robust_z, robust_z_within


def test_scores_are_those_of_a_normal_distribution():
    values = np.random.default_rng(1).normal(14, 2, 20001)
    scores = robust_z(values)
    assert scores.std() == pytest.approx(1, abs=0.02)
    assert np.corrcoef(scores, values)[0, 1] == pytest.approx(1)
    assert np.mean(np.abs(scores) > LIMIT) < 0.002


def test_a_third_of_wrong_values_does_not_hide_them():
    values = np.concatenate([np.random.default_rng(2).normal(14, 1, 20), np.full(9, 60.0)])
    odd = np.abs(robust_z(values)) > LIMIT
    assert odd[20:].all()
    assert not odd[:20].any()


def test_missing_values_stay_missing_and_do_not_count():
    values = np.append(np.arange(LEAST, dtype=float), np.nan)
    scores = robust_z(values)
    assert np.isnan(scores[-1])
    assert np.isfinite(scores[:-1]).all()
    assert np.allclose(scores[:-1], robust_z(values[:-1]))


@pytest.mark.parametrize("values", [[], [1.0] * 3 + [99.0], [0.1] * 11 + [5.0] * 4])
def test_few_or_equal_values_have_no_outlier(values):
    assert np.isnan(robust_z(np.array(values))).all()


def test_each_group_has_its_own_scale():
    values = np.concatenate([np.linspace(9.8, 10.2, 30), np.linspace(13.8, 14.2, 30)])
    values[0] = 14.0
    groups = np.repeat(["HC", "MS"], 30)
    assert np.flatnonzero(np.abs(robust_z_within(values, groups)) > LIMIT).tolist() == [0]
