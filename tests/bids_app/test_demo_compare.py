"""The demo's comparison passes what is close and fails what is not."""

import pytest

from bids_app import dictionary, tables
from bids_app.demo.compare import compare, main

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


@pytest.mark.parametrize(("t1w_left", "code"), [(5.2, 0), (4.9, 1), (None, 1)])
def test_both_contrasts_must_be_right(tmp_path, capsys, t1w_left, code):
    truth = tmp_path / "bids" / "derivatives" / "truth"
    truth.mkdir(parents=True)
    names = ("participant_id", "session_id", "thalamus_left_ml", "thalamus_right_ml")
    rows, found = [], []
    for (subject, session), sides in TRUTH.items():
        labels = {"participant_id": subject, "session_id": session}
        rows.append(labels | {f"thalamus_{s}_ml": str(v) for s, v in sides.items()})
        values = {
            f"thalamus_{c}_{s}_soft_ml": v for c in ("flair", "t1w") for s, v in sides.items()
        }
        if session == "ses-02":
            values["thalamus_t1w_left_soft_ml"] = t1w_left
        found.append(labels | {name: tables.format_value(v) for name, v in values.items()})
    tables.write_tsv(truth / "truth.tsv", names, rows)
    tables.write_tsv(tmp_path / "out" / "group_morph.tsv", dictionary.columns(), found)
    assert main([str(tmp_path / "bids"), str(tmp_path / "out")]) == code
    printed = capsys.readouterr().out
    assert "Thalamus on FLAIR" in printed
    assert "Thalamus on T1w" in printed
