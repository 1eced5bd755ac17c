"""The enhancement interface with a stand-in network: scores follow the FLAIR within the mask."""

import json

import nibabel as nib
import numpy as np
import pytest
import torch
from nipype.interfaces.base import isdefined

from interfaces.enhancement import EnhancementPrediction
from interfaces.registration import write_itk
from networks.enhancement import ARCHITECTURE, INPUT

SHAPE = (60, 56, 12)
AFFINE = np.array([[-1.0, 0, 0, 20], [0, 1, 0, -9], [0, 0, -3, 40], [0, 0, 0, 1]])  # from the top
CARD = {
    "architecture": ARCHITECTURE | {"scores": 3}, "sha256": "abc", "trained_on": ["nothing"],
    "input": INPUT | {"shape": [64, 64, 15]}, "thresholds": {"slice": 0.7, "participant": 0.4},
}  # fmt: skip
QUIET, BRIGHT = 4, 8  # slices of the two lesions, in the order they are stored


class Standin(torch.nn.Module):
    """A slice is enhancing where its FLAIR is brightest; a participant as its highest slice."""

    def slices(self, images):
        assert (images.flatten(2).abs().amax(2) > 0.1).all()  # every contrast in every slice
        return images[:, 2].flatten(1).amax(1) - 2.5

    def participant(self, scores):
        return torch.logit(scores[:, 0])


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run the interface on a box brain with two lesions; returns its outputs."""
    asked = []

    def load(name, model_dir=None, device="cpu"):
        asked.append((name, model_dir))
        return Standin(), CARD

    monkeypatch.setattr("networks.weights.load_network", load)
    rng = np.random.default_rng(1)
    brain, lesions = np.zeros(SHAPE, np.uint8), np.zeros(SHAPE, np.uint8)
    brain[6:54, 6:50, 1:11] = 1
    lesions[28:32, 28:32, [QUIET, BRIGHT]] = 1

    def go(drawn=lesions, flag="ok", **inputs):
        for name in ("t1w", "t2w", "flair"):
            data = 100 + 10 * rng.standard_normal(SHAPE)
            data[28:32, 28:32, QUIET] += 5
            data[28:32, 28:32, BRIGHT] += 60
            inputs[name] = save(name, data * brain)
        inputs["flair_to_ref_itk"] = write_itk(np.eye(4), tmp_path / "x.txt")
        found = EnhancementPrediction(
            brain_mask=save("brain", brain), lesion_mask=save("lesions", drawn),
            lesion_measures={"qc_lesion_flag": flag}, model_dir="/models", **inputs,
        ).run(cwd=str(tmp_path)).outputs  # fmt: skip
        assert asked == [("enhancement", "/models")]
        return found

    def save(name, data):
        path = tmp_path / f"{name}.nii.gz"
        nib.Nifti1Image(data.astype(np.float32), AFFINE).to_filename(path)
        return str(path)

    return go


def test_the_bright_slice_makes_the_participant(run):
    found = run()
    low, high = sorted(found.rows, key=lambda row: row["enhancing_score"])
    assert high["above_threshold"] and not low["above_threshold"]
    # counted from the lowest slice, though the file begins at the top
    assert (high["slice"], low["slice"]) == (SHAPE[2] - 1 - BRIGHT, SHAPE[2] - 1 - QUIET)
    assert high["position_mm"] == pytest.approx(40 - 3 * BRIGHT)
    assert found.measures["qc_enhancement_flag"] == "ok"
    assert found.measures["enhancing_probability"] == pytest.approx(high["enhancing_score"])
    json.dumps([found.measures, found.rows, found.meta])  # they go into files


def test_images_have_the_scores_where_the_network_looked(run):
    found = run()
    scores, called = nib.load(found.out_scores), nib.load(found.out_called)
    assert scores.shape == called.shape == SHAPE
    assert np.allclose(scores.affine, AFFINE)
    data, calls = np.asarray(scores.dataobj), np.asarray(called.dataobj)
    values = {row["slice"]: row["enhancing_score"] for row in found.rows}
    for z, call in ((QUIET, 1), (BRIGHT, 2)):
        seen = data[:, :, z] > 0
        assert 9 * 9 <= seen.sum() <= 11 * 11  # the lesion and 3 voxels in each direction
        assert data[:, :, z][seen] == pytest.approx(values[SHAPE[2] - 1 - z])
        assert (calls[:, :, z][seen] == call).all()
    assert set(np.flatnonzero(data.any((0, 1)))) == {QUIET, BRIGHT}


def test_the_sidecar_says_that_it_is_experimental(run):
    meta = run().meta
    assert "no substitute" in meta["Experimental"]
    assert meta["Thresholds"] == CARD["thresholds"]
    assert meta["Models"] == [{"Name": "enhancement", "SHA256": "abc", "TrainedOn": ["nothing"]}]


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"drawn": np.zeros(SHAPE)}, "no lesion was found"),
        ({"flag": "too much lesion"}, "the lesion mask wants a look first: too much lesion"),
        ({"t2w_coreg_flag": "badly aligned"}, "T2w could not be aligned"),
        ({"flair_coreg_flag": "badly aligned"}, "T1w and T2w could not be aligned"),
    ],
)
def test_what_makes_it_doubtful_makes_it_missing(run, inputs, words):
    found = run(**inputs)
    assert found.measures["enhancing_probability"] is None
    assert words in found.measures["qc_enhancement_flag"]
    assert found.rows == [] and not isdefined(found.out_scores)
    assert not isdefined(found.out_called)
