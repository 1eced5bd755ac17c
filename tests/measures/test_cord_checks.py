"""What of a cord wants a look, and what is none."""

import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from measures import cord_checks
from measures.centreline import reference_centreline
from measures.cord import cord_mask, measure_slices
from measures.cord_checks import NO_RESULT

DATA = Path(os.environ.get("MSMORPH_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
VOXEL_MM = np.array([1.0, 1.0, 2.0])
NOT_A_CORD = NO_RESULT + "what was found is not shaped like a cord: "


def cord_flag(found, mask, brain_t1w=False):
    return cord_checks.cord_flag(found, mask, VOXEL_MM, brain_t1w)


def rows(area_mm2=75.0, count=20, length_mm=2.0):
    diameters = {"ap_diameter_mm": None, "transverse_diameter_mm": None}
    if area_mm2 is not None:
        diameters = dict.fromkeys(diameters, (4 * area_mm2 / np.pi) ** 0.5)
    return [{"area_mm2": area_mm2, "slice_length_mm": length_mm, **diameters} for _ in range(count)]


@pytest.fixture
def mask():
    found = np.zeros((20, 20, 20), bool)
    found[8:12, 8:12] = True
    return found


def test_a_cord_of_usual_size_is_good(mask):
    assert cord_flag(rows(), mask) == cord_flag(rows(), mask, brain_t1w=True) == "ok"


@pytest.mark.parametrize("found", [[], rows(None)])
def test_nothing_found_is_no_result(found):
    assert cord_flag(found, np.zeros((1, 1, 1), bool)) == NO_RESULT + "no cord was found"


@pytest.mark.parametrize(("area_mm2", "good"), [(29, False), (31, True), (129, True), (131, False)])
def test_mean_areas_beyond_those_of_people_are_named(mask, area_mm2, good):
    flag = cord_flag(rows(area_mm2), mask)
    assert (flag == "ok") == good
    assert good or flag.startswith(f"{NOT_A_CORD}its mean area of {area_mm2} mm2")


def test_slices_without_cord_do_not_count(mask):
    assert cord_flag(rows() + rows(None, 3), mask) == "ok"
    assert cord_flag(rows(count=4) + rows(None, 30), mask[:, :, :8]).startswith("only 8 mm")


def test_a_little_of_something_in_a_long_field_of_view_is_no_cord(mask):
    assert cord_flag(rows(count=4), mask).startswith(NO_RESULT + "only 8 mm of something like")
    assert cord_flag(rows(count=5), mask) == "ok"


@pytest.mark.parametrize("place", [(0, 9), (19, 9), (9, 0), (9, 19)])
def test_a_cord_at_the_edge_of_its_slices_may_be_cut(mask, place):
    mask[(*place, 3)] = True
    assert "edge of the field of view" in cord_flag(rows(), mask)


def test_a_cord_goes_on_beyond_the_first_and_last_slice(mask):
    assert mask[:, :, 0].any()
    assert mask[:, :, -1].any()
    assert cord_flag(rows(), mask) == "ok"


def test_a_head_scan_that_ends_above_c2_has_no_result(mask):
    short = rows(count=11)  # 22 mm
    assert cord_flag(short, mask) == "ok"
    assert cord_flag(short, mask, brain_t1w=True) == (
        NO_RESULT + "the field of view of this brain T1w ends above C2"
    )
    assert cord_flag(rows(count=12), mask, brain_t1w=True) == "ok"


def flag_of(soft, voxel_mm):
    """The flag of a soft segmentation (X, Y, Z), all of which is taken for cord."""
    voxel_mm = np.asarray(voxel_mm, float)
    line = reference_centreline(soft, voxel_mm)
    found = measure_slices(soft, line, voxel_mm)
    return cord_checks.cord_flag(found, cord_mask(soft, line, voxel_mm), voxel_mm)


def section(x_mm, y_mm, *, ap_mm, transverse_mm):
    """Share (X, Y) of an ellipse about a place in a slice of 60 x 60 mm of 0.5 mm."""
    places = np.arange(120) * 0.5
    x, y = np.meshgrid(places - x_mm, places - y_mm, indexing="ij")
    away = np.hypot(2 * x / transverse_mm, 2 * y / ap_mm)
    return np.clip((1 - away) * ap_mm + 0.5, 0, 1)


def stack(sections):
    return np.stack(list(sections), axis=-1)


def test_thin_flat_and_bent_cords_pass():
    atrophied = stack(section(30, 30, ap_mm=5.5, transverse_mm=8) for _ in range(20))
    assert flag_of(atrophied, (0.5, 0.5, 2)) == "ok"
    course = [(30, 30 + 0.01 * (z - 20) ** 2) for z in range(40)]  # up to 22 degrees
    flattest = 8 - 4.5 * np.exp(-(((np.arange(40) - 20) / 5) ** 2))
    compressed = stack(
        section(*place, ap_mm=ap, transverse_mm=13)
        for place, ap in zip(course, flattest, strict=True)
    )
    assert flag_of(compressed, (0.5, 0.5, 1)) == "ok"
    tapering = np.linspace(10, 1, 60)
    conus = stack(section(30, 30, ap_mm=mm, transverse_mm=1.2 * mm) for mm in tapering[::-1])
    assert flag_of(conus, (0.5, 0.5, 1)) == "ok"


@pytest.mark.parametrize("thick_mm", [3.0, 6.0])
def test_a_strip_of_scalp_is_no_cord(thick_mm):
    places = np.arange(120) * 0.5
    x, y = np.meshgrid(places - 30, places + 30, indexing="ij")
    depth = np.abs(np.hypot(x, y) - 80)
    strip = np.clip(thick_mm / 2 - depth + 0.5, 0, 1) * (np.abs(x) < 60 / thick_mm)
    soft = stack(strip for _ in range(15))
    assert flag_of(soft, (0.5, 0.5, 2)).startswith(NOT_A_CORD + "sections are")


def test_what_jumps_or_changes_wildly_is_no_cord():
    jumping = stack(
        section(30 + 5.5 * (-1) ** (z // 2), 30, ap_mm=8, transverse_mm=12) for z in range(20)
    )
    assert flag_of(jumping, (0.5, 0.5, 2)).startswith(NOT_A_CORD + "the middle jumps")
    pulsing = stack(
        section(30, 30, ap_mm=6 + 3 * (z % 2), transverse_mm=8 + 6 * (z % 2)) for z in range(20)
    )
    assert flag_of(pulsing, (0.5, 0.5, 2)).startswith(NOT_A_CORD + "the area changes wildly")
    blobs = stack(
        section(
            30, 30, ap_mm=4 if 3 < z % 12 < 9 else 15, transverse_mm=4 if 3 < z % 12 < 9 else 15
        )
        for z in range(45)
    )
    assert flag_of(blobs, (0.5, 0.5, 1)).startswith(NOT_A_CORD + "sections have less than 15")


def test_one_bad_section_is_forgiven():
    soft = stack(section(30, 30, ap_mm=8, transverse_mm=12) for _ in range(20))
    soft[..., 9] = section(30, 36, ap_mm=3, transverse_mm=20)
    assert flag_of(soft, (0.5, 0.5, 2)) == "ok"


@pytest.mark.data
def test_the_cord_of_the_template_passes():
    path = DATA / "priors" / "pam50" / "PAM50_cord.nii.gz"
    if not path.is_file():
        pytest.skip(f"no {path} (set MSMORPH_TEST_DATA)")
    image = nib.as_closest_canonical(nib.load(path))
    cord = np.asarray(image.dataobj, dtype=np.float32)
    assert flag_of(cord[:, :, 500:], (0.5, 0.5, 0.5)) == "ok"
    assert flag_of(cord[:, :, :400], (0.5, 0.5, 0.5)) == "ok"
