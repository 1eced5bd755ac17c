"""Subjects never lie in two parts of a split, whatever their sessions."""

import numpy as np
import pytest

from training.enhancement_scans import Scan, Split, chosen, cross_validation, validation_split


def cohort(subjects=30, enhancing=12):
    """Three sessions of each subject; one of them has enhancement in every third subject or so."""
    scans = []
    for number in range(subjects):
        for session in ("1", "2", "3"):
            labels = np.array([False, number < enhancing and session == "2"])
            images = np.zeros((2, 3, 4, 4))
            scans.append(Scan(f"{number:02d}", session, images, labels, bool(labels.any())))
    return scans


@pytest.mark.parametrize("seed", range(20))
def test_no_subject_is_in_two_parts(seed):
    scans = cohort()
    splits = cross_validation(scans, np.random.default_rng(seed))
    assert len(splits) == 5
    for split in splits:
        parts = [chosen(scans, p) for p in (split.training, split.validation, split.test)]
        subjects = [{scan.subject for scan in part} for part in parts]
        assert not subjects[0] & subjects[1] and not subjects[0] & subjects[2]
        assert not subjects[1] & subjects[2]
        assert sum(len(part) for part in parts) == len(scans)  # all sessions somewhere, once
        assert all(any(scan.labels.any() for scan in part) for part in parts)
        assert all(not all(scan.labels.any() for scan in part) for part in parts)
    tested = [subject for split in splits for subject in split.test]
    assert sorted(tested) == sorted({scan.subject for scan in scans})  # each once


def test_shares_are_those_of_the_paper():
    split = cross_validation(cohort(100, 40), np.random.default_rng(1))[0]
    assert (len(split.training), len(split.validation), len(split.test)) == (65, 15, 20)


def test_a_split_that_leaks_cannot_be_made():
    with pytest.raises(ValueError, match="two parts of a split: 02"):
        Split(frozenset({"01", "02"}), frozenset({"03"}), frozenset({"02"}))


def test_too_few_subjects_are_refused():
    with pytest.raises(ValueError, match="5 subjects with enhancement"):
        cross_validation(cohort(30, 4), np.random.default_rng(1))
    with pytest.raises(ValueError, match="two subjects with enhancement"):
        validation_split(cohort(30, 1), np.random.default_rng(1))


def test_the_split_follows_the_seed():
    first, again, other = (
        cross_validation(cohort(), np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert first == again != other
