"""The road from a BIDS dataset to tables and reports, on a real FLAIR and on broken files."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bids_app.tables import read_tsv

KIT = Path(os.environ.get("MSMORPH_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
REAL = KIT / "bids" / "sub-openmsl09" / "ses-02" / "anat" / "sub-openmsl09_ses-02_FLAIR.nii.gz"
T1W = KIT / "bids" / "sub-t1crop" / "anat" / "sub-t1crop_T1w.nii.gz"
CORD = KIT / "bids" / "sub-sctt2" / "anat" / "sub-sctt2_acq-cspine_T2w.nii.gz"
COMMAND = [sys.executable, "-m", "bids_app.cli"]


def msmorph(*arguments, folder):
    """Run the command as a user would; returns the completed process."""
    words = [str(a) for a in arguments]
    return subprocess.run([*COMMAND, *words], cwd=folder, capture_output=True, text=True)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """A good FLAIR; a T1w with a FLAIR cut short; a session with a cord image only."""
    if not REAL.exists():
        pytest.skip(f"the data kit is not there ({REAL}); set MSMORPH_TEST_DATA")
    root = tmp_path_factory.mktemp("road") / "bids"
    description = {"Name": "road", "BIDSVersion": "1.10.0", "DatasetType": "raw", "License": "CC0",
                   "Authors": ["nobody"]}  # fmt: skip
    names = {
        "sub-good": "sub-good_acq-2d_run-1_FLAIR.nii.gz",
        "sub-cut": "sub-cut_FLAIR.nii.gz",
        "sub-cord": "sub-cord_acq-cspine_T2w.nii.gz",
    }
    for subject, name in names.items():
        (root / subject / "anat").mkdir(parents=True)
        target = root / subject / "anat" / name
        shutil.copyfile(CORD if subject == "sub-cord" else REAL, target)
        target.with_name(name.replace(".nii.gz", ".json")).write_text("{}")
    cut = root / "sub-cut" / "anat" / names["sub-cut"]
    cut.write_bytes(REAL.read_bytes()[:500_000])
    shutil.copyfile(T1W, cut.with_name("sub-cut_T1w.nii.gz"))
    (root / "dataset_description.json").write_text(json.dumps(description))
    (root / "README").write_text("A dataset made by a test.\n")
    (root / "participants.tsv").write_text(
        "participant_id\tage\n" + "".join(f"{s}\t40\n" for s in names)
    )
    return root


@pytest.fixture(scope="module")
def finished(dataset):
    """The dataset after a participant and a group run."""
    out = dataset.parent / "out"
    run = msmorph(dataset, out, "participant", "--skip-bids-validation", folder=dataset.parent)
    group = msmorph(dataset, out, "group", folder=dataset.parent)
    return run, group, out


@pytest.mark.data
@pytest.mark.slow
def test_broken_image_fails_alone_and_is_named(finished):
    run, _, out = finished
    assert run.returncode == 1, run.stderr
    assert "FAILED sub-cut" in run.stderr
    assert "sub-cut_FLAIR.nii.gz cannot be read" in run.stderr
    assert "sub-cut_FLAIR.nii.gz cannot be read" in (out / "sub-cut.html").read_text()
    for subject in ("good", "cut", "cord"):
        assert (out / f"sub-{subject}.html").exists()
    assert not list(out.rglob("*.partial"))


@pytest.mark.data
@pytest.mark.slow
def test_thalamus_is_measured_in_the_good_one_only(finished):
    _, group, out = finished
    assert group.returncode == 0, group.stderr
    _, rows = read_tsv(out / "group_morph.tsv")
    table = {row["participant_id"]: row for row in rows}
    assert set(table) == {"sub-good", "sub-cut", "sub-cord"}
    assert table["sub-good"]["qc_thalamus_flair_flag"] == "ok"
    assert 8 < float(table["sub-good"]["thalamus_flair_ml"]) < 20
    assert table["sub-good"]["age"] == "40"
    for subject in ("sub-cut", "sub-cord"):
        assert table[subject]["thalamus_flair_ml"] == "n/a"


@pytest.mark.data
@pytest.mark.slow
def test_a_broken_flair_does_not_lose_the_t1w(finished):
    import nibabel as nib
    import numpy as np

    out = finished[2]
    _, rows = read_tsv(out / "group_morph.tsv")
    row = next(row for row in rows if row["participant_id"] == "sub-cut")
    assert row["qc_thalamus_flair_flag"] == "n/a"
    for flag in ("qc_thalamus_t1w_flag", "qc_deep_gray_matter_flag", "qc_tiv_flag"):
        assert row[flag] != "n/a"
    folder = out / "sub-cut" / "anat"
    assert not list(folder.glob("*seg-deepgrai*"))
    raw, dseg = nib.load(T1W), nib.load(folder / "sub-cut_space-T1w_seg-opfer_dseg.nii.gz")
    assert dseg.shape == raw.shape
    assert np.allclose(dseg.affine, raw.affine, atol=1e-4)
    meta = json.loads((folder / "sub-cut_space-T1w_seg-opfer_dseg.json").read_text())
    assert [m["Name"] for m in meta["Models"]] == ["opfer-thalamus"]
    for desc in ("deepgray", "intracranial"):
        assert (out / "sub-cut" / "figures" / f"sub-cut_desc-{desc}_T1w.svg").exists()


def test_missing_weights_have_their_own_exit_code(skeleton, tmp_path):
    models = tmp_path / "models"
    shipped = Path(__file__).parents[2] / "networks" / "weights"
    shutil.copytree(shipped, models, ignore=shutil.ignore_patterns("opfer*"))
    run = msmorph(
        skeleton(["sub-01_T1w"]), tmp_path / "out", "participant", "--skip-bids-validation",
        "--model-dir", models, folder=tmp_path,
    )  # fmt: skip
    assert run.returncode == 3, run.stderr
    assert "opfer-thalamus.json does not exist" in run.stderr


@pytest.mark.data
@pytest.mark.slow
def test_masks_lie_on_the_input_s_grid(finished):
    import nibabel as nib
    import numpy as np

    folder = finished[2] / "sub-good" / "anat"
    raw = nib.load(REAL)
    for name in ("seg-deepgrai_dseg", "seg-deepgrai_label-thalamus_probseg", "desc-brain_mask"):
        image = nib.load(folder / f"sub-good_acq-2d_run-1_space-FLAIR_{name}.nii.gz")
        assert image.shape == raw.shape
        assert np.allclose(image.affine, raw.affine, atol=1e-4)
    sidecar = folder / "sub-good_acq-2d_run-1_space-FLAIR_seg-deepgrai_dseg.json"
    meta = json.loads(sidecar.read_text())
    assert meta["Threshold"] == 0.5
    assert {m["Name"] for m in meta["Models"]} == {"deepgrai-stage1", "deepgrai-stage2"}


@pytest.mark.data
@pytest.mark.slow
def test_rerun_redoes_nothing_and_gives_the_same_bytes(dataset, finished):
    out = finished[2]
    table = out / "sub-good" / "anat" / "sub-good_morph.tsv"
    before = table.read_bytes()
    result = next(
        dataset.parent.glob("work/msmorph_wf/sub_good_wf/thalamus_flair_wf/deepgrai/result*")
    )
    stamp = result.stat().st_mtime_ns
    again = msmorph(
        dataset, out, "participant", "--skip-bids-validation", "--participant-label", "good",
        "--nprocs", "1", folder=dataset.parent,
    )  # fmt: skip
    assert again.returncode == 0, again.stderr
    assert table.read_bytes() == before
    assert result.stat().st_mtime_ns == stamp


@pytest.mark.data
@pytest.mark.slow
def test_derivatives_are_valid_bids(finished):
    out = finished[2]
    program = Path(sys.executable).with_name("bids-validator-deno")
    answer = subprocess.run(
        [program, out, "--format", "json", "--ignoreWarnings"], capture_output=True, text=True
    )
    issues = json.loads(answer.stdout)["issues"]["issues"]
    assert [i for i in issues if i.get("severity") == "error"] == []
