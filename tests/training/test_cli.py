"""msmorph-train end to end on a tiny network: weights, card, log, resume."""

import json
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pytest

from networks.weights import load_network
from training import cli


@pytest.fixture
def label_map(tmp_path):
    """A box head with two thalami (FreeSurfer's numbers)."""
    labels = np.zeros((90, 90, 80), np.int16)
    labels[8:82, 8:82, 8:72] = 2
    labels[30:42, 35:60, 35:50] = 10
    labels[48:60, 35:60, 35:50] = 49
    path = tmp_path / "box_dseg.nii.gz"
    nib.Nifti1Image(labels, np.eye(4)).to_filename(path)
    return path


@pytest.mark.slow
def test_training_writes_weights_that_load(label_map, tmp_path):
    out = tmp_path / "run"
    words = [
        "deepgrai-stage1", "--output", str(out), "--head-labels", str(label_map), "--workers", "0",
        "--channels", "2", "2", "2", "2", "2", "--batch", "1",
    ]  # fmt: skip
    assert cli.main([*words, "--steps", "1"]) == 0
    assert cli.main([*words, "--steps", "2", "--resume"]) == 0
    network, card = load_network("deepgrai-stage1", out)
    assert card["training"]["steps"] == 2
    assert card["trained_on"] == ["box"]
    assert str(tmp_path) not in json.dumps(card)
    assert sum(p.numel() for p in network.parameters()) > 0
    rows = (out / "log.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["step", "1", "2"]


def test_no_source_is_said(tmp_path):
    with pytest.raises(SystemExit, match="no training source"):
        cli.main(["deepgrai-stage1", "--output", str(tmp_path)])


def test_a_subject_without_labels_is_named(tmp_path, caplog):
    options = SimpleNamespace(data=tmp_path, labels=tmp_path, segmentation=None, transforms=None,
                              thalamus_labels=(10, 49))  # fmt: skip
    real = [SimpleNamespace(name="sub-a1_ses-01_FLAIR")]
    plan = SimpleNamespace(crop_mm=None, real_sources=lambda *_: real)
    assert cli.gather_sources(options, plan, ["a1", "a"], []) == real
    assert [record.args for record in caplog.records] == [("a",)]


@pytest.mark.slow
def test_retraining_on_the_demo_dataset(tmp_path):
    """The command of docs/training.md on a user's dataset and labels (1 left, 2 right)."""
    from bids_app.demo.dataset import write_dataset

    write_dataset(tmp_path / "bids", seed=1)
    out = tmp_path / "run"
    assert cli.main([
        "deepgrai-stage1", "--output", str(out), "--data", str(tmp_path / "bids"),
        "--labels", str(tmp_path / "bids/derivatives/truth"), "--segmentation", "thalamus",
        "--thalamus-labels", "1", "2", "--participant-label", "sub-01", "--validation-label", "02",
        "--channels", "2", "2", "2", "2", "2", "--steps", "2", "--batch", "1", "--workers", "0",
    ]) == 0  # fmt: skip
    card = json.loads((out / "deepgrai-stage1.json").read_text())
    assert card["trained_on"] == ["sub-01_ses-01_FLAIR", "sub-01_ses-02_FLAIR"]
    assert (out / "progress.png").stat().st_size > 10_000


@pytest.mark.slow
def test_opfer_network_trains_on_label_maps(tmp_path):
    labels = np.zeros((90, 90, 80), np.int16)
    labels[8:82, 8:82, 8:72] = 2
    labels[30:42, 35:60, 35:50], labels[48:60, 35:60, 35:50] = 10, 49
    labels[28:34, 62:70, 35:50] = 11
    path = tmp_path / "box_dseg.nii.gz"
    nib.Nifti1Image(labels, np.eye(4)).to_filename(path)
    out = tmp_path / "run"
    assert cli.main([
        # with 32, the deepest tier has 2x2x2 voxels, and oneDNN's bf16 gradients there are NaN
        "opfer-thalamus", "--output", str(out), "--head-labels", str(path), "--patch", "64",
        "--channels", "2", "2", "2", "2", "2", "--steps", "2", "--batch", "1", "--workers", "0",
    ]) == 0  # fmt: skip
    _, card = load_network("opfer-thalamus", out)
    assert card["architecture"]["out_channels"] == 5
    assert card["input"]["shape"] == [160, 160, 160]
