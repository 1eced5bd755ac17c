"""Lesion measures of msmorph-evaluate: named, in a group, by size, and never unasked."""

from __future__ import annotations

import re

import numpy as np
import pytest

from bids_app.errors import UsageError
from bids_app.evaluate import LESION_MEASURES, MEASURE_GROUPS, cli
from bids_app.evaluate.lesions import add_bin_columns, size_bins
from bids_app.tables import read_tsv


@pytest.fixture
def masks(write_mask) -> list[str]:
    """PRED finds the larger of REF's two lesions (24 of 32 voxels) and adds a false one."""
    pred, ref = np.zeros((2, 12, 10, 8), np.int16)
    ref[0:4, 0:4, 0:2], ref[8:10, 8:10, 6:7] = 1, 1  # 256 and 32 mm3
    pred[0:3, 0:4, 0:2], pred[8:10, 0:2, 6:7] = 1, 1  # 192 and 32 mm3
    return [str(write_mask(f"{name}.nii.gz", values=v)) for name, v in (("p", pred), ("r", ref))]


def run(*arguments, output) -> dict[str, str]:
    assert cli.main([*map(str, arguments), "--output", str(output)]) == 0
    (row,) = read_tsv(output)[1]
    return row


def test_the_group_of_msseg(masks, tmp_path):
    row = run(*masks, "--measure", "msseg", output=tmp_path / "o.tsv")
    assert row.keys() >= set(MEASURE_GROUPS["msseg"])
    assert row["dice"] == f"{2 * 24 / (28 + 36):.6f}"
    assert row["sensitivity"] == f"{24 / 36:.6f}"
    assert row["positive_predictive_value"] == f"{24 / 28:.6f}"
    assert row["lesion_f1"] == row["lesion_sensitivity"] == row["lesion_ppv"] == "0.500000"
    assert (row["pred_lesion_count"], row["ref_lesion_count"]) == ("2", "2")


def test_lesions_are_not_counted_unasked(masks, tmp_path):
    row = run(*masks, output=tmp_path / "o.tsv")
    assert not row.keys() & {*LESION_MEASURES, "sensitivity", "positive_predictive_value"}


def test_size_bins(masks, tmp_path):
    options = ("--measure", "dice,lesion_sensitivity,ref_lesion_count", "--size-bins", "50,200")
    summary = tmp_path / "s.tsv"
    row = run(*masks, *options, "--summary", summary, output=tmp_path / "o.tsv")
    assert [name for name in row if "lesion" in name] == [
        f"{name}{ending}"
        for name in ("lesion_sensitivity", "ref_lesion_count")
        for ending in ("", "_3to50mm3", "_50to200mm3", "_from200mm3")
    ]
    assert row["lesion_sensitivity_3to50mm3"] == "0.000000"
    assert row["lesion_sensitivity_50to200mm3"] == "n/a"
    assert row["lesion_sensitivity_from200mm3"] == "1.000000"
    means = {r["measure"]: r["value"] for r in read_tsv(summary)[1] if r["statistic"] == "mean"}
    assert means["lesion_sensitivity_from200mm3"] == "1.000000"


def test_least_volume(masks, tmp_path):
    options = ("--measure", "lesion_f1,pred_lesion_count", "--min-lesion-mm3", "33")
    row = run(*masks, *options, output=tmp_path / "o.tsv")
    assert (row["lesion_f1"], row["pred_lesion_count"]) == ("1.000000", "1")


def test_merging(write_mask, tmp_path):
    apart, joined = np.zeros((2, 12, 10, 8), np.int16)
    joined[:, 0, 0] = apart[:3, 0, 0] = apart[9:, 0, 0] = 1  # 12 voxels, of them 3 and 3
    files = write_mask("p.nii.gz", values=joined), write_mask("r.nii.gz", values=apart)
    options = (*files, "--measure", "lesion_sensitivity")
    found = [run(*options, *more, output=tmp_path / "o.tsv") for more in ((), ("--merging",))]
    assert [row["lesion_sensitivity"] for row in found] == ["0.000000", "1.000000"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--size-bins",), "--size-bins: only for lesion measures"),
        (("--measure", "dice", "--merging"), "--merging: only for lesion measures"),
        (("--measure", "msseg", "--size-bins", "50,10"), "rise from above 3 mm3"),
        (("--measure", "msseg", "--size-bins", "3"), "rise from above 3 mm3"),
        (("--measure", "msseg", "--size-bins", "x"), "volumes in mm3"),
        (("--measure", "msseg", "--min-lesion-mm3", "-1"), "--min-lesion-mm3 must be"),
        (("--measure", "msseg", "--min-lesion-mm3", "20", "--size-bins"), "from above 20 mm3"),
        (("--measure", "mseg"), "Unknown measure mseg.*lesion_f1.*msseg"),
    ],
)
def test_wrong_usage(masks, options, message, tmp_path, capsys):
    assert cli.main([*masks, *options, "--output", str(tmp_path / "o.tsv")]) == 2
    assert re.search(message, capsys.readouterr().err)


def test_tables_have_no_lesions(tmp_path, capsys):
    table = tmp_path / "t.tsv"
    table.write_text("participant_id\ta_ml\nsub-1\t1\n")
    for options in (("--measure", "msseg"), ("--merging",)):
        assert cli.main([str(table), str(table), "--columns", "a_ml", *options]) == 2
        assert "for two tables" in capsys.readouterr().err


def test_bins_and_their_columns():
    bins = size_bins((10, 50), 3)
    assert bins == ((3, 10), (10, 50), (50, float("inf")))
    assert add_bin_columns(["dice", "lesion_f1"], bins) == [
        "dice", "lesion_f1", "lesion_f1_3to10mm3", "lesion_f1_10to50mm3", "lesion_f1_from50mm3",
    ]  # fmt: skip
    with pytest.raises(UsageError, match="finite"):
        size_bins((10, float("inf")), 3)
