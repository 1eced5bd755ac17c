"""Lesion-wise detection on bars of voxels (1 mm3) with answers worked out by hand."""

import numpy as np
import pytest

from measures.lesion_agreement import DetectionRates, DetectionRule, detect_lesions


def bars(*spans: tuple[int, int], row: int = 1) -> np.ndarray:
    """Bars of voxels from ``first`` to below ``last`` along x in an image of (60, 9, 3)."""
    mask = np.zeros((60, 9, 3), bool)
    for first, last in spans:
        mask[first:last, row, 1] = True
    return mask


def rates(pred, ref, **rule) -> tuple[float, float]:
    found = detect_lesions(pred, ref, 1.0, DetectionRule(**rule)).rates()
    return found.sensitivity, found.predictive_value


def test_equal_masks_agree():
    found = detect_lesions(bars((0, 5), (9, 20)), bars((0, 5), (9, 20)), 1.0).rates()
    assert (found.ref_count, found.pred_count) == (2, 2)
    assert (found.sensitivity, found.predictive_value, found.f1) == (1, 1, 1)


def test_one_lesion_split_in_two():
    ref, pred = bars((0, 20)), bars((0, 8), (12, 20))
    # ref: 16 of 20 covered, by halves that lie inside
    # halves: covered whole, by a lesion of 20 of which 12 (60 %) lie outside
    assert rates(pred, ref) == (1, 1)
    # with halves of 5: 15 of 20 (75 %) of ref lie outside of each half
    pred = bars((0, 5), (15, 20))
    assert rates(pred, ref) == (1, 0)
    # outside of both halves together are 10 of 20
    assert rates(pred, ref, merging=True) == (1, 1)


def test_two_lesions_merged_into_one():
    ref, pred = bars((0, 5), (15, 20)), bars((0, 20))
    # each of ref: covered whole, by a lesion of 20 of which 15 (75 %) lie outside of it
    # pred: 10 of 20 covered, by lesions that lie inside
    assert rates(pred, ref) == (0, 1)
    assert detect_lesions(pred, ref, 1.0).rates().f1 == 0
    assert rates(pred, ref, merging=True) == (1, 1)
    # 3 lesions of 5 in a pred of 17: 12 of 17 (70.6 %) outside; of 6 in 20: 14 of 20 (70 %)
    assert rates(bars((0, 17)), bars((0, 5), (6, 11), (12, 17))) == (0, 1)
    assert rates(bars((0, 20)), bars((0, 6), (7, 13), (14, 20))) == (1, 1)


@pytest.mark.parametrize(("length", "detected"), [(30, 1), (31, 0)])
def test_alpha(length, detected):
    # 3 of 30 voxels are 10 %, 3 of 31 are 9.7 %
    assert rates(bars((5, 8)), bars((0, length)))[0] == detected


@pytest.mark.parametrize(("length", "detected"), [(10, 1), (11, 0)])
def test_beta(length, detected):
    # 7 of 10 voxels outside are 70 %, 8 of 11 are 72.7 %
    assert rates(bars((0, length)), bars((0, 3)))[0] == detected


@pytest.mark.parametrize(("gap", "detected"), [(13, 1), (12, 0)])
def test_gamma(gap, detected):
    """The second lesion, too far outside, counts unless the first makes up 65 % of the overlap."""
    ref = bars((0, 21))
    pred = bars((0, gap), (gap + 1, gap + 31))
    # gap 13: overlaps 13 and 7: 13 of 20 are 65 %. gap 12: 12 and 8: 60 %; of the second's 30
    # voxels 23 (77 %) or 22 (73 %) lie outside
    assert rates(pred, ref)[0] == detected


def test_of_two_equal_overlaps_the_better_goes_first():
    ref = bars((20, 41))
    for pred in (bars((0, 30), (31, 41)), bars((20, 30), (31, 60))):
        assert rates(pred, ref, gamma_percent=50, beta_percent=60)[0] == 1
        assert rates(pred, ref, gamma_percent=51, beta_percent=60)[0] == 0


def test_empty_masks():
    some, empty = bars((0, 5)), bars()
    missed = detect_lesions(empty, some, 1.0).rates()
    assert (missed.sensitivity, missed.ref_count, missed.pred_count, missed.f1) == (0, 1, 0, 0)
    assert np.isnan(missed.predictive_value)
    false = detect_lesions(some, empty, 1.0).rates()
    assert (false.predictive_value, false.f1) == (0, 0) and np.isnan(false.sensitivity)
    both = detect_lesions(empty, empty, 1.0).rates()
    assert np.isnan([both.sensitivity, both.predictive_value, both.f1]).all()


def test_disjoint_lesions_are_not_detected():
    assert rates(bars((0, 5)), bars((10, 15))) == (0, 0)


def test_small_components_count_for_nothing():
    # 2 voxels of 1 mm3 cover 20 % of ref, but are no lesion
    found = detect_lesions(bars((0, 2)), bars((0, 10)), 1.0).rates()
    assert (found.sensitivity, found.pred_count) == (0, 0)
    assert rates(bars((0, 2)), bars((0, 10)), min_mm3=2)[0] == 1
    assert detect_lesions(bars((0, 2)), bars((0, 10)), 1.5).rates().sensitivity == 1


def test_f1_is_the_harmonic_mean():
    # ref: 1 of 2 found; pred: 1 of 4 found: 2 * 0.5 * 0.25 / 0.75 = 1 / 3
    ref, pred = bars((0, 5), (10, 15)), bars((0, 5), (20, 25), (30, 35), (40, 45))
    assert rates(pred, ref) == (0.5, 0.25)
    assert detect_lesions(pred, ref, 1.0).rates().f1 == pytest.approx(1 / 3)


def test_rates_by_size():
    """A bin holds lesions of its own volume; its upper edge belongs to the next."""
    ref = bars((0, 9), (20, 30)) | bars((0, 5), row=4)  # 9, 10 and 5 mm3
    pred = bars((0, 9)) | bars((20, 35), row=7)  # 9 mm3, and 15 that are false
    found = detect_lesions(pred, ref, 1.0)
    assert found.rates(3, 10) == DetectionRates(2, 1, 0.5, 1.0)
    assert found.rates(10, 50) == DetectionRates(1, 1, 0.0, 0.0)
    large = found.rates(50)
    assert (large.ref_count, large.pred_count) == (0, 0) and np.isnan(large.f1)


def test_bins_have_sharp_edges_in_single_precision():
    found = detect_lesions(bars((0, 10)), bars((0, 10)), float(np.float32(0.9999999)))
    assert (found.rates(10).ref_count, found.rates(0, 10).ref_count) == (1, 0)


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="shapes"):
        detect_lesions(bars(), bars()[1:], 1.0)
