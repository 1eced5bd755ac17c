"""The group table: from the derivatives alone, sorted, joined, and the same every time."""

from __future__ import annotations

import json
import logging

import pytest

from bids_app import dictionary, group, tables
from bids_app.config import Config
from bids_app.dictionary import CORD_LESIONS, LESIONS, SLICES
from tests.bids_app.group_cohorts import write_part, write_session


@pytest.fixture
def config(tmp_path):
    (tmp_path / "bids").mkdir()
    (tmp_path / "out").mkdir()
    return Config(
        bids_dir=tmp_path / "bids",
        output_dir=tmp_path / "out",
        analysis_level="group",
        work_dir=tmp_path / "work",
    )


def add(config, subject, session=None, **measures):
    return write_session(config.output_dir, subject, session, **measures)


def add_lesions(morph, *volumes_mm3, **other):
    """Write a session's table of lesions beside its ``*_morph.tsv``."""
    rows = [other | {"lesion_id": n, "lesion_mm3": v} for n, v in enumerate(volumes_mm3, start=1)]
    return write_part(morph, LESIONS, rows)


def read_lesions(config):
    names, rows = tables.read_tsv(config.output_dir / "group_desc-lesions_morph.tsv")
    assert names == list(dictionary.columns(LESIONS))
    return [(r["participant_id"], r["session_id"], r["lesion_id"], r["lesion_mm3"]) for r in rows]


def read(config):
    return tables.read_tsv(config.output_dir / "group_morph.tsv")


def test_nothing_found_is_an_error(config, caplog):
    (config.output_dir / "sub-01").mkdir()
    with caplog.at_level(logging.WARNING, "msmorph.group"):
        assert group.run_group(config) == 1
    assert "No *_morph.tsv" in caplog.text
    assert not (config.output_dir / "group_morph.tsv").exists()


def test_rows_are_sorted_and_other_tables_left_out(config):
    add(config, "02", thalamus_flair_ml=10.5)
    add(config, "01", "b", thalamus_flair_ml=11)
    path = add(config, "01", "a")
    path.with_name("sub-01_ses-a_desc-slices_morph.tsv").write_text("x\n1\n")
    assert group.run_group(config) == 0
    names, rows = read(config)
    assert names == list(dictionary.columns())
    assert [(r["participant_id"], r["session_id"]) for r in rows] == [
        ("sub-01", "ses-a"), ("sub-01", "ses-b"), ("sub-02", "n/a"),
    ]  # fmt: skip
    assert rows[2]["thalamus_flair_ml"] == "10.5000"
    assert rows[0]["thalamus_flair_ml"] == "n/a"


def test_a_number_that_is_none_is_named(config, caplog):
    add(config, "01", thalamus_flair_ml=10)
    path = add(config, "02", thalamus_flair_ml=11.25)
    path.write_text(path.read_text().replace("11.2500", "11,2500"))
    with caplog.at_level(logging.WARNING, "msmorph.group"):
        assert group.run_group(config) == 0
    assert [row["participant_id"] for row in read(config)[1]] == ["sub-01"]
    assert "has '11,2500' for the number thalamus_flair_ml" in caplog.text


def test_joins_participants_and_sessions(config):
    add(config, "01", "a")
    add(config, "02", "a")
    (config.output_dir / "participants.tsv").write_text("participant_id\told\nsub-01\t1\n")
    (config.bids_dir / "participants.tsv").write_text(
        'participant_id\tage\tbrain_mask_ml\tnote\nsub-01\t30\t7\tsays "hi\n03\t1\t1\tx\n'
    )
    (config.bids_dir / "participants.json").write_text('{"age": {"Units": "year"}}')
    (config.bids_dir / "sub-01").mkdir()
    (config.bids_dir / "sub-01" / "sub-01_sessions.tsv").write_text("session_id\tage\na\t31\n")
    assert group.run_group(config) == 0
    names, rows = read(config)
    assert names[:6] == [
        "participant_id", "session_id", "age_participants", "brain_mask_ml_participants", "note",
        "age",
    ]  # fmt: skip
    assert rows[0]["age_participants"] == "30"
    assert rows[0]["age"] == "31"
    assert rows[0]["note"] == "says 'hi"
    assert rows[1]["age"] == rows[1]["note"] == "n/a"
    sidecar = json.loads((config.output_dir / "group_morph.json").read_text())
    assert list(sidecar) == names
    assert sidecar["age_participants"] == {"Units": "year"}
    assert "sessions" in sidecar["age"]["Description"]


def test_missing_and_broken_rows_are_listed(config, caplog):
    add(config, "01")
    add(config, "02").write_text("participant_id\n")
    add(config, "04").write_text("participant_id\tsession_id\nsub-01\tn/a\n")
    (config.output_dir / "sub-03" / "ses-x").mkdir(parents=True)
    with caplog.at_level(logging.WARNING, "msmorph.group"):
        assert group.run_group(config) == 0
    _, rows = read(config)
    assert [row["participant_id"] for row in rows] == ["sub-01"]
    assert "sub-02: not in the group table" in caplog.text
    assert "sub-03_ses-x: not in the group table" in caplog.text
    assert "says it is of sub-01" in caplog.text


def test_labels_restrict_the_rows(config):
    add(config, "01", "a")
    add(config, "01", "b")
    add(config, "02", "a")
    config.participant_label, config.session_label = ["01"], ["b"]
    assert group.run_group(config) == 0
    assert [r["session_id"] for r in read(config)[1]] == ["ses-b"]


def test_the_same_bytes_every_time(config):
    add(config, "01", "a", thalamus_flair_ml=1 / 3)
    (config.output_dir / "participants.tsv").write_bytes(
        b"participant_id\tname\nsub-01\t\xc3\xa4\n"
    )
    files = [config.output_dir / f"group_morph.{kind}" for kind in ("tsv", "json")]
    assert group.run_group(config) == 0
    before = [path.read_bytes() for path in files]
    assert group.run_group(config) == 0
    assert [path.read_bytes() for path in files] == before
    assert b"\r" not in before[0]
    assert b'"' not in before[0]


@pytest.mark.parametrize("content", ["", "id\tage\n1\t2\n", "participant_id\tage\nsub-01\n"])
def test_an_unusable_participants_table_is_not_joined(config, content, caplog):
    add(config, "01")
    (config.output_dir / "participants.tsv").write_text(content)
    with caplog.at_level(logging.WARNING, "msmorph.group"):
        assert group.run_group(config) == 0
    assert read(config)[0] == list(dictionary.columns())
    assert "not joined" in caplog.text


def test_lesions_of_all_sessions_in_the_order_of_the_sessions(config):
    add_lesions(add(config, "02"), 4)
    add_lesions(add(config, "01", "b"), 9, 5)
    add_lesions(add(config, "01", "a"))
    add(config, "03")
    assert group.run_group(config) == 0
    assert read_lesions(config) == [
        ("sub-01", "ses-b", "1", "9"), ("sub-01", "ses-b", "2", "5"), ("sub-02", "n/a", "1", "4"),
    ]  # fmt: skip
    sidecar = json.loads((config.output_dir / "group_desc-lesions_morph.json").read_text())
    assert list(sidecar) == list(dictionary.columns(LESIONS))


def test_no_lesion_at_all_is_a_header_and_no_table_of_lesions_no_file(config):
    morph = add(config, "01")
    lesions = add_lesions(morph)
    assert group.run_group(config) == 0
    assert read_lesions(config) == []
    lesions.unlink()
    assert group.run_group(config) == 0
    assert not list(config.output_dir.glob("group_desc-lesions*"))
    assert len(read(config)[1]) == 1


def test_lesions_that_cannot_be_used_are_named(config, caplog):
    add_lesions(add(config, "01"), 4)
    add_lesions(add(config, "02"), 5, participant_id="sub-01")
    add_lesions(add(config, "03"), 6).write_text("")
    with caplog.at_level(logging.WARNING, "msmorph.group"):
        assert group.run_group(config) == 0
    assert read_lesions(config) == [("sub-01", "n/a", "1", "4")]
    assert len(read(config)[1]) == 3
    assert "sub-02_desc-lesions_morph.tsv says it is of sub-01" in caplog.text
    assert "sub-03_desc-lesions_morph.tsv is empty" in caplog.text


def test_labels_restrict_the_lesions(config):
    add_lesions(add(config, "01"), 4)
    add_lesions(add(config, "02"), 5)
    config.participant_label = ["02"]
    assert group.run_group(config) == 0
    assert read_lesions(config) == [("sub-02", "n/a", "1", "5")]


def add_slices(morph, image, count, **other):
    """Write the sections of a cord image beside a session's ``*_morph.tsv``."""
    rows = [other | {"cord_image": image, "slice": n} for n in range(count)]
    return write_part(morph, SLICES, rows, f"_space-{image}")


def test_sections_of_all_cord_images_of_all_sessions(config, caplog):
    first = add(config, "01", "a")
    add_slices(first, "T2w", 2)
    add_slices(first, "T2starw", 1)
    add_slices(add(config, "02"), "T2w", 0)
    add_slices(add(config, "03"), "T2w", 1, participant_id="sub-04")
    with caplog.at_level(logging.WARNING, "msmorph.group"):
        assert group.run_group(config) == 0
    names, rows = tables.read_tsv(config.output_dir / "group_desc-slices_morph.tsv")
    assert names == list(dictionary.columns(SLICES))
    assert [(r["participant_id"], r["session_id"], r["cord_image"], r["slice"]) for r in rows] == [
        ("sub-01", "ses-a", "T2starw", "0"), ("sub-01", "ses-a", "T2w", "0"),
        ("sub-01", "ses-a", "T2w", "1"),
    ]  # fmt: skip
    assert (config.output_dir / "group_desc-slices_morph.json").is_file()
    assert not (config.output_dir / tables.table_name("group", CORD_LESIONS)).exists()
    assert "sub-03_space-T2w_desc-slices_morph.tsv says it is of sub-04" in caplog.text
