"""The tables of a session are made from what its branches left, and from nothing older."""

from __future__ import annotations

import json

import pytest

from bids_app import participant
from bids_app.config import Config
from bids_app.measure_files import measures_folder
from bids_app.query import SessionInputs
from bids_app.tables import read_morph_row, read_tsv

SESSION = SessionInputs("01", "1", t1w=None, flair=None, t2w=None, cord=(), notes=())
LESION = {"lesion_id": 1, "lesion_mm3": 12.5, "region": None, "touches_cortex": True}


@pytest.fixture
def config(tmp_path):
    return Config(
        bids_dir=tmp_path / "bids",
        output_dir=tmp_path / "out",
        analysis_level="participant",
        work_dir=tmp_path / "work",
    )


@pytest.fixture
def anat(config):
    return config.output_dir / "sub-01" / "ses-1" / "anat"


def leave(config, name, content):
    """Write what a branch leaves in the session's folder of measures."""
    path = measures_folder(config, SESSION) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def test_lesions_are_one_row_each_beside_the_session_s(config, anat):
    leave(config, "brain.json", {"brain_mask_ml": 1400.0})
    leave(config, "lesions.json", {"lesion_count": 2, "qc_lesion_flag": "ok"})
    leave(config, "tables/lesions.json", [LESION, LESION | {"lesion_id": 2}])
    participant._write_tables(config, [SESSION])
    row = read_morph_row(anat / "sub-01_ses-1_morph.tsv")
    assert (row["brain_mask_ml"], row["lesion_count"]) == (1400.0, 2)
    assert row["lesion_ml"] is None
    _, lesions = read_tsv(anat / "sub-01_ses-1_desc-lesions_morph.tsv")
    assert [lesion["lesion_id"] for lesion in lesions] == ["1", "2"]
    for lesion in lesions:
        assert (lesion["participant_id"], lesion["session_id"]) == ("sub-01", "ses-1")
        assert (lesion["region"], lesion["touches_cortex"]) == ("n/a", "true")
    sidecar = json.loads((anat / "sub-01_ses-1_desc-lesions_morph.json").read_text())
    assert list(sidecar) == list(lesions[0])


@pytest.mark.parametrize("measured", [True, False])
def test_no_lesion_is_a_header_and_no_branch_no_file(config, anat, measured):
    if measured:
        leave(config, "tables/lesions.json", [])
    participant._write_tables(config, [SESSION])
    assert (anat / "sub-01_ses-1_morph.tsv").is_file()
    path = anat / "sub-01_ses-1_desc-lesions_morph.tsv"
    assert path.is_file() == path.with_suffix(".json").is_file() == measured
    assert not measured or read_tsv(path)[1] == []


def test_nothing_of_an_earlier_run_stays(config, anat):
    leave(config, "lesions.json", {"lesion_count": 1})
    leave(config, "tables/lesions.json", [LESION])
    participant._write_tables(config, [SESSION])
    assert len(list(anat.iterdir())) == 4
    participant._process(config, [SESSION], [])
    assert not list(anat.iterdir())
    participant._write_tables(config, [SESSION])
    assert read_morph_row(anat / "sub-01_ses-1_morph.tsv")["lesion_count"] is None
    assert not list(anat.glob("*_desc-lesions_*"))


@pytest.mark.parametrize(
    ("brain_ml", "tiv_ml", "fraction"),
    [(1150.0, 1437.5, 0.8), (None, 1437.5, None), (1150.0, None, None), (1500.0, 1437.5, None)],
)
def test_the_brain_s_share_of_the_skull_takes_two_branches(
    config, anat, brain_ml, tiv_ml, fraction
):
    if brain_ml is not None:
        leave(config, "lesions.json", {"brain_ml": brain_ml})
    leave(config, "thalamus_t1w.json", {"tiv_ml": tiv_ml, "qc_tiv_flag": "ok"})
    participant._write_tables(config, [SESSION])
    row = read_morph_row(anat / "sub-01_ses-1_morph.tsv")
    assert row["brain_parenchymal_fraction"] == pytest.approx(fraction)
    assert (row["brain_ml"], row["tiv_ml"]) == (brain_ml, tiv_ml)
    text = (anat / "sub-01_ses-1_morph.tsv").read_text().splitlines()
    cells = dict(zip(*(line.split("\t") for line in text), strict=True))
    assert (cells["brain_parenchymal_fraction"] == "n/a") == (fraction is None)


def test_no_branch_at_all_gives_no_share(config, anat):
    leave(config, "thalamus_t1w.json", {"tiv_ml": 1437.5})
    participant._write_tables(config, [SESSION])
    (measures_folder(config, SESSION) / "thalamus_t1w.json").unlink()
    participant._write_tables(config, [SESSION])
    assert read_morph_row(anat / "sub-01_ses-1_morph.tsv")["brain_parenchymal_fraction"] is None


@pytest.mark.parametrize(
    ("tasks", "model", "names"),
    [
        (["lesions"], "deepscan", ["deepscan"]),
        (["lesions"], "unet", ["lesion-unet"]),
        (["thalamus", "lesions"], "unet",
         ["deepgrai-stage1", "deepgrai-stage2", "opfer-thalamus", "lesion-unet"]),
        (["thalamus"], "deepscan", ["deepgrai-stage1", "deepgrai-stage2", "opfer-thalamus"]),
    ],
)  # fmt: skip
def test_only_the_tasks_weights_are_asked_for(config, monkeypatch, tasks, model, names):
    monkeypatch.setattr("networks.weights.read_card", lambda name, _: {"sha256": name})
    verified = []
    monkeypatch.setattr("networks.weights.verified_weights", lambda name, *_: verified.append(name))
    config.tasks, config.lesion_model = tasks, model
    assert [card["name"] for card in participant.model_cards(config)] == verified == names
