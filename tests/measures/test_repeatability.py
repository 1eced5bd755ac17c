"""Agreement and repeatability of volumes against published and hand-made figures."""

import numpy as np
import pytest

from measures import repeatability

#: Shrout and Fleiss 1979, table 2: six targets, four judges.
SHROUT_FLEISS = [
    [9, 2, 5, 8],
    [6, 1, 3, 2],
    [8, 4, 6, 8],
    [7, 1, 2, 6],
    [10, 5, 6, 9],
    [6, 2, 4, 7],
]


def test_intraclass_correlation_of_shrout_and_fleiss():
    # 0.29 in their table 4; more digits from pingouin 0.7.0
    assert repeatability.intraclass_correlation(SHROUT_FLEISS) == pytest.approx(0.289764, abs=1e-6)


def test_intraclass_correlation_of_two_methods():
    pairs = [[14.2, 13.9], [12.1, 12.5], [15.8, 15.1], [11.0, 11.4], [13.3, 13.2]]
    # pingouin 0.7.0, ICC(A,1)
    assert repeatability.intraclass_correlation(pairs) == pytest.approx(0.966064, abs=1e-6)


def test_intraclass_correlation_punishes_a_bias_that_pearson_does_not():
    first = np.array([10.0, 11, 12, 13])
    ratings = np.stack([first, first + 3], axis=1)
    assert repeatability.pearson_correlation(*ratings.T) == pytest.approx(1)
    assert repeatability.intraclass_correlation(ratings) < 0.5


def test_correlations_that_data_do_not_support_are_missing():
    assert np.isnan(repeatability.pearson_correlation([1, 2], [3, 5]))
    assert np.isnan(repeatability.pearson_correlation([1, 2, 3], [4, 4, 4]))
    assert np.isnan(repeatability.intraclass_correlation([[1, 2]]))
    assert np.isnan(repeatability.intraclass_correlation([[2, 2], [2, 2]]))


def test_bland_altman_by_hand():
    # differences 1, 2, 3: mean 2, SD 1
    limits = repeatability.bland_altman([11, 12, 13], [10, 10, 10])
    assert (limits.n, limits.bias, limits.sd) == (3, 2, 1)
    assert (limits.lower, limits.upper) == pytest.approx((0.04, 3.96))
    one = repeatability.bland_altman([11], [10])
    assert one.bias == 1 and np.isnan(one.upper)
    assert np.isnan(repeatability.bland_altman([], []).bias)


def test_repeatability_of_two_visits():
    found = repeatability.repeatability([[10.0, 12.0], [7.0]])
    assert (found.subjects, found.measurements) == (1, 2)
    assert found.within_subject_sd == pytest.approx(2 / np.sqrt(2))
    assert found.cov_percent == pytest.approx(100 * 2 / np.sqrt(2) / 11)
    assert found.residual_p50 == found.residual_p95 == 1
    assert repeatability.repeatability([[10.0], [12.0]]) is None


def test_residuals_of_unlike_groups_are_pooled():
    # residuals -1, 0, 1 and -2, 2: squares sum to 10, five values, three degrees of freedom
    found = repeatability.repeatability([[9.0, 10.0, 11.0], [18.0, 22.0]])
    assert found.residual_sd == pytest.approx(np.sqrt(10 / 4))
    assert found.within_subject_sd == pytest.approx(np.sqrt(10 / 3))
    assert found.cov_percent == pytest.approx(100 * np.sqrt(10 / 3) / 14)
    assert found.residual_p50 == 1
    assert found.residual_p95 == pytest.approx(2)


def test_coefficient_of_variation_of_two_visits():
    # |10 - 12| / sqrt(2) over a mean of 11
    assert repeatability.repeatability([[10.0, 12.0]]).cov_percent == pytest.approx(
        100 * 2 / np.sqrt(2) / 11
    )
    assert repeatability.repeatability([[5.0, 5.0], [9.0, 9.0]]).cov_percent == 0


def test_coefficient_of_variation_of_three_visits():
    # squared residuals of 2 and 14 with four degrees of freedom, over a mean of 16
    found = repeatability.repeatability([[10.0, 12.0, 11.0], [20.0, 19.0, 24.0]])
    assert found.cov_percent == pytest.approx(100 * 2 / 16)
