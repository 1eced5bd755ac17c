"""McDonald regions in a brain of boxes: the rules, their limits and their precedence."""

import numpy as np
import pytest

from measures.lesion_regions import LesionPlace, locate_lesions, regions_flag


def place(brain, *box, voxel_mm=(1, 1, 1)) -> LesionPlace:
    """Place of one lesion that fills a box, given by (first, last + 1) along each axis."""
    lesions = np.zeros(brain.shape, np.int32)
    lesions[tuple(slice(*ends) for ends in box)] = 1
    return locate_lesions(lesions, brain, np.array(voxel_mm, float))[0]


# the left ventricle's upper end is z 25, its outer wall x 14; cortex begins at x 3, z 36
@pytest.mark.parametrize(
    ("box", "region"),
    [
        (((14, 17), (15, 18), (26, 29)), "periventricular"),  # shares a face
        (((14, 17), (15, 18), (27, 29)), "deep_white_matter"),  # centres 2 mm apart
        (((11, 14), (15, 18), (26, 29)), "periventricular"),  # shares an edge: 1.41 mm
        (((11, 14), (9, 12), (26, 29)), "deep_white_matter"),  # shares a corner: 1.73 mm
        (((14, 17), (15, 18), (17, 20)), "periventricular"),  # at the plexus, under the ventricle
        (((4, 7), (15, 18), (20, 23)), "juxtacortical"),
        (((5, 8), (15, 18), (20, 23)), "deep_white_matter"),
        (((3, 7), (15, 18), (20, 23)), "juxtacortical"),  # partly in the cortex
        (((10, 13), (20, 24), (5, 8)), "infratentorial"),  # in the brain stem
        (((10, 13), (6, 9), (5, 8)), "infratentorial"),  # in the cerebellum
    ],
)
def test_regions(brain, box, region):
    assert place(brain, *box).region == region


def test_precedence_and_both_booleans(brain):
    both = place(brain, (4, 14), (15, 18), (22, 25))  # from cortex to ventricle
    assert (both.region, both.touches_ventricle, both.touches_cortex) == (
        "periventricular",
        True,
        True,
    )
    # z 8-11 are brain stem, 12-14 white matter: 4 of 7 and 3 of 6 layers
    lower = place(brain, (4, 7), (20, 23), (8, 15))
    assert lower.region == "infratentorial" and lower.touches_cortex
    assert lower.infratentorial_fraction == pytest.approx(4 / 7)
    half = place(brain, (4, 7), (20, 23), (9, 15))
    assert (half.region, half.infratentorial_fraction) == ("juxtacortical", 0.5)


def test_millimetres_and_not_voxels_are_counted(brain):
    gap = ((14, 17), (15, 18), (27, 29))  # one voxel between lesion and ventricle
    assert place(brain, *gap, voxel_mm=(1, 1, 0.75)).region == "periventricular"  # 1.5 mm
    assert place(brain, *gap, voxel_mm=(1, 1, 0.8)).region == "deep_white_matter"  # 1.6 mm
    touching = ((14, 17), (15, 18), (26, 29))
    assert place(brain, *touching, voxel_mm=(1, 1, 5)).region == "periventricular"  # thick slices


def test_labels_under_a_lesion_do_not_count(brain):
    box = ((6, 11), (15, 21), (27, 32))  # 150 mm3: no small island
    for wrong in (3, 4, 77):  # dark lesions are taken for cortex or ventricle
        brain[tuple(slice(*ends) for ends in box)] = wrong
        found = place(brain, *box)
        assert (found.region, found.touches_ventricle) == ("deep_white_matter", False)


def test_small_islands_are_neither_cortex_nor_ventricle(brain):
    brain[11, 15:20, 26:30] = 3  # 20 mm3 beside the lesion
    assert place(brain, (7, 11), (15, 20), (26, 30)).region == "deep_white_matter"


def test_hyperintensity_labels_say_nothing_of_the_place(brain):
    brain[10:14, 20:26, 4:10] = 77
    assert place(brain, (11, 13), (21, 25), (5, 9)).region == "infratentorial"


def test_outside_the_brain_is_no_region(brain):
    found = place(np.pad(brain, 8), (1, 4), (15, 18), (20, 23))
    assert (found.region, found.outside_brain_fraction) == (None, 1.0)
    # a lesion whose voxels the map leaves out lies in what surrounds it
    brain[8:12, 15:18, 28:32] = 0
    found = place(brain, (8, 12), (15, 18), (28, 32))
    assert (found.region, found.outside_brain_fraction) == ("deep_white_matter", 0.0)


def test_without_structures_nothing_is_said(brain):
    lesions = np.zeros(brain.shape, np.int32)
    lesions[10, 10, 10:15], lesions[30, 30, 10:15] = 1, 2
    assert locate_lesions(lesions, None, np.ones(3)) == [LesionPlace()] * 2
    assert regions_flag(None) == "no structures were segmented"
    brain[np.isin(brain, (8, 47, 3, 42))] = 2
    assert regions_flag(brain) == "no cortex and no cerebellum was segmented"
    assert locate_lesions(lesions, brain, np.ones(3)) == [LesionPlace()] * 2


def test_no_lesion_has_no_place_and_grids_must_agree(brain):
    assert locate_lesions(np.zeros(brain.shape, np.int32), brain, np.ones(3)) == []
    with pytest.raises(ValueError, match="grid"):
        locate_lesions(np.ones((3, 3, 3), np.int32), brain, np.ones(3))
