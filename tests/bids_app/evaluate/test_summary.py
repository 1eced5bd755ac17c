"""The summary's figures, its groups and the repeats."""

from __future__ import annotations

import math

import pytest

from bids_app.evaluate.summary import group_repeats, summarise


def row(subject, session, pred, ref, **more):
    named = {"participant_id": subject, "session_id": session, "mask": "seg-x_dseg"}
    return named | {"pred_volume_ml": pred, "ref_volume_ml": ref, "dice": 0.8} | more


ROWS = [
    row("sub-1", "ses-1", 10.0, 9.0),
    row("sub-1", "ses-2", 12.0, 10.0),
    row("sub-2", None, 8.0, 5.0),
]


def values(rows, repeats="session_id", measures=("dice",)):
    lines = summarise(rows, measures, repeats)
    return {(line["measure"], line["statistic"]): line["value"] for line in lines}


def test_figures_by_hand():
    found = values(ROWS)
    assert found["dice", "mean"] == pytest.approx(0.8)
    assert found["pred_volume_ml", "mean"] == 10
    assert found["pred_volume_ml", "sd"] == 2
    assert found["volume_ml", "bland_altman_bias_ml"] == 2  # differences 1, 2, 3
    assert found["volume_ml", "bland_altman_lower_ml"] == pytest.approx(0.04)
    assert found["volume_ml", "bland_altman_upper_ml"] == pytest.approx(3.96)
    assert found["volume_ml", "pearson_r"] == pytest.approx(10 / math.sqrt(8 * 14))
    # |10 - 12| / sqrt(2) over 11, of the person with two sessions
    assert found["pred_volume_ml", "repeats_cov_percent"] == pytest.approx(12.8565, abs=1e-3)


def test_no_repeats_no_coefficient_of_variation():
    assert values(ROWS[1:])["pred_volume_ml", "repeats_cov_percent"] is None


def test_missing_values_are_left_out_of_the_mean():
    lines = summarise([*ROWS, row("sub-3", None, 1.0, math.nan, dice=math.nan)], ["dice"], "run")
    assert [line["n"] for line in lines if line["measure"] == "dice"] == [3, 3]
    assert {line["n"] for line in lines if line["measure"] == "volume_ml"} == {3}


def test_structures_are_not_mixed():
    other = [row("sub-1", "ses-1", 1500.0, 1500.0, mask="desc-brain_mask")]
    lines = summarise(ROWS + other, ["dice"], "session_id")
    means = [
        x["value"] for x in lines if (x["measure"], x["statistic"]) == ("pred_volume_ml", "mean")
    ]
    assert means == [10, 1500]


def test_the_column_of_repeats_is_chosen():
    rows = [row("sub-1", "ses-1", 10.0, 9.0, run="1"), row("sub-1", "ses-1", 11.0, 9.0, run="2")]
    assert group_repeats(rows, "run") == [[10.0, 11.0]]
    assert group_repeats(rows, "session_id") == [[10.0], [11.0]]


def test_measurements_of_one_scanner_are_averaged_first():
    rows = [
        row("sub-1", f"ses-{i}", volume, 0.0, scanner=scanner)
        for i, (volume, scanner) in enumerate([(10.0, "A"), (12.0, "A"), (20.0, "B"), (5.0, "n/a")])
    ]
    assert group_repeats(rows, "scanner") == [[11.0, 20.0]]
