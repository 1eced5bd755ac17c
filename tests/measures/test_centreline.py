"""Centrelines found in heat maps of known course, however noisy, cut or bridged."""

import numpy as np
import pytest

from measures.centreline import (
    arc_length_mm,
    localisation_rate,
    mean_square_error_mm2,
    reference_centreline,
    smooth_centreline,
    tangents,
    trace_centreline,
)

VOXEL_MM = np.array([0.7, 0.7, 3.0])


def tube(centres, shape, voxel_mm, radius_mm=5.0) -> np.ndarray:
    """Mask (X, Y, Z) of discs round centres (Z, 2) in voxels; none where a centre is NaN."""
    x, y = np.meshgrid(np.arange(shape[0]), np.arange(shape[1]), indexing="ij")
    across = (x[..., None] - centres[:, 0]) * voxel_mm[0]
    front = (y[..., None] - centres[:, 1]) * voxel_mm[1]
    return np.hypot(across, front) < radius_mm


def wave(count, spacing_mm=1.0, middle=30.0) -> np.ndarray:
    """Centres (Z, 2) in voxels of 1 mm: a neck that bends over 150 mm by 8 mm."""
    phase = np.arange(count) * spacing_mm * 2 * np.pi / 150
    return np.column_stack([middle + 8 * np.sin(phase), middle + 8 * np.cos(phase)])


@pytest.mark.parametrize("tilt_deg", [0, 15, 30])
@pytest.mark.parametrize("towards_deg", [0, 90, 215])
def test_straight_cord_is_followed_within_a_tenth_of_a_millimetre(cords, tilt_deg, towards_deg):
    phantom = cords.draw(cords.straight(tilt_deg, towards_deg), 60.0)
    found = trace_centreline(phantom.soft, phantom.voxel_mm)
    assert found.shape == (8, 3)
    assert np.abs((found - phantom.centres) * phantom.voxel_mm).max() < 0.1
    angles = np.degrees(np.arccos(tangents(found, phantom.voxel_mm)[:, 2]))
    assert angles == pytest.approx(np.full(8, tilt_deg), abs=0.5)


@pytest.mark.parametrize("spacing_mm", [0.5, 1.0, 5.0])
def test_bent_cord_on_thin_and_thick_slices(spacing_mm):
    voxel_mm = np.array([1, 1, spacing_mm])
    centres = wave(int(100 / spacing_mm), spacing_mm)
    found = trace_centreline(tube(centres, (60, 60), voxel_mm).astype(float), voxel_mm)
    assert len(found) == len(centres)
    assert np.abs(found[:, :2] - centres).max() < 0.3


def test_steep_cord_on_thick_slices(cords):
    phantom = cords.draw(cords.straight(45, 90), 60.0, shape=(30, 60, 6), voxel_mm=(0.7, 0.7, 5.0))
    found = trace_centreline(phantom.soft, phantom.voxel_mm)
    assert np.abs((found - phantom.centres) * phantom.voxel_mm).max() < 0.3


def test_false_blobs_do_not_lead_astray():
    centres = wave(80)
    heat = tube(centres, (80, 60), np.ones(3)).astype(float)
    clean = trace_centreline(heat, np.ones(3))
    heat[50:, :, 25:65] = 1  # far larger than the cord, beside it
    heat[[3, 5, 9], [50, 55, 3], [10, 40, 70]] = 1  # specks
    heat[10:14, 50:54, 60] = 1
    assert trace_centreline(heat, np.ones(3)) == pytest.approx(clean, abs=1e-6)


def test_gaps_are_bridged_and_ends_are_left_out():
    centres = wave(80)
    heat = tube(centres, (60, 60), np.ones(3)).astype(float)
    heat[:, :, :10] = heat[:, :, 75:] = 0.2  # haze at the ends is not seen
    heat[:, :, 30:40] = 0
    heat[48:52, 28:32, 34:36] = 1  # no reason for a detour of 12 mm
    found = trace_centreline(heat, np.ones(3))
    assert found[:, 2] == pytest.approx(np.arange(10, 75))
    assert np.abs(found[:, :2] - centres[10:75]).max() < 0.5


def test_a_blob_beyond_the_longest_gap_is_not_cord():
    centres = wave(120)
    heat = tube(centres, (60, 60), np.ones(3)).astype(float)
    heat[:, :, 60:115] = 0
    assert trace_centreline(heat, np.ones(3))[:, 2] == pytest.approx(np.arange(60))
    # slices next to each other belong together, however far apart
    assert len(trace_centreline(heat[:, :, :5], np.array([1, 1, 50.0]))) == 5


@pytest.mark.parametrize("voxel_mm", [(0.8, 0.8, 0.8), (3.0, 0.8, 0.8)])
def test_sagittal_voxels(cords, voxel_mm):
    shape = (40, 60, 40) if voxel_mm[0] < 1 else (14, 60, 40)
    phantom = cords.draw(cords.straight(20, 90), 80.0, shape=shape, voxel_mm=voxel_mm)
    found = trace_centreline(phantom.soft, phantom.voxel_mm)
    assert np.abs((found - phantom.centres) * phantom.voxel_mm).max() < 0.4


def test_single_slice_and_few_slices(cords):
    phantom = cords.draw(cords.straight(20, 90))
    for count in (1, 2, 3, 4):
        found = trace_centreline(phantom.soft[:, :, :count], phantom.voxel_mm)
        assert np.abs((found - phantom.centres[:count]) * phantom.voxel_mm).max() < 0.1
    single = trace_centreline(phantom.soft[:, :, :1], phantom.voxel_mm)
    assert tangents(single, phantom.voxel_mm) == pytest.approx(np.array([[0, 0, 1]]))
    assert arc_length_mm(single, phantom.voxel_mm) == pytest.approx([0])


def test_no_cord_and_no_volume():
    found = trace_centreline(np.full((10, 10, 5), 0.4), np.ones(3))
    assert found.shape == (0, 3)
    assert arc_length_mm(found, np.ones(3)).shape == (0,)
    assert tangents(found, np.ones(3)).shape == (0, 3)
    assert reference_centreline(np.zeros((4, 4, 4), bool), np.ones(3)).shape == (0, 3)
    with pytest.raises(ValueError, match="three"):
        trace_centreline(np.zeros((10, 10)), np.ones(3))


def test_smoothing_keeps_bends_and_takes_jitter():
    z = np.arange(200)
    bend = np.column_stack([8 * np.sin(z * 2 * np.pi / 150), np.zeros(200), z])
    moved = np.abs(smooth_centreline(bend, np.ones(3)) - bend)
    assert moved[30:-30].max() < 0.05
    assert moved.max() < 0.3  # ends are straightened
    jitter = np.column_stack([np.sin(z * 2 * np.pi / 30), np.sin(z * 2 * np.pi / 8), z])
    inner = smooth_centreline(jitter, np.ones(3))[50:150]
    assert np.abs(inner[:, 0]).max() == pytest.approx(0.5, abs=0.02)  # half at 30 mm
    assert np.abs(inner[:, 1]).max() < 0.01


def test_length_and_direction_in_millimetres():
    points = np.array([[0, 0, 4], [0, 4, 5], [0, 8, 6.0]])
    voxel_mm = np.array([1, 0.75, 4])  # 3 mm forward and 4 mm up a slice
    assert arc_length_mm(points, voxel_mm) == pytest.approx([0, 5, 10])
    assert tangents(points, voxel_mm) == pytest.approx(np.tile([0, 0.6, 0.8], (3, 1)))


def test_agreement_with_a_manual_centreline():
    mask = tube(wave(40), (60, 60), np.ones(3))
    manual = reference_centreline(mask, np.ones(3))
    assert np.abs(manual[:, :2] - wave(40)).max() < 0.3
    found = manual[10:] + np.array([3, 4, 0])
    assert mean_square_error_mm2(found, manual, np.array([1, 0.5, 1])) == pytest.approx(13)
    assert np.isnan(mean_square_error_mm2(manual[:5], manual[6:], np.ones(3)))
    assert localisation_rate(manual, mask) == 1
    assert localisation_rate(manual[10:], mask) == pytest.approx(0.75)  # 10 slices are missed
    assert localisation_rate(manual + np.array([6, 0, 0]), mask) == 0
    assert localisation_rate(manual + np.array([100, 0, 0]), mask) == 0
    assert np.isnan(localisation_rate(manual, np.zeros_like(mask)))
