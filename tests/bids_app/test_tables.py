"""Tables are read back as they were written, and odd ones are refused with one sentence."""

from __future__ import annotations

import json

import numpy as np
import pytest

from bids_app import dictionary, tables


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "n/a"),
        (float("nan"), "n/a"),
        (float("inf"), "n/a"),
        ("", "n/a"),
        (1e-9, "0.0000"),
        (-1e-9, "0.0000"),
        (np.float32(6.5), "6.5000"),
        (1234567.89, "1234567.8900"),
        (np.int64(3), "3"),
        (True, "true"),
        (False, "false"),
        ('a\t"b"\nc', "a 'b' c"),
    ],
)
def test_format_value(value, text):
    assert tables.format_value(value) == text


def test_morph_row_round_trip(tmp_path):
    path = tmp_path / "sub-01" / "anat" / "sub-01_morph.tsv"
    row = {"qc_thalamus_flair_flag": "ok", "participant_id": "sub-01", "thalamus_flair_ml": 13.25}
    tables.write_morph_row(row, path)
    header, cells = path.read_text(encoding="utf-8").splitlines()
    assert header.split("\t") == list(dictionary.columns())
    assert len(cells.split("\t")) == len(dictionary.columns())
    back = tables.read_morph_row(path)
    assert {k: v for k, v in back.items() if v is not None} == row
    assert list(back) == list(dictionary.columns())
    sidecar = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    assert list(sidecar) == list(dictionary.columns())


def test_morph_row_of_an_unknown_column_writes_nothing(tmp_path):
    with pytest.raises(ValueError, match="liver_ml"):
        tables.write_morph_row({"liver_ml": 1.0}, tmp_path / "sub-01_morph.tsv")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("prefix", "table", "name"),
    [
        ("sub-01_ses-1", dictionary.MORPH, "sub-01_ses-1_morph.tsv"),
        ("group", dictionary.LESIONS, "group_desc-lesions_morph.tsv"),
    ],
)
def test_table_name(prefix, table, name):
    assert tables.table_name(prefix, table) == name


def test_lesion_rows_are_spelled_in_the_dictionary_s_order(tmp_path):
    path = tmp_path / "sub-01_desc-lesions_morph.tsv"
    rows = [
        {"lesion_id": 1, "lesion_mm3": 30.5, "touches_cortex": True, "participant_id": "sub-01"},
        {"lesion_id": 2, "region": None, "touches_cortex": False},
    ]
    tables.write_rows(rows, path, dictionary.LESIONS)
    names, read = tables.read_tsv(path)
    assert names == list(dictionary.columns(dictionary.LESIONS))
    assert read[0]["participant_id"] == "sub-01"
    assert [row["lesion_mm3"] for row in read] == ["30.5000", "n/a"]
    assert [row["touches_cortex"] for row in read] == ["true", "false"]
    assert read[1]["region"] == "n/a"
    assert list(json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))) == names


def test_no_lesions_is_a_header_and_an_unknown_column_no_file(tmp_path):
    path = tmp_path / "sub-01_desc-lesions_morph.tsv"
    with pytest.raises(ValueError, match="lesion_ml"):
        tables.write_rows([{"lesion_id": 1}, {"lesion_ml": 1.0}], path, dictionary.LESIONS)
    assert not list(tmp_path.iterdir())
    tables.write_rows([], path, dictionary.LESIONS)
    header = "\t".join(dictionary.columns(dictionary.LESIONS))
    assert path.read_bytes() == (header + "\n").encode()
    assert tables.read_tsv(path)[1] == []


def test_reads_tables_of_other_programs(tmp_path):
    path = tmp_path / "participants.tsv"
    path.write_bytes("\ufeffparticipant_id\tage\tnote\r\nsub-01\t\ta\x85b\r\n\r\n".encode())
    names, rows = tables.read_tsv(path)
    assert names == ["participant_id", "age", "note"]
    assert rows == [{"participant_id": "sub-01", "age": "n/a", "note": "a b"}]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"a\tb\n1\n", "Line 2 of .* has 1 cells for 2 columns"),
        (b"a\ta\n1\t2\n", "two columns of one name"),
        (b"a\n\xff\n", "not UTF-8"),
    ],
)
def test_odd_tables_are_refused(tmp_path, content, message):
    path = tmp_path / "t.tsv"
    path.write_bytes(content)
    with pytest.raises(tables.TableError, match=message):
        tables.read_tsv(path)


def test_missing_table_and_wrong_number_are_refused(tmp_path):
    with pytest.raises(tables.TableError, match="Cannot read"):
        tables.read_tsv(tmp_path / "no.tsv")
    path = tmp_path / "t.tsv"
    path.write_text("thalamus_flair_ml\nlarge\n")
    with pytest.raises(tables.TableError, match="'large' for the number thalamus_flair_ml"):
        tables.read_morph_row(path)
    path.write_text("thalamus_flair_ml\n1\n2\n")
    with pytest.raises(tables.TableError, match="one row and has 2"):
        tables.read_morph_row(path)


@pytest.mark.parametrize("content", ["", "[1]", "{", "\udcff"])
def test_read_json_is_empty_for_anything_but_an_object(tmp_path, content):
    path = tmp_path / "x.json"
    path.write_bytes(content.encode("utf-8", errors="surrogateescape"))
    assert tables.read_json(path) == {}
    assert tables.read_json(tmp_path / "none.json") == {}
