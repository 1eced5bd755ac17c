"""Agreement measures on cases with known answers."""

import numpy as np
import pytest

from measures import agreement


def test_dice_of_half_overlap():
    first, second = np.zeros(8, bool), np.zeros(8, bool)
    first[:4], second[2:6] = True, True
    assert agreement.dice(first, second) == 0.5
    assert agreement.true_positive_rate(first, second) == 0.5
    assert np.isnan(agreement.dice(np.zeros(3), np.zeros(3)))


def test_coefficient_of_variation_of_two_visits():
    # |10 - 12| / sqrt(2) over a mean of 11
    assert agreement.coefficient_of_variation_percent([[10.0, 12.0]]) == pytest.approx(
        100 * 2 / np.sqrt(2) / 11
    )
    assert agreement.coefficient_of_variation_percent([[5.0, 5.0], [9.0, 9.0]]) == 0


def test_surface_distance_of_shifted_cubes():
    first = np.zeros((20, 20, 20), bool)
    first[5:10, 5:10, 5:10] = True
    second = np.roll(first, 2, axis=0)
    distances = agreement.surface_distances_mm(first, second, (1.5, 1, 1))
    assert distances.max() == pytest.approx(3.0)
    assert 0 < distances.mean() < 3
    with pytest.raises(ValueError, match="empty"):
        agreement.surface_distances_mm(first, np.zeros_like(first), (1, 1, 1))
