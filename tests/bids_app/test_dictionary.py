"""The data dictionary is complete, and agrees with what is measured."""

from __future__ import annotations

import pytest

from bids_app import dictionary
from measures import head, thalamus


@pytest.mark.parametrize("column", dictionary.columns())
def test_each_column_is_described(column):
    entry = dictionary.describe(column)
    assert entry["LongName"]
    assert entry["Description"]
    assert entry["Source"]
    assert not entry["Description"].endswith(".")
    assert entry["Type"] in ("text", "number")
    assert ("Units" in entry) == (entry["Type"] == "number")
    assert dictionary.is_quality_control(column) == column.startswith("qc_")
    unit = {"_ml": "mL", "_mm": "mm"}.get(column[-3:])
    assert unit is None or entry["Units"] == unit
    assert dictionary.is_flag(column) == column.endswith("_flag")


def test_labels_come_first_and_no_column_twice():
    names = dictionary.columns()
    assert names[:2] == ("participant_id", "session_id")
    assert len(set(names)) == len(names)


def test_holds_every_measure_of_the_thalamus():
    import numpy as np

    ones = np.ones((2, 1, 1))
    side = np.array([1, 2]).reshape(2, 1, 1)
    measured = thalamus.thalamus_volumes(ones, side, side, 1.0)
    assert set(measured) <= set(dictionary.columns())


def test_holds_every_measure_of_the_head():
    import numpy as np

    scan = head.Scan(np.ones((4, 4, 4)), np.eye(4), 1.0, brain_extracted=False)
    labels = np.ones((4, 4, 4), np.uint8)
    measured = head.head_measures(np.ones((4, 4, 4, 4)), labels, False, scan)
    assert set(measured) <= set(dictionary.columns())
    assert set(head.not_found("")) <= set(measured)
    t1w = {name for name in dictionary.columns() if "t1w" in name}
    assert t1w <= set(measured)


def test_sidecar_has_bids_terms_only_and_the_columns_asked_for():
    sidecar = dictionary.sidecar(["thalamus_flair_ml", "qc_thalamus_flair_flag"])
    assert list(sidecar) == ["thalamus_flair_ml", "qc_thalamus_flair_flag"]
    assert sidecar["thalamus_flair_ml"]["Units"] == "mL"
    assert "ok" in sidecar["qc_thalamus_flair_flag"]["Levels"]
    assert "Type" not in sidecar["thalamus_flair_ml"]
    assert list(dictionary.sidecar()) == list(dictionary.columns())


def test_an_unknown_column_is_named():
    with pytest.raises(ValueError, match="thalamus_ml"):
        dictionary.sidecar(["thalamus_ml"])


def test_markdown_table_has_a_row_a_column():
    lines = dictionary.markdown_table().splitlines()
    assert len(lines) == 2 + len(dictionary.columns())
    assert all(line.count("|") == 5 for line in lines)
