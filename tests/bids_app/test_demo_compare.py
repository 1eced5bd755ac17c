"""The demo's comparison passes what is close and fails what is not."""

import pytest

from bids_app import dictionary, tables
from bids_app.demo.compare import (
    CORD_COLUMNS,
    LESION_COLUMNS,
    compare,
    compare_cord,
    compare_lesions,
    main,
    read_cord,
    read_lesions,
)

TRUTH = {
    ("sub-01", "ses-01"): {"left": 7.0, "right": 7.2},
    ("sub-01", "ses-02"): {"left": 6.3, "right": 6.9},
}


def measured(changes):
    """The truth, with some values replaced."""
    copy = {key: dict(sides) for key, sides in TRUTH.items()}
    for (session, side), value in changes.items():
        copy["sub-01", session][side] = value
    return copy


@pytest.mark.parametrize(
    ("changes", "good"),
    [
        ({}, True),
        ({("ses-01", "left"): 7.4}, True),
        ({("ses-01", "left"): 7.6}, False),
        ({("ses-02", "right"): 7.25}, False),
        ({("ses-02", "right"): None}, False),
    ],
)
def test_tolerance_and_sign(changes, good):
    lines, verdict = compare(TRUTH, measured(changes), 8.0)
    assert verdict is good
    assert any("sub-01 ses-01" in line for line in lines)


LESIONS = {
    "all": 2.0, "periventricular": 1.2, "juxtacortical": 0.5, "infratentorial": 0.1,
    "deep_white_matter": 0.2,
}  # fmt: skip
FIRST, SECOND = TRUTH


@pytest.mark.parametrize(
    ("changes", "good"),
    [
        ({}, True),
        ({"all": 2.4, "juxtacortical": 0.4}, True),
        ({"all": 2.41}, False),
        ({"all": 0.0}, False),
        ({"periventricular": 0.9}, False),
        ({"deep_white_matter": 0.25}, False),
        ({"infratentorial": 0.3}, True),  # 0.1 mL: too little to judge
        ({"infratentorial": None}, True),
        ({"juxtacortical": None}, False),
        ({"all": None}, False),
    ],
)
def test_lesion_tolerance_in_all_and_by_region(changes, good):
    found = {k: v for k, v in (LESIONS | changes).items() if v is not None}
    lines, verdict = compare_lesions(
        {FIRST: LESIONS, SECOND: LESIONS}, {FIRST: LESIONS, SECOND: found}, 20.0
    )
    assert verdict is good
    assert len(lines) == 11
    assert all(("not judged" in line) <= ("infratentorial" in line) for line in lines)


def test_no_lesion_branch_is_said_and_no_failure():
    for measured in ({}, {FIRST: {}, SECOND: {}}):
        lines, good = compare_lesions({FIRST: LESIONS, SECOND: LESIONS}, measured, 20.0)
        assert good
        assert "did not run" in lines[0]
    # one session that has nothing while the other has is a failure
    _, good = compare_lesions({FIRST: LESIONS, SECOND: LESIONS}, {FIRST: LESIONS}, 20.0)
    assert not good


def test_a_region_without_any_lesion():
    truth = LESIONS | {"infratentorial": 0.0}
    lines, good = compare_lesions({FIRST: truth}, {FIRST: LESIONS}, 20.0)
    assert good
    assert any(line.endswith("0.000     0.100") for line in lines)


def test_lesion_columns_are_those_of_the_table(tmp_path):
    assert set(LESION_COLUMNS.values()) <= set(dictionary.columns())
    row = {"participant_id": "sub-01", "session_id": "ses-01", "lesion_ml": "2.5"}
    row["lesion_juxtacortical_ml"] = "n/a"
    tables.write_tsv(tmp_path / "t.tsv", tuple(row), [row])
    assert read_lesions(tmp_path / "t.tsv") == {("sub-01", "ses-01"): {"all": 2.5}}


@pytest.mark.parametrize(("lesion_ml", "code"), [(2.3, 0), (1.5, 1), (None, 0)])
def test_lesions_must_be_right_where_they_were_measured(tmp_path, capsys, lesion_ml, code):
    write_tables(tmp_path, 6.3, lesion_ml)
    assert main([str(tmp_path / "bids"), str(tmp_path / "out")]) == code
    printed = capsys.readouterr().out
    assert ("lesion branch did not run" in printed) is (lesion_ml is None)
    assert ("FAILED: a lesion volume" in printed) is bool(code)


@pytest.mark.parametrize(("t1w_left", "code"), [(5.2, 0), (4.9, 1), (None, 1)])
def test_both_contrasts_must_be_right(tmp_path, capsys, t1w_left, code):
    write_tables(tmp_path, t1w_left, None)
    assert main([str(tmp_path / "bids"), str(tmp_path / "out")]) == code
    printed = capsys.readouterr().out
    assert "Thalamus on FLAIR" in printed
    assert "Thalamus on T1w" in printed


def write_tables(tmp_path, t1w_left, lesion_ml):
    """truth.tsv and group_morph.tsv: a thalamus of ses-02 (mL), and all lesions of ses-02 (mL)."""
    truth = tmp_path / "bids" / "derivatives" / "truth"
    truth.mkdir(parents=True)
    names = ("participant_id", "session_id", "thalamus_left_ml", "thalamus_right_ml")
    names += tuple(LESION_COLUMNS.values())
    lesions = {column: LESIONS[place] for place, column in LESION_COLUMNS.items()}
    rows, found = [], []
    for (subject, session), sides in TRUTH.items():
        labels = {"participant_id": subject, "session_id": session}
        true = {f"thalamus_{s}_ml": v for s, v in sides.items()} | lesions
        rows.append(labels | {name: str(v) for name, v in true.items()})
        values = {
            f"thalamus_{c}_{s}_soft_ml": v for c in ("flair", "t1w") for s, v in sides.items()
        }
        if session == "ses-02":
            values["thalamus_t1w_left_soft_ml"] = t1w_left
        if lesion_ml is not None:
            values |= lesions | {"lesion_ml": lesion_ml if session == "ses-02" else 2.0}
        found.append(labels | {name: tables.format_value(v) for name, v in values.items()})
    tables.write_tsv(truth / "truth.tsv", names, rows)
    tables.write_tsv(tmp_path / "out" / "group_morph.tsv", dictionary.columns(), found)


CORD = {"cord_csa_mean_mm2": "80", "cord_csa_c2c3_mm2": "75", "cord_lesion_mm3": "100",
        "cord_lesion_count": "1"}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "good"),
    [
        ({}, True),
        ({"cord_csa_mean_mm2": "87.9"}, True),
        ({"cord_csa_mean_mm2": "71.9"}, False),
        ({"cord_csa_mean_mm2": None}, False),
        ({"cord_csa_c2c3_mm2": None}, True),  # without disc labels
        ({"cord_lesion_mm3": "50"}, True),
        ({"cord_lesion_count": "0"}, False),
        ({"cord_lesion_count": "2"}, True),
    ],
)
def test_cord_area_and_lesion_are_judged(changes, good):
    found = {"qc_cord_flag": "ok"} | CORD | changes
    found = {name: value for name, value in found.items() if value is not None}
    lines, verdict = compare_cord({FIRST: CORD, SECOND: {}}, {FIRST: found, SECOND: {}})
    assert verdict is good
    assert len(lines) == 5


def test_no_cord_task_is_said_and_no_failure(tmp_path):
    lines, good = compare_cord({FIRST: CORD, SECOND: {}}, {FIRST: {}, SECOND: {}})
    assert good
    assert "did not run" in lines[0]
    row = {"participant_id": "sub-01", "session_id": "ses-01", "qc_cord_flag": "n/a"} | CORD
    tables.write_tsv(tmp_path / "t.tsv", tuple(row), [row])
    assert read_cord(tmp_path / "t.tsv") == {FIRST: CORD}
    assert {*CORD_COLUMNS, "cord_lesion_count", "qc_cord_flag"} <= set(dictionary.columns())
