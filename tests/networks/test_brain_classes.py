"""The classes of the lesion networks are those that the measures know."""

import json
from itertools import combinations

import pytest

from measures import structures
from networks.brain_classes import CLASSES, CONTRASTS, LESION, lesion_contrasts

NAMES = [name for name, _ in CLASSES]


def test_no_label_has_two_classes():
    for (one, first), (other, second) in combinations(CLASSES, 2):
        assert not set(first) & set(second), (one, other)
    assert len(set(NAMES)) == len(NAMES) == 17


def test_lesion_and_background_are_where_they_are_looked_for():
    assert NAMES[0] == "background"
    assert CLASSES[0][1] == ()
    assert NAMES[LESION] == "lesion"
    assert set(CLASSES[LESION][1]) <= set(structures.WHITE_MATTER)


@pytest.mark.parametrize("name", set(structures.SIDED) | {"brain_stem"})
def test_a_structure_has_the_same_labels_in_both_places(name):
    labels = dict(CLASSES)[name]
    assert set(structures.labels_of(name)) <= set(labels)


def test_ventricles_are_the_same_together():
    ventricles = dict(CLASSES)["lateral_ventricle"] + dict(CLASSES)["other_ventricles"]
    assert set(ventricles) == set(structures.VENTRICLES)
    # interfaces.lesions reads the volume of all other ventricles off the third's label
    assert dict(CLASSES)["other_ventricles"][0] in structures.UNSIDED["third_ventricle"]


@pytest.mark.parametrize("name", NAMES[2:])
def test_the_first_label_is_brain_and_on_the_left(name):
    """It stands for both sides in the label map that the measures get."""
    first = dict(CLASSES)[name][0]
    assert first in structures.BRAIN
    assert not any(first in right for _, right in structures.SIDED.values())


def test_contrasts_are_the_input_channels_in_order():
    assert CONTRASTS == ("T1w", "T2w", "FLAIR")


@pytest.mark.parametrize(("entry", "wanted"), [({"lesion_contrasts": ["FLAIR"]}, ("FLAIR",)),
                                               ({}, ("FLAIR", "T2w"))])  # fmt: skip
def test_the_card_says_what_lesions_can_be_drawn_on(entry, wanted, tmp_path):
    (tmp_path / "lesion-unet.json").write_text(json.dumps({"sha256": "0"} | entry))
    assert lesion_contrasts("unet", tmp_path) == wanted
    assert lesion_contrasts("deepscan", tmp_path) == ("FLAIR", "T2w")  # no card: anything
