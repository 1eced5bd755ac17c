"""Masks find their partners by their names, and the doubtful are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from bids_app.errors import UsageError
from bids_app.evaluate.pairing import describe_mask, find_masks, pair_masks


def paths(folder: str, *names: str) -> list[Path]:
    return [Path(folder) / f"{name}.nii.gz" for name in names]


def names(pairs) -> list[tuple[str, str]]:
    return [(a.name.partition(".")[0], b.name.partition(".")[0]) for a, b in pairs]


def test_entities_choose_the_partner():
    pred = paths("p", "sub-1_ses-1_space-T1w_seg-x_dseg", "sub-1_ses-2_space-T1w_seg-x_dseg")
    ref = paths("r", "sub-1_ses-2_space-T1w_seg-y_dseg", "sub-1_ses-1_space-T1w_seg-y_dseg")
    found = pair_masks(pred, ref)
    assert names(found.pairs) == [
        ("sub-1_ses-1_space-T1w_seg-x_dseg", "sub-1_ses-1_space-T1w_seg-y_dseg"),
        ("sub-1_ses-2_space-T1w_seg-x_dseg", "sub-1_ses-2_space-T1w_seg-y_dseg"),
    ]
    assert not found.unpaired_pred and not found.unpaired_ref


@pytest.mark.parametrize(
    "other",
    [
        "sub-2_ses-1_acq-a_run-1_space-T1w_dseg",
        "sub-1_ses-2_acq-a_run-1_space-T1w_dseg",
        "sub-1_acq-a_run-1_space-T1w_dseg",
        "sub-1_ses-1_acq-b_run-1_space-T1w_dseg",
        "sub-1_ses-1_acq-a_run-2_space-T1w_dseg",
        "sub-1_ses-1_acq-a_run-1_space-FLAIR_dseg",
    ],
)
def test_each_entity_keeps_files_apart(other):
    pred, ref = paths("p", "sub-1_ses-1_acq-a_run-1_space-T1w_dseg"), paths("r", other)
    found = pair_masks(pred, ref)
    assert found.pairs == []
    assert (found.unpaired_pred, found.unpaired_ref) == (pred, ref)


def test_run_numbers_are_numbers():
    pair = pair_masks(paths("p", "sub-1_run-01_dseg"), paths("r", "sub-1_run-1_dseg"))
    assert len(pair.pairs) == 1


def test_two_candidates_are_refused_by_name():
    pred = paths("p", "sub-1_seg-x_dseg")
    ref = paths("r", "sub-1_seg-y_dseg", "sub-1_seg-z_dseg")
    with pytest.raises(UsageError, match=r"p/sub-1_seg-x_dseg.*r/sub-1_seg-y_dseg.*seg-z_dseg"):
        pair_masks(pred, ref)
    with pytest.raises(UsageError, match="not clear"):
        pair_masks(ref, pred)


def test_same_names_are_paired_first():
    pred = paths("p", "sub-1_desc-brain_mask", "sub-1_seg-x_dseg")
    ref = paths("r", "sub-1_desc-brain_mask", "sub-1_seg-y_dseg")
    assert names(pair_masks(pred, ref).pairs) == [
        ("sub-1_desc-brain_mask", "sub-1_desc-brain_mask"),
        ("sub-1_seg-x_dseg", "sub-1_seg-y_dseg"),
    ]


def test_one_folder_pairs_with_itself():
    files = paths("p", "sub-1_desc-brain_mask", "sub-1_seg-x_dseg")
    assert pair_masks(files, files).pairs == [(path, path) for path in files]


def test_masks_are_found_by_suffix_segmentation_and_pattern(tmp_path):
    for name in (
        "sub-1/anat/sub-1_seg-x_dseg.nii.gz",
        "sub-1/anat/sub-1_seg-y_dseg.nii",
        "sub-1/anat/sub-1_desc-brain_mask.nii.gz",
        "sub-1/anat/sub-1_T1w.nii.gz",
        "sub-1/anat/sub-1_seg-x_dseg.tsv",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()

    def found(pattern=None, suffixes=("dseg", "mask", "probseg"), seg=None):
        return [p.name for p in find_masks(tmp_path, pattern, suffixes, seg)]

    assert found() == [
        "sub-1_desc-brain_mask.nii.gz",
        "sub-1_seg-x_dseg.nii.gz",
        "sub-1_seg-y_dseg.nii",
    ]
    assert found(suffixes=("mask",)) == ["sub-1_desc-brain_mask.nii.gz"]
    assert found(seg=["y"]) == ["sub-1_seg-y_dseg.nii"]
    assert found("*seg-x*") == found("sub-1/anat/*seg-x*") == ["sub-1_seg-x_dseg.nii.gz"]


def test_the_rest_of_a_name_describes_the_mask():
    assert (
        describe_mask("sub-1_run-2_space-T1w_seg-x_label-y_probseg.nii") == "seg-x_label-y_probseg"
    )
    assert describe_mask("thalamus.nii.gz") == "thalamus.nii.gz"
