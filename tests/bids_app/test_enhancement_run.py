"""`msmorph --tasks enhancement` from a BIDS dataset to tables and report, hand-made networks."""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from bids_app.tables import read_tsv
from networks import weights
from networks.brain_classes import CLASSES, CONTRASTS, LESION, NUMBERS
from networks.deepscan import DeepSCAN
from networks.enhancement import ARCHITECTURE, INPUT
from networks.vgg import EnhancementNetwork

#: Standard deviations of the FLAIR above the mean of a slice from which all is called a lesion.
THRESHOLD = 3.5


def bright_finder():
    """A DeepSCAN that passes the FLAIR on: what is bright is a lesion, all else is white."""
    architecture = {"kind": "deepscan", "in_channels": 3, "classes": len(CLASSES), "stem": 2,
                    "channels": [2, 4, 4], "growth": 2, "blocks": 1, "features": 4}  # fmt: skip
    network = DeepSCAN(architecture).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        for step, channel in ((network.stem[0], CONTRASTS.index("FLAIR")), (network.stem[1], 0)):
            step[0].weight[0, channel, 1, 1, 1] = 1
            step[1].weight[0] = 1
        width = network.last[0].weight.shape[1]
        network.last[0].weight[0, width // 2] = 1  # the stem's first feature, beside what is raised
        network.last[1].weight[0] = 1
        network.head.weight[LESION, 0] = 40  # half of it: attention is 0.5 everywhere
        network.head.bias[LESION] = -20 * THRESHOLD
        network.head.bias[NUMBERS["cerebral_white_matter"]] = 8.0
    return network, architecture


def write_models(folder: Path) -> None:
    """Weights and cards of both networks."""
    finder, architecture = bright_finder()
    torch.manual_seed(1)
    seer = ARCHITECTURE | {"width": 0.05, "hidden": 8}
    for name, network, entries in (
        ("deepscan", finder, {"architecture": architecture, "input": {"shape": [160, 192, 160]}}),
        ("enhancement", EnhancementNetwork(seer),
         {"architecture": seer, "input": INPUT, "thresholds": {"slice": 0.5, "participant": 0.5},
          "limits": "Hand-made."}),
    ):  # fmt: skip
        path = folder / f"{name}.safetensors"
        weights.save(network, path)
        card = entries | {"trained_on": ["nothing"],
                          "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}  # fmt: skip
        (folder / f"{name}.json").write_text(json.dumps(card))


@pytest.fixture(scope="module")
def finished(tmp_path_factory, demo):
    """A session of three contrasts and one without T2w; (finished run, output folder)."""
    root = tmp_path_factory.mktemp("enhancement")
    models = root / "models"
    models.mkdir()
    write_models(models)
    bids = root / "bids"
    for session, contrasts in (("01", CONTRASTS), ("02", ("T1w", "FLAIR"))):
        place = f"sub-01/ses-{session}/anat"
        (bids / place).mkdir(parents=True)
        for contrast in contrasts:
            name = f"sub-01_ses-{session}_{contrast}.nii.gz"
            shutil.copyfile(demo / place / name, bids / place / name)
    shutil.copyfile(demo / "dataset_description.json", bids / "dataset_description.json")
    command = [
        sys.executable, "-m", "bids_app.cli", bids, root / "out", "participant", "--tasks",
        "enhancement", "--lesion-model", "deepscan", "--model-dir", models,
        "--skip-bids-validation", "--nprocs", "2",
    ]  # fmt: skip
    run = subprocess.run([str(c) for c in command], cwd=root, capture_output=True, text=True)
    return run, root / "out"


@pytest.mark.slow
def test_lesions_that_want_a_look_give_no_probability(finished):
    """The hand-made network knows one structure, so that its lesions cannot be trusted."""
    run, out = finished
    assert run.returncode == 0, run.stderr
    assert "enhancement predicted (experimental)" in run.stderr
    anat = out / "sub-01/ses-01/anat"
    row = read_tsv(anat / "sub-01_ses-01_morph.tsv")[1][0]
    assert int(row["lesion_count"]) > 0
    assert row["qc_enhancement_flag"].startswith("the lesion mask wants a look first"), row
    assert row["enhancing_probability"] == "n/a"
    assert not read_tsv(anat / "sub-01_ses-01_desc-enhancement_morph.tsv")[1]
    assert not list(anat.glob("*label-enhancing*"))


@pytest.mark.slow
def test_a_session_without_t2w_has_lesions_and_no_probability(finished):
    out = finished[1]
    row = read_tsv(out / "sub-01/ses-02/anat/sub-01_ses-02_morph.tsv")[1][0]
    assert int(row["lesion_count"]) > 0
    assert row["enhancing_probability"] == "n/a"
    page = (out / "sub-01.html").read_text()
    assert "Enhancement without gadolinium (experimental)" in page
    assert "Hand-made." in page
