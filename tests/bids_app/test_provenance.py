"""The output folder describes itself."""

from __future__ import annotations

import json

import pytest

from bids_app import __version__, provenance
from bids_app.errors import UsageError


@pytest.fixture
def dataset(skeleton):
    root = skeleton(["sub-01_ses-1_T1w", "sub-02_ses-1_T1w"])
    (root / "participants.tsv").write_text("participant_id\tage\nsub-01\t30\n")
    (root / "participants.json").write_text("{}")
    for label in ("sub-01", "sub-02"):
        (root / label / f"{label}_sessions.tsv").write_text("session_id\tdays\nses-1\t0\n")
    return root


def test_describes_itself_and_its_source(dataset, tmp_path, monkeypatch):
    monkeypatch.setenv("MSMORPH_CONTAINER", "docker://example.org/msmorph:0.1")
    out = tmp_path / "out"
    path = provenance.write_dataset_description(out, dataset, ["thalamus"])
    found = json.loads(path.read_text())
    assert found["DatasetType"] == "derivative"
    assert found["BIDSVersion"] == "1.10.0"
    generator = found["GeneratedBy"][0]
    assert (generator["Name"], generator["Version"]) == ("MSMorph", __version__)
    assert generator["Container"] == {
        "Type": "docker", "Tag": "example.org/msmorph:0.1",
        "URI": "docker://example.org/msmorph:0.1",
    }  # fmt: skip
    assert found["DatasetLinks"]["raw"] == dataset.as_uri()
    assert found["SourceDatasets"] == [{"URL": dataset.as_uri()}]
    assert "figures" in (out / ".bidsignore").read_text()


def test_container_without_a_type(dataset, tmp_path, monkeypatch):
    monkeypatch.setenv("MSMORPH_CONTAINER", "msmorph:0.1")
    found = json.loads(
        provenance.write_dataset_description(tmp_path / "out", dataset, []).read_text()
    )
    assert found["GeneratedBy"][0]["Container"] == {"Tag": "msmorph:0.1"}


def test_copies_tables_of_the_subjects_processed(dataset, tmp_path):
    out = tmp_path / "out"
    provenance.write_dataset_description(out, dataset, ["thalamus"], subjects=["01"])
    assert (out / "participants.tsv").read_bytes() == (dataset / "participants.tsv").read_bytes()
    assert (out / "participants.json").is_file()
    assert (out / "sub-01" / "sub-01_sessions.tsv").is_file()
    assert not (out / "sub-02").exists()


def test_a_sessions_dictionary_comes_only_with_a_table(dataset, tmp_path):
    (dataset / "sessions.json").write_text("{}")
    provenance.copy_tables(tmp_path, dataset, ["99"])
    assert not (tmp_path / "sessions.json").exists()
    provenance.copy_tables(tmp_path, dataset, ["01"])
    assert (tmp_path / "sessions.json").is_file()


def test_repeats_itself_and_keeps_what_others_ignore(dataset, tmp_path):
    out = tmp_path / "out"
    provenance.write_dataset_description(out, dataset, ["thalamus"])
    with (out / ".bidsignore").open("a") as stream:
        stream.write("mine/\n")
    before = (out / ".bidsignore").read_text()
    provenance.write_dataset_description(out, dataset, ["thalamus"])
    assert (out / ".bidsignore").read_text() == before


def test_refuses_the_folder_of_another_dataset(dataset):
    before = (dataset / "dataset_description.json").read_bytes()
    with pytest.raises(UsageError, match="a dataset of its own"):
        provenance.write_dataset_description(dataset, dataset, ["thalamus"])
    assert (dataset / "dataset_description.json").read_bytes() == before
    (dataset / "dataset_description.json").write_text('{"GeneratedBy": [{"Name": "fMRIPrep"}]}')
    with pytest.raises(UsageError, match="derivatives of fMRIPrep"):
        provenance.refuse_foreign_dataset(dataset)
