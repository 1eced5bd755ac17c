"""The data dictionary is complete, and agrees with what is measured."""

from __future__ import annotations

import pytest

from bids_app import dictionary
from bids_app.dictionary import CORD_LESIONS, CORD_LEVELS, LESIONS, MORPH, SLICES
from measures import cord, head, lesions, structures, thalamus

TABLES = (MORPH, LESIONS, SLICES, CORD_LESIONS, CORD_LEVELS)
EVERY_COLUMN = [(table, name) for table in TABLES for name in dictionary.columns(table)]


@pytest.mark.parametrize(("table", "column"), EVERY_COLUMN)
def test_each_column_is_described(table, column):
    entry = dictionary.describe(column, table)
    assert entry["LongName"]
    assert entry["Description"]
    assert entry["Source"]
    assert not entry["Description"].endswith(".")
    assert entry["Type"] in ("text", "number")
    assert ("Units" in entry) == (entry["Type"] == "number")
    unit = {"ml": "mL", "mm": "mm", "mm3": "mm3", "count": "1", "fraction": "1"}
    if (word := column.rsplit("_", 1)[-1]) in unit:
        assert entry["Units"] == unit[word]


@pytest.mark.parametrize("column", dictionary.columns())
def test_a_quality_column_can_be_told_by_its_name(column):
    named_so = column.startswith("qc_")
    assert dictionary.is_quality_control(column) == named_so
    assert dictionary.is_flag(column) == column.endswith("_flag")


@pytest.mark.parametrize("table", TABLES)
def test_labels_come_first_and_no_column_twice(table):
    names = dictionary.columns(table)
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
    other = ("lesion", "norm")
    t1w = {
        name
        for name in dictionary.columns()
        if "t1w" in name and not any(word in name for word in other)
    }
    assert t1w <= set(measured)


@pytest.fixture
def brain():
    """Labels without sides of a network that knows no corpus callosum, and two lesions."""
    import numpy as np

    known = {number for name in structures.SIDED for number in structures.labels_of(name)[:1]}
    labels = np.array([*sorted(known), 14, 16] * 2, np.int32).reshape(2, -1, 1)
    found = np.zeros(labels.shape, np.int32)
    found[0, 0], found[1, 5] = 1, 2
    return labels, found


def test_holds_every_measure_of_the_lesions(brain):
    import numpy as np

    labels, found = brain
    table = lesions.measure_lesions(found, np.eye(4), labels)
    assert len(table.rows) == 2
    measured = ("participant_id", "session_id", *table.rows[0])
    assert dictionary.columns(LESIONS) == measured
    summary = lesions.summarise_lesions(table)
    names = dictionary.columns()
    assert [name for name in names if name in summary] == list(summary)
    own = {name for name in names if "lesion_" in name and not name.startswith("cord_")}
    assert own - set(summary) == {"qc_lesion_contrasts", "qc_lesion_flag"}


def test_holds_every_structure_of_the_lesion_network(brain):
    volumes = structures.structure_volumes(brain[0], 1.0)
    measured = {name for name, value in volumes.items() if value is not None}
    # The third ventricle's label stands for the network's one class of third and fourth.
    expected = measured - {"structure_third_ventricle_ml", "deep_gray_matter_ml"}
    expected |= {"structure_other_ventricles_ml"}
    in_dictionary = {name for name in dictionary.columns() if name.startswith("structure_")}
    assert in_dictionary | {"brain_ml"} == expected


def test_holds_every_measure_of_the_cord():
    import numpy as np

    stem = np.zeros((12, 12, 6))
    stem[3:9, 3:9] = 1
    spots = np.zeros(stem.shape, np.int32)
    spots[5:7, 5:7, 2:4] = 1
    line = np.column_stack([np.full(6, 5.5), np.full(6, 5.5), np.arange(6.0)])
    rows = cord.measure_slices(stem, line, np.ones(3), spots, [2] * 6)
    found = cord.measure_cord_lesions(spots, rows, np.ones(3))
    labels = ("participant_id", "session_id", "cord_image")
    tables = {SLICES: rows, CORD_LESIONS: found, CORD_LEVELS: cord.measure_levels(rows)}
    for table, measured in tables.items():
        named = [name for name in dictionary.columns(table) if name != "level_source"]
        assert named == [*labels, *measured[0]]
        assert "level_source" in dictionary.columns(table)
    own = {name for name in dictionary.columns() if "cord_" in name}
    assert own == {*cord.summarise_cord(rows, found), "qc_cord_flag", "qc_cord_image"}


@pytest.mark.parametrize("column", ["region", "touches_ventricle", "touches_cortex"])
def test_levels_name_each_value(column):
    from measures.lesion_regions import REGIONS

    values = set(REGIONS) if column == "region" else {"true", "false"}
    assert set(dictionary.describe(column, LESIONS)["Levels"]) == values | {"n/a"}


def test_sidecar_has_bids_terms_only_and_the_columns_asked_for():
    sidecar = dictionary.sidecar(["thalamus_flair_ml", "qc_thalamus_flair_flag"])
    assert list(sidecar) == ["thalamus_flair_ml", "qc_thalamus_flair_flag"]
    assert sidecar["thalamus_flair_ml"]["Units"] == "mL"
    assert "ok" in sidecar["qc_thalamus_flair_flag"]["Levels"]
    assert "Type" not in sidecar["thalamus_flair_ml"]
    assert list(dictionary.sidecar()) == list(dictionary.columns())
    assert list(dictionary.sidecar(table=LESIONS)) == list(dictionary.columns(LESIONS))


def test_an_unknown_column_is_named():
    with pytest.raises(ValueError, match="thalamus_ml"):
        dictionary.sidecar(["thalamus_ml"])
    with pytest.raises(ValueError, match=r"lesion_ml.*'lesions'"):
        dictionary.describe("lesion_ml", LESIONS)


@pytest.mark.parametrize("table", TABLES)
def test_markdown_table_has_a_row_a_column(table):
    lines = dictionary.markdown_table(table).splitlines()
    assert len(lines) == 2 + len(dictionary.columns(table))
    assert all(line.count("|") == 5 for line in lines)
