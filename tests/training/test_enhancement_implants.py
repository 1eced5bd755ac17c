"""Implanted lesions: what enhances looks as the literature has it, and only a little different."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage

from networks.enhancement import INPUT
from networks.geometry import InputGrid
from training import cli
from training import enhancement_implants as implants
from training.enhancement_implants import Places, draw_places, implanted_scans, paint_lesions
from training.placement import PersonalLesions
from training.randomness import seeded
from training.sources import Volume, label_source

CARD = {"input": INPUT | {"shape": [48, 48, 21]}}
SHAPE = (40, 48, 40)
NAMES = ("T1w", "T2w", "FLAIR")


def many_balls(active=()):
    """64 balls of 33 voxels, 12 voxels apart."""
    grid = np.stack(np.meshgrid(*[np.arange(48) % 12 - 6] * 3, indexing="ij"))

    numbered, count = ndimage.label((grid**2).sum(0) <= 4)
    assert count == 64
    return Places(torch.from_numpy(numbered.astype(np.int64)), frozenset(active))


def contrasts(places, seed):
    """Mean contrast of every lesion to an even head of intensity 100, by image: (64,) each."""

    images = {name: torch.full(places.numbered.shape, 100.0) for name in NAMES}
    painted = paint_lesions(images, places, seeded(seed, 0))
    numbers = range(1, places.count + 1)
    return {n: ndimage.mean(i.numpy(), places.numbered.numpy(), numbers) / 100 - 1
            for n, i in painted.items()}  # fmt: skip


@pytest.mark.parametrize(("name", "sign"), [("T1w", -1), ("T2w", 1), ("FLAIR", 1)])
def test_lesions_have_the_contrast_of_lesions(name, sign):
    assert (sign * contrasts(many_balls(), 1)[name] > 0).all()


def test_enhancing_lesions_differ_a_little_on_average():
    half = range(1, 33)
    found = [contrasts(many_balls(half), seed) for seed in range(60)]
    for name, sign in (("T1w", -1), ("T2w", 1), ("FLAIR", 1)):
        values = np.stack([one[name] for one in found]) * sign
        active, others = values[:, :32].ravel(), values[:, 32:].ravel()
        effect = (active.mean() - others.mean()) / others.std()
        assert 0.02 < effect < 0.8, (name, effect)


def test_rims_are_as_frequent_as_in_the_literature(monkeypatch):
    asked = []
    monkeypatch.setattr(implants, "chance", lambda g, p: asked.append(p) or False)
    paint_lesions({"T2w": torch.full((48, 48, 48), 100.0)}, many_balls((3, 5)), seeded(1, 0))
    assert len(asked) == 64
    assert {n for n, p in enumerate(asked, 1) if p == 0.461} == {3, 5}
    assert asked.count(0.302) == 62


def test_a_rim_is_darker_than_the_middle_and_oedema_lies_around(monkeypatch):
    monkeypatch.setattr(implants, "chance", lambda g, p: p > 0.4)  # only what enhances
    monkeypatch.setattr(implants, "soft_lesions", lambda lesions, g: lesions.float())
    places = many_balls(range(1, 33))
    image = paint_lesions({"T2w": torch.full((48, 48, 48), 100.0)}, places, seeded(1, 0))["T2w"]
    middle, edge, outside = (image[6::12, 6::12, 6 + n :: 12].flatten() for n in (0, 2, 3))
    enhances = torch.isin(places.numbered[6::12, 6::12, 6::12].flatten(),
                          torch.arange(1, 33))  # fmt: skip
    assert (middle > edge + 1)[enhances].all()
    assert torch.allclose(middle[~enhances], edge[~enhances])
    assert (outside > 100.1)[enhances].all()
    assert torch.allclose(outside[~enhances], torch.tensor(100.0))


def test_only_lesions_that_are_large_enough_enhance():
    lesions = many_balls().numbered > 0
    lesions[:12] = False
    lesions[3, 3, 3] = True
    for seed in range(8):
        places = draw_places(lesions, True, seeded(seed, 0))
        assert 1 <= len(places.active) <= 3
        assert places.numbered[3, 3, 3] not in places.active
        assert places.enhancing().sum() >= 30 * len(places.active)
    assert not draw_places(lesions, False, seeded(1, 0)).active
    lesions[:] = False
    lesions[3, 3, 3] = True
    assert not draw_places(lesions, True, seeded(1, 0)).active


@pytest.fixture
def heads(head_file, head_labels, monkeypatch):
    """Two heads of three contrasts; the second has a lesion of its own. One person's lesions."""
    labels, affine = head_labels
    inverse = np.linalg.inv(affine)
    monkeypatch.setattr(implants, "CANVAS", InputGrid(SHAPE, (1.0, 1.0, 1.0)))
    rng = np.random.default_rng(1)
    found = []
    for name in ("sub-a_ses-1_FLAIR", "sub-b_FLAIR"):
        head = replace(label_source(head_file, None), name=name)
        brain = np.float32((labels > 0) & (labels < 165))
        head.images = {
            n: Volume(brain * rng.normal(100, 3, brain.shape).astype(np.float32), inverse)
            for n in NAMES
        }
        found.append(head)
    white = np.isin(labels, (2, 41)).astype(np.float32)
    person = PersonalLesions("sub-c", Volume(white, inverse), 1, found[0].axes,
                             *found[0].brain_box_mm)  # fmt: skip
    return found, [person]


def test_scans_belong_to_their_heads_and_have_both_kinds(heads):
    scans = list(implanted_scans(*heads, CARD, 12, seed=1))
    assert {scan.subject for scan in scans} == {"a", "b"}
    assert len({scan.name for scan in scans}) == len(scans) >= 8
    assert {scan.enhancing for scan in scans} == {True, False}
    for scan in scans:
        assert scan.images.shape == (len(scan.labels), 3, 48, 48)
        assert np.isfinite(scan.images).all()
        assert scan.enhancing == scan.labels.any()
    again = list(implanted_scans(*heads, CARD, 2, seed=1))
    assert np.array_equal(again[0].images, scans[0].images)


def test_nothing_is_implanted_where_a_head_has_lesions_of_its_own(heads, head_labels):
    (head, _), people = heads
    labels, affine = head_labels
    everywhere = np.ones(labels.shape, np.float32)
    covered = replace(head, unknown=Volume(everywhere, np.linalg.inv(affine)))
    assert not list(implanted_scans([covered], people, CARD, 3, seed=1))


@pytest.mark.slow
def test_the_command_trains_on_some_heads_and_tests_on_others(heads, tmp_path, monkeypatch):
    (first, second), people = heads
    known = {"a": first, "b": second, "c": replace(second, name="sub-c_FLAIR")}
    without_t2w = replace(first, images={"FLAIR": first.images["FLAIR"]})

    def find(_data, _labels, subjects, _lesions):
        return [known[subject] for subject in subjects] + [without_t2w]

    monkeypatch.setattr("networks.enhancement.INPUT", CARD["input"])
    monkeypatch.setattr("training.heads.find_heads", find)
    monkeypatch.setattr("training.placement.read_personal_lesions", lambda paths: people)
    words = ["enhancement", "--implant", "30", "--data", "d", "--labels", "l", "--lesions", "x",
             "--lesion-masks", "m", "--participant-label", "a", "--validation-label", "b",
             "--test-label", "c", "--output", str(tmp_path), "--width", "0.04", "--hidden", "8",
             "--epochs", "1", "--fine-epochs", "1", "--participant-epochs", "1"]  # fmt: skip
    assert cli.main(words) == 0
    card = json.loads((tmp_path / "enhancement.json").read_text())
    assert card["training"]["validated_on"] == ["sub-b"]
    assert card["training"]["tested_on"] == ["c"]
    assert "never seen one that enhanced" in card["limits"]
    assert "sub-a" in card["trained_on"]
    assert set(card["thresholds"]) == {"slice", "participant"}
    scores = (tmp_path / "scores.tsv").read_text().splitlines()[1:]
    assert scores
    assert all(line.split("\t")[1] == "sub-c" for line in scores)
    # The same head to train and to test on would flatter.
    assert cli.main([*words, "--test-label", "a"]) == 2
