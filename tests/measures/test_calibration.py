"""Reliability of probability maps with known answers."""

import numpy as np
import pytest

from measures.calibration import reliability


def test_a_calibrated_map_has_no_error():
    probability = np.repeat([0.25, 0.75], 400)
    truth = np.concatenate([np.arange(400) % 4 == 0, np.arange(400) % 4 > 0])
    found = reliability(probability, truth, bins=4)
    assert found.expected_error == pytest.approx(0)
    assert found.count.tolist() == [0, 400, 0, 400]
    assert np.isnan(found.observed[[0, 2]]).all()
    assert found.observed[[1, 3]] == pytest.approx([0.25, 0.75])


def test_overconfidence_is_the_distance_to_what_is_true():
    found = reliability(np.full(100, 0.9), np.arange(100) < 60)
    assert found.expected_error == pytest.approx(0.3)


def test_voxels_that_nobody_takes_for_a_lesion_do_not_count():
    probability = np.array([0.0] * 1000 + [0.8] * 10)
    found = reliability(probability, np.zeros(1010))
    assert found.count.sum() == 10
    assert found.expected_error == pytest.approx(0.8)


def test_no_voxel_above_the_least_gives_no_error():
    assert reliability(np.zeros(5), np.zeros(5)).expected_error == 0


@pytest.mark.parametrize(
    ("probability", "truth"), [(np.zeros(3), np.zeros(4)), (np.array([1.2]), np.array([1]))]
)
def test_what_is_no_probability_is_refused(probability, truth):
    with pytest.raises(ValueError):
        reliability(probability, truth)
