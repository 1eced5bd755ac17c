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


def test_surface_distance_of_shifted_cubes():
    first = np.zeros((20, 20, 20), bool)
    first[5:10, 5:10, 5:10] = True
    second = np.roll(first, 2, axis=0)
    distances = agreement.surface_distances_mm(first, second, (1.5, 1, 1))
    assert distances.max() == pytest.approx(3.0)
    assert 0 < distances.mean() < 3
    with pytest.raises(ValueError, match="empty"):
        agreement.surface_distances_mm(first, np.zeros_like(first), (1, 1, 1))


def cube(*low: int, size: int = 5) -> np.ndarray:
    """A cube of ``size`` voxels in an image of 20."""
    mask = np.zeros((20, 20, 20), bool)
    mask[tuple(slice(a, a + size) for a in low)] = True
    return mask


def test_distances_of_shifted_cubes_with_anisotropic_voxels():
    voxel_mm = (1.5, 1, 4)
    first = cube(5, 5, 5)
    for axis, expected in enumerate((3.0, 2.0, 8.0)):
        second = np.roll(first, 2, axis=axis)
        assert agreement.hausdorff_distance_mm(first, second, voxel_mm) == pytest.approx(expected)
        ours = agreement.surface_distances_mm(first, second, voxel_mm).mean()
        assert agreement.mean_surface_distance_mm(first, second, voxel_mm) == pytest.approx(ours)


def test_single_voxels_are_as_far_as_their_centres():
    first, second = cube(2, 3, 4, size=1), cube(4, 3, 7, size=1)  # 2 x 1.5 mm and 3 x 4 mm apart
    expected = np.hypot(3, 12)
    for measure in (agreement.hausdorff_distance_mm, agreement.mean_surface_distance_mm):
        assert measure(first, second, (1.5, 1, 4)) == pytest.approx(expected)


def test_an_outlier_counts_once_and_not_in_the_percentile():
    first = cube(2, 2, 2)
    second = first.copy()
    second[18, 2, 2] = True  # 12 mm from x = 6
    assert agreement.hausdorff_distance_mm(first, second, (1, 1, 1)) == 12
    assert agreement.hausdorff_distance_mm(first, second, (1, 1, 1), 95) == 0
    # 98 border voxels of each cube and the outlier
    mean = agreement.mean_surface_distance_mm(first, second, (1, 1, 1))
    assert mean == pytest.approx(12 / 197)


def test_distances_to_an_empty_mask_are_missing():
    empty = np.zeros((20, 20, 20), bool)
    for pair in ((cube(2, 2, 2), empty), (empty, cube(2, 2, 2)), (empty, empty)):
        assert np.isnan(agreement.hausdorff_distance_mm(*pair, (1, 1, 1)))
        assert np.isnan(agreement.mean_surface_distance_mm(*pair, (1, 1, 1)))


def test_false_positive_rate_counts_what_is_outside():
    reference = np.array([1, 1, 0, 0, 0, 0], bool)
    measured = np.array([0, 1, 1, 0, 0, 0], bool)
    assert agreement.false_positive_rate(measured, reference) == 0.25
    assert np.isnan(agreement.false_positive_rate(measured, np.ones(6)))


def test_window_grows_by_whole_voxels_and_stops_at_the_edge():
    window = agreement.window_around(cube(1, 8, 15), 3, (1, 2, 4))
    bounds = [s.indices(20)[:2] for s in window]
    assert bounds == [(0, 9), (6, 15), (14, 20)]
    with pytest.raises(ValueError, match="empty"):
        agreement.window_around(np.zeros((3, 3)), 1, (1, 1))


def test_volume_difference_keeps_its_sign():
    assert agreement.volume_difference_percent(9.0, 12.0) == -25
    assert np.isnan(agreement.volume_difference_percent(1.0, 0.0))


def test_positive_predictive_value_is_of_what_was_measured():
    reference = np.array([1, 1, 1, 0, 0, 0], bool)
    measured = np.array([0, 1, 1, 1, 1, 0], bool)
    assert agreement.positive_predictive_value(measured, reference) == 0.5
    assert np.isnan(agreement.positive_predictive_value(np.zeros(6), reference))
