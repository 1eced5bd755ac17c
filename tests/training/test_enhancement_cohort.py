"""A cohort's files become slices with the labels that somebody confirmed."""

import nibabel as nib
import numpy as np
import pytest

from networks.enhancement import ARCHITECTURE, INPUT
from training.enhancement_cohort import CohortFiles, read_cohort, read_labels

CARD = {"architecture": ARCHITECTURE, "input": INPUT | {"shape": [64, 64, 15]}}
SHAPE = (50, 50, 12)
AFFINE = np.diag([-1.0, 1.0, 3.0, 1.0])  # stored from right to left
HEIGHTS = (3, 8)  # of the two lesions


def write(data, path, affine=AFFINE):
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.Nifti1Image(data.astype(np.float32), affine).to_filename(path)


@pytest.fixture
def files(tmp_path):
    """One session with lesions at two heights; the upper one has confirmed enhancement."""
    rng = np.random.default_rng(1)
    brain = np.zeros(SHAPE)
    brain[5:45, 5:45, 1:11] = 1
    lesions, truth = np.zeros(SHAPE), np.zeros(SHAPE)
    for z in HEIGHTS:
        lesions[20:24, 20:24, z] = 1
    truth[21:23, 21:23, HEIGHTS[1]] = 1
    place = "sub-01/ses-1/anat/sub-01_ses-1_"
    found = CohortFiles(tmp_path / "bids", tmp_path / "masks", tmp_path / "masks")
    for contrast in ("T1w", "T2w", "FLAIR"):
        write(brain * (100 + rng.standard_normal(SHAPE)), found.data / f"{place}{contrast}.nii.gz")
    write(truth, found.data / f"{place}ce-gadolinium_T1w.nii.gz")
    write(brain, found.lesions / f"{place}desc-brain_mask.nii.gz")
    write(lesions, found.lesions / f"{place}label-L_mask.nii.gz")
    write(truth, found.labels / f"{place}label-enhancing_desc-confirmed_mask.nii.gz")
    return found


def test_slices_carry_what_was_confirmed(files, tmp_path):
    (scan,) = read_cohort(files, CARD, tmp_path / "cache")
    assert scan.name == "sub-01_ses-1"
    assert list(scan.labels) == [False, True] and scan.enhancing
    assert scan.images.shape == (2, 3, 64, 64)
    assert isinstance(scan.images, np.memmap) and scan.images.dtype == np.float16
    assert np.abs(scan.images).max() > 0.5


def test_no_enhancement_is_a_mask_without_any(files, tmp_path):
    path = next(files.labels.rglob("*confirmed_mask.nii.gz"))
    write(np.zeros(SHAPE), path)
    (scan,) = read_cohort(files, CARD, tmp_path / "cache")
    assert not scan.labels.any() and not scan.enhancing


def test_candidates_are_not_taken_for_truth(files, tmp_path, caplog):
    path = next(files.labels.rglob("*confirmed_mask.nii.gz"))
    path.rename(str(path).replace("confirmed", "candidate"))
    assert read_cohort(files, CARD, tmp_path / "cache") == []
    assert "nobody has said whether it shows enhancement" in caplog.text


def test_enhancement_away_from_lesions_counts_for_the_participant_only(files, tmp_path):
    truth = np.zeros(SHAPE)
    truth[30:34, 30:34, 5] = 1
    write(truth, next(files.labels.rglob("*confirmed_mask.nii.gz")))
    (scan,) = read_cohort(files, CARD, tmp_path / "cache")
    assert not scan.labels.any() and scan.enhancing


@pytest.mark.parametrize(("row", "labels"), [("3\tyes", [True, False]), ("8\tno", [False, False])])
def test_a_table_of_slices_serves_too(files, tmp_path, row, labels):
    table = tmp_path / "labels.tsv"
    table.write_text(f"participant_id\tsession_id\tslice\tenhancing\nsub-01\tses-1\t{row}\n")
    given = CohortFiles(files.data, files.lesions, table)
    (scan,) = read_cohort(given, CARD, tmp_path / "cache")
    assert list(scan.labels) == labels and scan.enhancing is any(labels)


def test_a_session_without_a_row_is_unknown(files, tmp_path, caplog):
    table = tmp_path / "labels.tsv"
    table.write_text("participant_id\tsession_id\tslice\tenhancing\nsub-02\tn/a\t3\tyes\n")
    given = CohortFiles(files.data, files.lesions, table)
    assert read_cohort(given, CARD, tmp_path / "cache") == []
    assert "sub-01/ses-1/anat is left out" in caplog.text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("participant_id\tslice\n", "must have the columns"),
        ("participant_id\tsession_id\tslice\tenhancing\n01\t1\tx\tyes\n", "line 2 of"),
        ("participant_id\tsession_id\tslice\tenhancing\n01\t1\t3\tmaybe\n", "yes or no"),
    ],
)
def test_a_wrong_table_is_said(tmp_path, text, message):
    path = tmp_path / "labels.tsv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_labels(path)


def test_images_on_other_grids_are_refused(files, tmp_path):
    path = next(files.data.rglob("*_T2w.nii.gz"))
    write(np.ones((40, 50, 12)), path)
    with pytest.raises(ValueError, match=r"T2w\.nii\.gz is not on the grid of"):
        read_cohort(files, CARD, tmp_path / "cache")


@pytest.mark.parametrize("keep", [0, 2000])
def test_a_damaged_image_is_named(files, tmp_path, keep):
    path = next(files.data.rglob("*_T2w.nii.gz"))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match=r"T2w\.nii\.gz cannot be read"):
        read_cohort(files, CARD, tmp_path / "cache")


def test_two_masks_for_one_purpose_are_refused(files, tmp_path):
    path = next(files.lesions.rglob("*label-L_mask.nii.gz"))
    write(np.ones(SHAPE), path.with_name("sub-01_ses-1_label-L_desc-unet_mask.nii.gz"))
    with pytest.raises(ValueError, match="several files for one purpose"):
        read_cohort(files, CARD, tmp_path / "cache")


@pytest.mark.parametrize("what", ["T2w", "label-L_mask", "desc-brain_mask"])
def test_what_is_missing_is_logged(files, tmp_path, caplog, what):
    next(tmp_path.rglob(f"*{what}.nii.gz")).unlink()
    assert read_cohort(files, CARD, tmp_path / "cache") == []
    assert "it has no " in caplog.text
