"""Lesions found, measured and summed up in a brain of boxes with known answers."""

import numpy as np
import pytest

from measures.lesions import (
    LesionTable,
    find_lesions,
    implausibility,
    measure_lesions,
    summarise_lesions,
)

AFFINE = np.array([[-1.0, 0, 0, 20], [0, 2, 0, -40], [0, 0, 1.5, -30], [0, 0, 0, 1]])  # 3 mm3


@pytest.fixture
def mask(brain) -> np.ndarray:
    """Four lesions, one a region: 48, 27, 24 and 8 voxels."""
    mask = np.zeros(brain.shape, bool)
    mask[14:18, 15:18, 26:30] = True  # periventricular
    mask[10:13, 20:23, 5:8] = True  # infratentorial
    mask[4:6, 15:18, 20:24] = True  # juxtacortical
    mask[30:32, 30:32, 30:32] = True  # deep white matter
    return mask


def test_table_and_summary(brain, mask):
    lesions = find_lesions(mask, AFFINE, brain)
    table = measure_lesions(lesions, AFFINE, brain)
    assert [(r["lesion_id"], r["lesion_voxel_count"], r["region"]) for r in table.rows] == [
        (1, 48, "periventricular"),
        (2, 27, "infratentorial"),
        (3, 24, "juxtacortical"),
        (4, 8, "deep_white_matter"),
    ]
    found = summarise_lesions(table)
    assert found["lesion_count"] == 4
    assert found["lesion_ml"] == pytest.approx(107 * 3 / 1000)
    assert found["lesion_juxtacortical_count"] == 1
    assert found["lesion_juxtacortical_ml"] == pytest.approx(0.072)
    assert found["lesion_dissemination_count"] == 3
    assert found["qc_lesion_regions_flag"] == "ok"
    # nothing is made up for what was not given
    assert found["lesion_soft_ml"] is found["lesion_t1w_hypointense_ml"] is None
    assert found["qc_lesion_t1w_flag"] == "no T1w"


def test_centroids_in_both_spaces(brain):
    lesions = np.zeros(brain.shape, np.int32)
    lesions[10:13, 20:22, 30] = 1  # centre at voxel 11, 20.5, 30
    to_mni = np.eye(4)
    to_mni[:3, 3] = 5, -3, 2
    (row,) = measure_lesions(lesions, AFFINE, native_to_mni=to_mni).rows
    assert [row[f"centroid_{a}_mm"] for a in "xyz"] == pytest.approx([9, 1, 15])
    assert [row[f"centroid_mni_{a}_mm"] for a in "xyz"] == pytest.approx([14, -2, 17])
    (row,) = measure_lesions(lesions, AFFINE).rows
    assert row["centroid_mni_x_mm"] is None and row["region"] is None


def test_soft_volume_has_the_blurred_edge_and_no_haze(brain):
    probability = np.full(brain.shape, 0.01)
    probability[10:14, 10, 30] = 0.9
    probability[9, 10, 30] = 0.4  # 1 mm beside it: the edge
    lesions = find_lesions(probability >= 0.5, np.eye(4), brain)
    (row,) = measure_lesions(lesions, np.eye(4), brain, probability).rows
    # voxels within 2 mm of the line of 4: 13 in the plane across it, and at either end a half
    # ball of 5 + 4 + 1 = 10 (1 mm: 1 + 4 + 4; 2 mm: 1)
    near = 4 * 13 + 2 * 10
    assert row["lesion_soft_mm3"] == pytest.approx(4 * 0.9 + 0.4 + (near - 5) * 0.01)
    assert row["mean_probability"] == pytest.approx(0.9)
    assert row["lesion_mm3"] == 4
    brain[9, 10, 30] = 31  # plexus is never a lesion
    (row,) = measure_lesions(lesions, np.eye(4), brain, probability).rows
    assert row["lesion_soft_mm3"] == pytest.approx(4 * 0.9 + (near - 5) * 0.01)


def test_uncertainty_and_unknown_values(brain, mask):
    lesions = find_lesions(mask, AFFINE, brain)
    uncertainty = np.where(lesions == 2, 0.3, 0.1)
    uncertainty[lesions == 4] = np.nan
    rows = measure_lesions(lesions, AFFINE, brain, uncertainty=uncertainty).rows
    assert [row["mean_uncertainty"] for row in rows[:3]] == pytest.approx([0.1, 0.3, 0.1])
    assert rows[3]["mean_uncertainty"] is None
    with pytest.raises(ValueError, match="grid"):
        measure_lesions(lesions, AFFINE, brain, uncertainty=uncertainty[1:])


def test_black_holes_of_a_session(brain, mask):
    lesions = find_lesions(mask, AFFINE, brain)
    t1w = np.where(np.isin(brain, (3, 42)), 100.0, 200.0)
    t1w[14:16, 15:18, 26:30] = 50  # half of lesion 1
    table = measure_lesions(lesions, AFFINE, brain, t1w=t1w)
    assert table.rows[0]["t1w_hypointense_fraction"] == pytest.approx(0.5)
    assert summarise_lesions(table)["lesion_t1w_hypointense_ml"] == pytest.approx(24 * 3 / 1000)
    t1w[lesions == 4] = np.nan  # one part unknown: so is the sum
    table = measure_lesions(lesions, AFFINE, brain, t1w=t1w)
    assert summarise_lesions(table)["lesion_t1w_hypointense_ml"] is None


def test_plexus_is_never_a_lesion(brain):
    mask = np.zeros(brain.shape, bool)
    mask[14:18, 12:20, 20] = True  # 32 voxels of plexus
    mask[13, 12:20, 20:22] = True  # 16 beside it: a third of the component
    assert not find_lesions(mask, np.eye(4), brain).any()
    assert find_lesions(mask, np.eye(4)).max() == 1
    mask[8:13, 12:20, 20:22] = True  # now 96 of 128 voxels are in the white matter
    lesions = find_lesions(mask, np.eye(4), brain)
    assert np.count_nonzero(lesions) == 96 and not lesions[brain == 31].any()


def test_ventricles_hold_no_lesion_but_half_of_one_may_lie_there(brain):
    mask = np.zeros(brain.shape, bool)
    mask[22:26, 15:18, 24:28] = True  # half in the ventricle
    assert np.count_nonzero(find_lesions(mask, np.eye(4), brain)) == 48
    mask[22:26, 15:18, 23] = True
    assert not find_lesions(mask, np.eye(4), brain).any()


def test_no_lesion_and_no_structures(brain):
    empty = np.zeros(brain.shape, np.int32)
    found = summarise_lesions(measure_lesions(empty, AFFINE, brain, np.zeros(brain.shape)))
    assert (found["lesion_count"], found["lesion_ml"], found["lesion_soft_ml"]) == (0, 0, 0)
    assert (found["lesion_infratentorial_count"], found["lesion_dissemination_count"]) == (0, 0)
    found = summarise_lesions(measure_lesions(empty, AFFINE))
    assert found["lesion_count"] == 0
    assert found["lesion_infratentorial_count"] is found["lesion_dissemination_count"] is None
    assert found["qc_lesion_regions_flag"] == "no structures were segmented"


def flag(mask, structures, probability=None, few_ml=0.0) -> str:
    lesions = find_lesions(mask, np.eye(4))
    table = measure_lesions(lesions, np.eye(4), structures)
    return implausibility(table, lesions, structures, probability, few_ml)


def test_plausible_lesions(brain, mask):
    assert flag(mask, brain, mask.astype(float)) == "ok"


def test_few_lesions_may_be_false(brain, mask):
    total_ml = np.count_nonzero(mask) / 1000
    assert flag(mask, brain, few_ml=total_ml) == "ok"
    found = flag(mask, brain, few_ml=total_ml + 0.01)
    assert found.startswith(f"only {total_ml:.1f} mL of lesions were found; below 0.117 mL")


def test_implausible_lesions(brain, mask):
    probability = mask.astype(float)
    assert "same everywhere" in flag(mask, brain, np.zeros(mask.shape))
    probability[0, 0, 0] = np.nan
    assert "no numbers" in flag(mask, brain, probability)
    assert "no structures" in flag(mask, None)
    assert "no structures" in flag(mask, np.zeros_like(brain))
    assert "no lesion was found" in flag(np.zeros_like(mask), brain)
    far = mask.copy()
    far[0, 10:23, 20] = True  # 13 of 120 voxels
    assert flag(far, brain) == "11% of the lesions lies outside the brain"
    white = np.count_nonzero(np.isin(brain, (2, 41)))
    burden = np.zeros_like(mask)
    burden.flat[np.flatnonzero(np.isin(brain, (2, 41)))[: int(0.2 * white)]] = True
    assert flag(burden, brain) == "lesions fill 20% of the white matter"


def test_a_lesion_outside_the_brain_counts_in_the_total_alone():
    row = {"lesion_mm3": 10.0, "lesion_soft_mm3": 9.0, "region": None}
    found = summarise_lesions(LesionTable([row], "ok", "no T1w"))
    assert (found["lesion_count"], found["lesion_ml"]) == (1, 0.01)
    assert sum(v for k, v in found.items() if k.endswith("_count") and k != "lesion_count") == 0
