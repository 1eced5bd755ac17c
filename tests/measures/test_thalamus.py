"""Volumes and hemispheres of the thalamus on shapes with known answers."""

import numpy as np
import pytest

from measures import thalamus


def two_ellipsoids(affine, shape=(80, 80, 40), right_scale=1.0):
    """Two ellipsoids at +-11 mm of the origin; returns a mask (X, Y, Z)."""
    index = np.indices(shape).reshape(3, -1)
    points = (affine[:3, :3] @ index + affine[:3, 3:]).T
    mask = np.zeros(len(points), bool)
    for centre, scale in ((-11, 1.0), (11, right_scale)):
        radii = np.array([8, 15, 9]) * scale
        mask |= (((points - [centre, 0, 0]) / radii) ** 2).sum(1) < 1
    return mask.reshape(shape)


def centred(voxel_mm, shape, turn=((1, 0, 0), (0, 1, 0), (0, 0, 1))):
    """Affine of a grid whose middle is the origin."""
    affine = np.eye(4)
    affine[:3, :3] = np.asarray(turn) @ np.diag(voxel_mm)
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return affine


@pytest.mark.parametrize("flip", [1, -1], ids=["RAS", "LAS"])
def test_sides_follow_world_space_not_voxel_order(flip):
    affine = centred((flip, 1, 1), (80, 80, 40))
    mask = two_ellipsoids(affine, right_scale=0.8)
    labels, side = thalamus.split_hemispheres(mask.astype(np.float32), affine)
    volumes = thalamus.thalamus_volumes(mask.astype(np.float32), labels, side, 1.0)
    left = 4 / 3 * np.pi * 8 * 15 * 9 / 1000
    assert volumes["thalamus_flair_left_ml"] == pytest.approx(left, rel=0.02)
    assert volumes["thalamus_flair_right_ml"] == pytest.approx(left * 0.8**3, rel=0.02)
    expected = (1 - 0.8**3) / (1 + 0.8**3)
    assert volumes["thalamus_flair_asymmetry"] == pytest.approx(expected, abs=0.01)


def test_midplane_follows_a_turned_head():
    angle = np.radians(20)
    turn = np.array(
        [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
    )
    shape = (80, 80, 40)
    mask = two_ellipsoids(centred((1, 1, 1), shape))
    labels, _ = thalamus.split_hemispheres(mask.astype(float), centred((1, 1, 1), shape, turn))
    left, right = (labels == 1).sum(), (labels == 2).sum()
    assert abs(left - right) / (left + right) < 0.005


def test_soft_volume_counts_partial_voxels():
    affine = np.eye(4)
    probability = np.zeros((10, 4, 4), np.float32)
    probability[2], probability[7] = 0.25, 0.75
    labels, side = thalamus.split_hemispheres(probability, affine)
    volumes = thalamus.thalamus_volumes(probability, labels, side, 1000.0)
    assert volumes["thalamus_flair_left_soft_ml"] == pytest.approx(4.0)
    assert volumes["thalamus_flair_right_soft_ml"] == pytest.approx(12.0)
    assert volumes["thalamus_flair_left_ml"] == 0
    assert volumes["thalamus_flair_right_ml"] == 16


def test_one_sided_map_is_refused():
    probability = np.zeros((10, 4, 4), np.float32)
    probability[2, 2, 2] = 1
    with pytest.raises(ValueError, match="hemisphere"):
        thalamus.split_hemispheres(probability, np.eye(4))


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({}, "ok"),
        ({"volume_ml": 2.0}, "outside"),
        ({"volume_ml": 26.0}, "outside"),
        ({"volume_ml": float("nan")}, "outside"),
        ({"asymmetry": -0.4}, "side"),
        ({"asymmetry": float("nan")}, "side"),
        ({"slice_thickness_mm": 8.0}, "thicker"),
        ({"centre_shift_mm": 30.0}, "disagree"),
        ({"clipped": True}, "cut"),
    ],
)
def test_implausible_results_are_named(changes, word):
    good = {"volume_ml": 13.0, "asymmetry": 0.02, "slice_thickness_mm": 3.0, "clipped": False}
    assert word in thalamus.implausibility(**good | changes)


def test_columns_carry_the_contrast_and_nothing_has_no_asymmetry():
    found = thalamus.columns("t1w", (6.0, 4.0), (5.0, 3.0))
    assert found["thalamus_t1w_ml"] == 10
    assert found["thalamus_t1w_soft_ml"] == 8
    assert found["thalamus_t1w_asymmetry"] == pytest.approx(0.25)
    assert thalamus.columns("t1w", (0.0, 0.0), (0.0, 0.0))["thalamus_t1w_asymmetry"] == 0
