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
