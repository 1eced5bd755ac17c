"""Area, shape, lesions and levels of cords with known answers."""

import numpy as np
import pytest

from measures.centreline import smooth_centreline, trace_centreline
from measures.cord import (
    cord_mask,
    diameters_mm,
    find_cord_lesions,
    levels_from_discs,
    measure_cord_lesions,
    measure_levels,
    measure_slices,
    summarise_cord,
)

VOXEL_MM = np.array([0.7, 0.7, 3.0])


def column(rows, name) -> np.ndarray:
    return np.array([row[name] for row in rows], float)


@pytest.fixture
def box():
    """A square upright cord of 10 x 8 pixels of 1 mm in 40 slices of 2 mm, and its centreline."""
    cord = np.zeros((30, 30, 40))
    cord[10:20, 11:19] = 1
    line = np.column_stack([np.full(40, 14.5), np.full(40, 14.5), np.arange(40.0)])
    return cord, line, np.array([1.0, 1.0, 2.0])


@pytest.mark.parametrize("towards_deg", [0, 90, 215])
@pytest.mark.parametrize("tilt_deg", [0, 10, 20, 30])
@pytest.mark.parametrize("area_mm2", [40, 60, 80, 110])
def test_area_of_tilted_cords_within_three_percent(cords, area_mm2, tilt_deg, towards_deg):
    phantom = cords.draw(cords.straight(tilt_deg, towards_deg), float(area_mm2))
    traced = trace_centreline(phantom.soft, phantom.voxel_mm)
    for line in (phantom.centres, traced):
        rows = measure_slices(phantom.soft, line, phantom.voxel_mm)
        assert [row["slice"] for row in rows] == list(range(8))
        assert column(rows, "area_mm2") == pytest.approx(np.full(8, area_mm2), rel=0.03)
        assert column(rows, "angle_deg") == pytest.approx(np.full(8, tilt_deg), abs=0.5)
        volume_mm3 = column(rows, "area_mm2") @ column(rows, "slice_length_mm")
        assert volume_mm3 == pytest.approx(phantom.soft.sum() * np.prod(VOXEL_MM))


@pytest.mark.parametrize("towards_deg", [0, 90, 180])
@pytest.mark.parametrize("tilt_deg", [0, 15, 30])
@pytest.mark.parametrize("ratio", [1.05, 1.4, 2.0, 0.8])
def test_diameters_of_tilted_ellipses(cords, ratio, tilt_deg, towards_deg):
    phantom = cords.draw(cords.straight(tilt_deg, towards_deg), 80.0, ratio)
    rows = measure_slices(phantom.soft, phantom.centres, phantom.voxel_mm)
    assert column(rows, "ap_diameter_mm") == pytest.approx(phantom.ap_mm, rel=0.02)
    assert column(rows, "transverse_diameter_mm") == pytest.approx(phantom.transverse_mm, rel=0.02)
    if ratio != 1.05:
        short, long = sorted((ratio, 1))
        expected = np.sqrt(1 - (short / long) ** 2)
        assert column(rows, "eccentricity") == pytest.approx(expected, abs=0.03)


def test_area_of_a_bent_cord(cords):
    def bend(z):  # a wave of 150 mm, tilted by up to 27 degrees
        return 3 * np.sin(z / 30), 12 * np.sin(z * 2 * np.pi / 150)

    phantom = cords.draw(bend, 70.0, shape=(48, 64, 30))
    for line in (phantom.centres, trace_centreline(phantom.soft, phantom.voxel_mm)):
        rows = measure_slices(phantom.soft, line, phantom.voxel_mm)
        assert column(rows, "angle_deg").max() > 25
        assert column(rows, "area_mm2") == pytest.approx(70, rel=0.03)


@pytest.mark.parametrize("tilt_deg", [0, 30])
def test_area_on_sagittal_slices(cords, tilt_deg):
    bend, voxel_mm = cords.straight(tilt_deg, 60), (3.0, 0.8, 0.8)
    phantom = cords.draw(bend, 60.0, shape=(14, 48, 24), voxel_mm=voxel_mm)
    rows = measure_slices(phantom.soft, trace_centreline(phantom.soft, voxel_mm), voxel_mm)
    assert column(rows, "area_mm2") == pytest.approx(60, rel=0.03)
    # the cord is three pixels wide
    assert column(rows, "transverse_diameter_mm") == pytest.approx(phantom.transverse_mm, rel=0.03)


def test_noise_in_the_centreline_does_not_reach_the_area(cords):
    phantom = cords.draw(cords.straight(10, 90), 80.0, shape=(48, 64, 24))
    noise = np.random.default_rng(0).normal(0, 0.5, (24, 3)) / VOXEL_MM * [1, 1, 0]
    rows = measure_slices(phantom.soft, phantom.centres + noise, phantom.voxel_mm)
    assert column(rows, "area_mm2") == pytest.approx(80, rel=0.03)
    assert column(rows, "area_mm2").mean() == pytest.approx(80, rel=0.01)


def test_haze_and_other_components_do_not_add_up(box):
    cord, line, voxel_mm = box
    cord = np.where(cord > 0, cord, 0.01)
    cord[10:20, 20:28] = 0.9  # a pixel lies between it and the cord
    assert not cord_mask(cord, line, voxel_mm)[:, 19:].any()
    rows = measure_slices(cord, line, voxel_mm)
    # pixels within 2 mm of the square: 4 sides and the corners, less the row of the other
    rim = 2 * (10 + 8) * 2 + 4 * 1 - 10
    assert column(rows, "area_mm2") == pytest.approx(80 + rim * 0.01)


def test_single_slice_and_empty_input(box):
    cord, line, voxel_mm = box
    (row,) = measure_slices(cord[:, :, :1], line[:1], voxel_mm)
    assert row["area_mm2"] == 80 and row["angle_deg"] == row["distance_from_top_mm"] == 0
    assert row["slice_length_mm"] == 2 and row["level"] is row["lesion_area_mm2"] is None
    found = summarise_cord([row])
    assert (found["cord_csa_mean_mm2"], found["cord_length_mm"]) == (80, 2)
    empty = np.zeros((5, 5, 5))
    assert measure_slices(empty, np.zeros((0, 3)), voxel_mm) == []
    found = summarise_cord([], [])
    assert found.pop("qc_cord_c2c3_flag") == "no vertebral levels are known"
    assert set(found.values()) == {None}
    with pytest.raises(ValueError, match="levels"):
        measure_slices(cord, line, voxel_mm, levels=[1, 2])
    with pytest.raises(ValueError, match="grid"):
        measure_slices(cord, line, voxel_mm, lesions=empty)


def test_a_slice_without_cord_is_not_measured(box):
    cord, line, voxel_mm = box
    cord[:, :, 7] = 0
    rows = measure_slices(cord, line, voxel_mm)
    shape = ("area_mm2", "ap_diameter_mm", "transverse_diameter_mm", "eccentricity")
    assert [rows[7][name] for name in shape] == [None] * 4
    found = summarise_cord(rows)
    assert (found["cord_csa_mean_mm2"], found["cord_length_mm"]) == (80, 78)
    assert rows[0]["distance_from_top_mm"] == pytest.approx(78)
    assert rows[-1]["distance_from_top_mm"] == 0


def test_section_of_one_pixel_has_no_shape():
    section = np.zeros((5, 5))
    section[2, 2] = 1
    assert diameters_mm(section, np.array([0, 0, 1.0]), np.ones(3)) == (0, 0)


def test_no_lesion_outside_the_cord(box):
    cord, line, voxel_mm = box
    cord[9], cord[20] = 0.5, 0.5  # the blurred edge is not cord
    everywhere = np.ones(cord.shape, bool)
    mask = cord_mask(cord, line, voxel_mm)
    lesions = find_cord_lesions(everywhere, mask, voxel_mm)
    assert np.array_equal(lesions > 0, cord > 0.5)
    outside = cord <= 0.5
    assert not find_cord_lesions(outside, mask, voxel_mm).any()
    rows = measure_slices(cord, line, voxel_mm, outside)
    assert set(column(rows, "lesion_area_mm2")) == {0}
    found = summarise_cord(rows, [])
    assert (found["cord_lesion_count"], found["cord_lesion_mm3"]) == (0, 0)
    assert (found["cord_lesion_length_mm"], found["cord_lesion_fraction"]) == (0, 0)
    with pytest.raises(ValueError, match="grid"):
        find_cord_lesions(everywhere[1:], mask, voxel_mm)


def test_lesions_of_a_cord(box):
    cord, line, voxel_mm = box
    drawn = np.zeros(cord.shape, bool)
    drawn[12:16, 12:15, 5:15] = True  # 120 voxels, 240 mm3
    drawn[18:24, 12, 30:32] = True  # 12 voxels, 4 of them in the cord: 8 mm3
    drawn[14, 14, 25] = True  # 2 mm3 are no lesion
    mask = cord_mask(cord, line, voxel_mm)
    lesions = find_cord_lesions(drawn, mask, voxel_mm)
    levels = [4] * 14 + [3] * 26
    rows = measure_slices(cord, line, voxel_mm, lesions, levels)
    assert [rows[i]["lesion_area_mm2"] for i in (4, 5, 14, 15, 25, 30)] == [0, 12, 12, 0, 0, 2]
    first, second = measure_cord_lesions(lesions, rows, voxel_mm)
    assert first == {
        "lesion_id": 1,
        "lesion_mm3": 240,
        "lesion_length_mm": 20,
        "distance_from_top_mm": pytest.approx(50),
        "level": 3,
        "largest_area_fraction": pytest.approx(12 / 80),
    }
    assert (second["lesion_mm3"], second["lesion_length_mm"]) == (8, 4)
    found = summarise_cord(rows, [first, second])
    assert (found["cord_lesion_count"], found["cord_lesion_mm3"]) == (2, 248)
    assert found["cord_lesion_length_mm"] == 20
    assert found["cord_lesion_fraction"] == pytest.approx(248 / 6400)
    upper, lower = measure_levels(rows)
    assert (upper["level"], upper["length_mm"], upper["lesion_mm3"]) == (3, 52, 32)
    assert (lower["level"], lower["area_mean_mm2"], lower["lesion_mm3"]) == (4, 80, 216)
    assert summarise_cord(rows)["cord_lesion_count"] is None


def test_tilted_lesion_is_longer_and_thinner_than_its_slices(cords):
    phantom = cords.draw(cords.straight(30, 90), 80.0)
    mask = cord_mask(phantom.soft, phantom.centres, VOXEL_MM)
    lesions = find_cord_lesions(mask & (np.arange(8) == 4), mask, VOXEL_MM)
    rows = measure_slices(phantom.soft, phantom.centres, VOXEL_MM, lesions)
    (row,) = measure_cord_lesions(lesions, rows, VOXEL_MM)
    assert row["lesion_length_mm"] == pytest.approx(3 / np.cos(np.radians(30)), rel=0.01)
    assert row["largest_area_fraction"] == pytest.approx(1, abs=0.05)
    assert rows[4]["lesion_area_mm2"] == pytest.approx(80, rel=0.05)


def test_mean_area_of_c2_and_c3(box):
    cord, line, voxel_mm = box
    cord[10:12, :, 20:] = 0  # 64 mm2 from slice 20 on
    levels = [5] * 10 + [4] * 5 + [3] * 10 + [2] * 10 + [None] * 5
    rows = measure_slices(cord, line, voxel_mm, levels=levels)
    found = summarise_cord(rows)
    assert found["cord_csa_c2c3_mm2"] == pytest.approx((5 * 80 + 15 * 64) / 20, rel=1e-3)
    assert found["qc_cord_c2c3_flag"] == "ok"
    # 17 mm are half of C2 and C3: 9 slices of 2 mm do, 8 do not
    assert summarise_cord(rows[:24])["cord_csa_c2c3_mm2"] == pytest.approx((5 * 80 + 4 * 64) / 9)
    found = summarise_cord(rows[:23])
    assert found["cord_csa_c2c3_mm2"] is None and found["cord_csa_mean_mm2"] > 64
    assert found["qc_cord_c2c3_flag"] == "less than half of C2 and C3 is covered"
    found = summarise_cord([row | {"level": None} for row in rows])
    assert found["cord_csa_c2c3_mm2"] is None
    assert found["qc_cord_c2c3_flag"] == "no vertebral levels are known"


def test_levels_between_discs_in_front_of_a_bent_cord():
    angle = np.linspace(-0.5, 0.5, 101)  # radius 100 mm, bent forward: a neck
    line = np.column_stack([np.zeros(101), 100 * np.cos(angle), 100 * np.sin(angle)])
    ends = {5: -0.3, 4: -0.1, 3: 0.1, 2: 0.3}  # discs on the same spokes, 12 mm in front
    discs = {n: (1.0, 112 * np.cos(a), 112 * np.sin(a)) for n, a in ends.items()}
    expected = [
        next((n for n in (4, 3, 2) if ends[n + 1] <= a < ends[n]), None) for a in angle + 1e-4
    ]
    assert levels_from_discs(discs, line) == expected
    assert set(expected) == {None, 2, 3, 4}
    # other landmarks are no discs, and without one border a level is not known
    assert levels_from_discs(discs | {50: (0, 0, 0), 60: (0, 0, 0)}, line) == expected
    del discs[4]
    assert set(levels_from_discs(discs, line)) == {None, 2}


def test_discs_beyond_the_ends_and_on_the_border():
    line = np.column_stack([np.zeros(4), np.zeros(4), [10.0, 13, 16, 19]])
    discs = {4: (0, 9, 0), 3: (0, 9, 16), 2: (0, 9, 30)}
    assert levels_from_discs(discs, line) == [3, 3, 2, 2]  # disc 3 is the lower end of C2
    assert levels_from_discs(discs, line[:1]) == [3]
    assert levels_from_discs({}, line) == [None] * 4
    assert levels_from_discs(discs, np.zeros((0, 3))) == []
    with pytest.raises(ValueError, match="follow"):
        levels_from_discs({2: (0, 9, 0), 3: (0, 9, 16)}, line)


def test_measures_do_not_change_when_the_line_is_smoothed_before(cords):
    phantom = cords.draw(cords.straight(20, 90), 80.0)
    smooth = smooth_centreline(phantom.centres, VOXEL_MM)
    once, twice = (
        measure_slices(phantom.soft, line, VOXEL_MM) for line in (phantom.centres, smooth)
    )
    assert column(once, "area_mm2") == pytest.approx(column(twice, "area_mm2"))
