"""What of a cord wants a look, and what is none."""

import numpy as np
import pytest

from measures.cord_checks import NO_RESULT, cord_flag


def rows(area_mm2=75.0, count=20, length_mm=2.0):
    return [{"area_mm2": area_mm2, "slice_length_mm": length_mm} for _ in range(count)]


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
    assert good or f"mean area of {area_mm2} mm2" in flag
    assert not flag.startswith(NO_RESULT)


def test_slices_without_cord_do_not_count(mask):
    assert cord_flag(rows() + rows(None, 3), mask) == "ok"
    assert cord_flag(rows(count=4) + rows(None, 30), mask).startswith("only 8 mm")


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
