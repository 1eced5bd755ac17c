"""msmorph-evaluate from its command line to its files and exit codes."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from bids_app.evaluate import MASK_MEASURES, cli
from bids_app.tables import read_tsv

BOX, SHIFTED = ((2, 6), (2, 6), (2, 6)), ((4, 8), (2, 6), (2, 6))
NAME = "sub-{0}/anat/sub-{0}_space-T1w_seg-{1}_dseg.nii.gz"


@pytest.fixture
def folders(write_mask, tmp_path) -> tuple[str, str]:
    """Two folders with participants 1 and 2; labels 1 and 2 against 10 and 49."""
    for subject in "12":
        pred, ref = np.zeros((2, 12, 10, 8), np.int16)
        pred[2:6, 2:6, 2:6], pred[8:10, 2:6, 2:6] = 1, 2
        ref[4:8, 2:6, 2:6], ref[8:10, 2:6, 2:6] = 10, 49
        write_mask("pred/" + NAME.format(subject, "ours"), values=pred)
        write_mask("ref/" + NAME.format(subject, "theirs"), values=ref)
    return str(tmp_path / "pred"), str(tmp_path / "ref")


def run(*arguments, output: Path) -> tuple[int, list[dict[str, str]]]:
    code = cli.main([*map(str, arguments), "--output", str(output)])
    return code, read_tsv(output)[1] if output.exists() else []


def test_two_files(write_mask, capsys):
    files = write_mask("a.nii.gz", BOX), write_mask("b.nii.gz", SHIFTED)
    assert cli.main([*map(str, files), "--measure", "dice,hausdorff_mm"]) == 0
    heading, line = capsys.readouterr().out.splitlines()
    row = dict(zip(heading.split("\t"), line.split("\t"), strict=True))
    assert (row["dice"], row["hausdorff_mm"]) == ("0.500000", "2.000000")
    assert row["pred_volume_ml"] == "0.512000"
    assert row["participant_id"] == "n/a" and "surface_distance_mm" not in row


def test_labels_are_paired_in_their_order(folders, tmp_path):
    labels = ("--pred-labels", "1,2", "--ref-labels", "10,49")
    code, rows = run(*folders, *labels, output=tmp_path / "o.tsv")
    assert code == 0
    assert [(r["participant_id"], r["pred_labels"], r["ref_labels"], r["dice"]) for r in rows] == [
        ("sub-1", "1", "10", "0.500000"),
        ("sub-1", "2", "49", "1.000000"),
        ("sub-2", "1", "10", "0.500000"),
        ("sub-2", "2", "49", "1.000000"),
    ]
    assert set(MASK_MEASURES) <= rows[0].keys()


def test_union_is_one_mask(folders, tmp_path):
    labels = ("--pred-labels", "1", "2", "--ref-labels", "10,49", "--union")
    _, rows = run(*folders, *labels, output=tmp_path / "o.tsv")
    assert [(r["pred_labels"], r["ref_labels"]) for r in rows] == [("1+2", "10+49")] * 2
    assert rows[0]["dice"] == f"{2 * 64 / 192:.6f}"


def test_the_unpaired_are_named_and_counted(folders, write_mask, tmp_path, caplog):
    alone = write_mask("pred/" + NAME.format("3", "ours"), BOX)
    other = write_mask("ref/" + NAME.format("4", "theirs"), BOX)
    with caplog.at_level("INFO"):
        code, rows = run(*folders, output=tmp_path / "o.tsv")
    assert (code, len(rows)) == (0, 2)
    assert f"no partner: {alone}" in caplog.messages
    assert f"no partner: {other}" in caplog.messages
    assert caplog.messages[-1].endswith("without a partner: 1 of PRED and 1 of REF")


def test_a_pair_that_fails_does_not_cost_the_others(folders, write_mask, tmp_path, caplog):
    write_mask("pred/" + NAME.format("3", "ours"), values=np.zeros((3, 3, 3), np.int16))
    other = write_mask("ref/" + NAME.format("3", "theirs"), BOX)
    code, rows = run(*folders, output=tmp_path / "o.tsv")
    assert code == 1
    assert [row["participant_id"] for row in rows] == ["sub-1", "sub-2"]
    assert any("not compared" in m and str(other) in m for m in caplog.messages)


def test_empty_masks_give_missing_values(write_mask, tmp_path):
    empty = write_mask("e.nii.gz")
    code, (both,) = run(empty, empty, "--window-mm", "5", output=tmp_path / "o.tsv")
    assert code == 0
    measures = {name: both[name] for name in MASK_MEASURES}
    assert measures.pop("volume_difference_ml") == "0.000000"
    assert set(measures.values()) == {"n/a"}
    code, (one,) = run(write_mask("a.nii.gz", BOX), empty, output=tmp_path / "o.tsv")
    assert code == 0
    assert (one["dice"], one["hausdorff_mm"], one["hausdorff95_mm"]) == ("0.000000", "n/a", "n/a")


def test_summary_and_plots(folders, tmp_path):
    summary = tmp_path / "new" / "summary.tsv"
    for kind, start in (("png", b"\x89PNG"), ("svg", b"<?xml")):
        plot = tmp_path / f"plot.{kind}"
        options = ("--summary", summary, "--bland-altman", plot)
        assert run(*folders, *options, output=tmp_path / "o.tsv")[0] == 0
        first = plot.read_bytes()
        assert first.startswith(start)
        run(*folders, *options, output=tmp_path / "o.tsv")
        assert plot.read_bytes() == first
    rows = {(r["measure"], r["statistic"]): r for r in read_tsv(summary)[1]}
    assert rows["dice", "mean"]["n"] == "2"
    assert rows["pred_volume_ml", "repeats_cov_percent"]["value"] == "n/a"


TABLE = "participant_id\tsession_id\ta_ml\tb_ml\n"


def test_tables_are_joined_by_session(tmp_path, caplog):
    pred, ref = tmp_path / "p.tsv", tmp_path / "r.tsv"
    pred.write_text(TABLE + "sub-1\tses-1\t11\t1\nsub-1\tses-2\t12\t1\nsub-3\tses-1\t5\t5\n")
    ref.write_text("participant_id\tsession_id\tc_ml\n1\t2\t10\n1\t1\tn/a\n")
    code, rows = run(pred, ref, "--columns", "a_ml=c_ml", output=tmp_path / "o.tsv")
    assert code == 0
    assert [
        (r["session_id"], r["ref_volume_ml"], r["volume_difference_percent"]) for r in rows
    ] == [
        ("ses-1", "n/a", "n/a"),
        ("ses-2", "10.000000", "20.000000"),
    ]
    assert any("no partner: sub-3 ses-1" in message for message in caplog.messages)


def test_two_columns_of_one_table(tmp_path):
    table, summary = tmp_path / "t.tsv", tmp_path / "s.tsv"
    table.write_text(TABLE + "sub-1\tses-1\t11\t10\nsub-2\tses-1\t12\t10\nsub-3\tses-1\t14\t11\n")
    options = ("--columns", "a_ml=b_ml", "--summary", summary)
    assert run(table, table, *options, output=tmp_path / "o.tsv")[0] == 0
    rows = {r["statistic"]: r["value"] for r in read_tsv(summary)[1] if r["measure"] == "volume_ml"}
    assert rows["bland_altman_bias_ml"] == "2.000000"
    assert rows["pearson_r"] == f"{np.corrcoef([11, 12, 14], [10, 10, 11])[0, 1]:.6f}"


def test_a_cell_that_is_no_number_is_named(tmp_path, caplog):
    table = tmp_path / "t.tsv"
    table.write_text(TABLE + "sub-1\tses-1\tbig\t10\nsub-2\tses-1\t12\t10\n")
    code, rows = run(table, table, "--columns", "a_ml=b_ml", output=tmp_path / "o.tsv")
    assert (code, len(rows)) == (1, 1)
    assert any("sub-1 ses-1" in message and "'big'" in message for message in caplog.messages)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere", "{ref}"), "nowhere does not exist"),
        (
            ("{pred}", "{ref}", "--measure", "dise"),
            "Unknown measure dise.*dice, true_positive_rate",
        ),
        (("{pred}", "{ref}", "--seg", "ours"), "Nothing to compare: no partner for 2 of"),
        (("{pred}", "{ref}", "--pred-labels", "1,2"), "Several labels"),
        (("{pred}", "{ref}", "--pred-labels", "1,2", "--ref-labels", "3"), "2 labels of PRED"),
        (("{pred}", "{ref}", "--labels", "one"), "whole numbers"),
        (("{pred}", "{ref}", "--bland-altman", "x.jpg"), "must end in .png or .svg"),
        (("{pred}", "{ref}", "--columns", "a_ml"), "--columns: not for two folders"),
        (("{pred}", "{ref}", "--repeats", "scanner"), "none of participant_id"),
        (("{pred}", "{ref}", "--threshold", "nan"), "--threshold must be"),
        (("{pred}", "{file}"), "two NIfTI files, two folders or two tables"),
        (("{table}", "{table}"), "need --columns"),
        (("{table}", "{table}", "--columns", "x_ml"), "has no column x_ml"),
        (("{table}", "{table}", "--columns", "a_ml", "--measure", "dice"), "dice for two tables"),
        (("{pred}",), "arguments are required: REF"),
    ],
)
def test_wrong_usage(arguments, message, folders, write_mask, tmp_path, capsys):
    table = tmp_path / "t.tsv"
    table.write_text(TABLE + "sub-1\tses-1\t1\t2\n")
    known = {"pred": folders[0], "ref": folders[1], "table": table}
    known["file"] = write_mask("a.nii.gz", BOX)
    output = tmp_path / "o.tsv"
    assert run(*(text.format(**known) for text in arguments), output=output) == (2, [])
    assert re.search(message, capsys.readouterr().err)


def test_doubtful_pairs_stop_the_run(folders, write_mask, tmp_path, capsys):
    second = write_mask("ref/" + NAME.format("1", "other"), BOX)
    assert run(*folders, output=tmp_path / "o.tsv") == (2, [])
    assert str(second) in capsys.readouterr().err
    code, rows = run(*folders, "--ref-pattern", "*seg-theirs*", output=tmp_path / "o.tsv")
    assert (code, len(rows)) == (0, 2)


def test_two_rows_of_one_session_are_refused(tmp_path, capsys):
    table = tmp_path / "t.tsv"
    table.write_text(TABLE + "sub-1\tses-1\t1\t2\n1\t1\t1\t2\n")
    assert run(table, table, "--columns", "a_ml", output=tmp_path / "o.tsv") == (2, [])
    assert "two rows of sub-1 ses-1" in capsys.readouterr().err


def test_help_is_quick_and_imports_nothing_heavy():
    code = (
        "import sys; from bids_app.evaluate import cli; assert cli.main(['--help']) == 0;"
        "print(sorted({'numpy', 'torch', 'monai', 'nibabel', 'matplotlib'} & set(sys.modules)))"
    )
    start = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert time.monotonic() - start < 5  # a busy machine; alone it takes 0.1 s
    assert done.stdout.rstrip().endswith("[]")
    assert all(name in done.stdout for name in MASK_MEASURES)
