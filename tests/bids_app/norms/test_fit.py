"""``msmorph-norms fit``: from a table of controls to a file, and what it refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bids_app import __version__
from bids_app.norms import SLICE_THICKNESS, TIV, cli
from bids_app.norms.fit import Request, first_rows, fit_norms
from bids_app.tables import write_json

ROOT = Path(__file__).resolve().parents[3]


def run(cohort, *options, output="norms.json"):
    return cli.main(["fit", str(cohort.write()), "--output", str(cohort.folder / output), *options])


def refused(capsys, cohort, *options) -> str:
    """The one sentence of a run that must leave nothing behind."""
    assert run(cohort, *options) == 2
    assert not (cohort.folder / "norms.json").exists()
    assert not list(cohort.folder.glob(".*.tmp"))
    said = capsys.readouterr().err.strip()
    assert said.count("\n") == 0
    assert said.startswith("msmorph-norms: ")
    return said


def test_fits_each_volume_there_is_to_the_controls(cohort, capsys):
    assert run(cohort, "--controls", "HC") == 0
    content = json.loads((cohort.folder / "norms.json").read_text())
    assert set(content["Volumes"]) == {
        "thalamus_flair_ml", "thalamus_t1w_left_ml", "thalamus_t1w_ml"
    }  # fmt: skip
    assert content["MeasuredByVersion"] == content["FittedByVersion"] == __version__
    assert (content["Table"], content["Controls"]) == ("group_morph.tsv", {"group": ["HC"]})
    entry = content["Volumes"]["thalamus_t1w_ml"]
    assert entry["Controls"] + entry["Outliers"] == 120
    assert entry["ResidualSD_ml"] == pytest.approx(0.8, rel=0.15)
    assert entry["Interval95_ml"][1] == pytest.approx(1.96 * entry["ResidualSD_ml"])
    assert entry["Networks"] == {"opfer-thalamus": "aa"}
    assert set(entry["Ranges"]) == {"age_years", TIV}
    flair = content["Volumes"]["thalamus_flair_ml"]
    assert set(flair["Ranges"]) == {"age_years", TIV, "slice_thickness_mm"}
    assert set(flair["Networks"]) == {"deepgrai-stage1", "deepgrai-stage2", "opfer-thalamus"}
    assert "thalamus_t1w_ml" in capsys.readouterr().out


def test_holds_no_participant_and_the_points_in_no_order_of_theirs(cohort):
    assert run(cohort, "--controls", "HC") == 0
    text = (cohort.folder / "norms.json").read_text()
    assert "sub-" not in text
    cloud = json.loads(text)["Volumes"]["thalamus_t1w_ml"]["Cloud"]
    assert cloud["age_years"] == sorted(cloud["age_years"])
    assert abs(np.mean(cloud["residual_ml"])) < 0.01
    assert all(age == round(age) for age in cloud["age_years"])


def test_a_participant_counts_once_with_the_first_session(cohort):
    again = [row | {"session_id": "ses-2", "thalamus_t1w_ml": 24.0} for row in cohort.rows]
    expected = fit_norms(Request(cohort.write(), ("HC",)))["Volumes"]
    cohort.rows += again
    assert fit_norms(Request(cohort.write(), ("HC",)))["Volumes"] == expected
    rows = [(2, {"participant_id": "01", "x": "a"}), (3, {"participant_id": "sub-01", "x": "b"})]
    assert first_rows(rows) == rows[:1]


def test_what_is_missing_leaves_a_person_out_and_is_counted(cohort):
    cohort.rows[0]["age"] = None
    cohort.rows[1][TIV] = None
    cohort.rows[2]["thalamus_t1w_ml"] = None
    cohort.rows[3]["age"] = "89+"
    volumes = fit_norms(Request(cohort.write(), ("HC",)))["Volumes"]
    assert volumes["thalamus_t1w_ml"]["Incomplete"] == 4
    assert volumes["thalamus_flair_ml"]["Incomplete"] == 3


def test_the_age_of_participants_tsv_stands_in(cohort):
    cohort.names.append("age_participants")
    for row in cohort.rows[:50]:
        row["age_participants"], row["age"] = row["age"], None
    entry = fit_norms(Request(cohort.write(), ("HC",)))["Volumes"]["thalamus_t1w_ml"]
    assert entry["Incomplete"] == 0


def test_sex_and_head_size_are_choices(cohort):
    for row in cohort.rows[:5]:
        row["sex"] = "O"
    assert run(cohort, "--controls", "HC", "--sex", "--without-tiv") == 0
    content = json.loads((cohort.folder / "norms.json").read_text())
    entry = content["Volumes"]["thalamus_t1w_ml"]
    assert set(entry["Coefficients_ml"]) == {"age_years", "age_years^2", "male", "constant"}
    assert entry["Incomplete"] == 5
    assert "WITHOUT head size" in content["Model"]
    assert (content["Columns"]["tiv"], content["Columns"]["sex"]) == (None, "sex")
    assert set(entry["Definition"]) == {"thalamus_t1w_ml"}


def test_a_volume_of_too_few_is_left_out_unless_it_was_named(cohort, capsys):
    for row in cohort.rows[20:]:
        row["thalamus_flair_ml"] = None
    assert run(cohort, "--controls", "HC") == 0
    content = json.loads((cohort.folder / "norms.json").read_text())
    assert set(content["Volumes"]) == {"thalamus_t1w_left_ml", "thalamus_t1w_ml"}
    (cohort.folder / "norms.json").unlink()
    said = refused(capsys, cohort, "--controls", "HC", "--volume-columns", "thalamus_flair_ml")
    assert "20 controls are too few: at least 30 it takes, unless forced" in said
    forced = ("--volume-columns", "thalamus_flair_ml", "--force")
    assert run(cohort, "--controls", "HC", *forced) == 0


@pytest.mark.parametrize(
    ("networks", "expected"), [({}, None), ({"opfer-thalamus": "other"}, "different weights")]
)
def test_the_networks_of_all_controls_must_be_known_and_one(cohort, networks, expected, capsys):
    cohort.networks["sub-007"] = networks
    only = ("--controls", "HC", "--volume-columns", "thalamus_t1w_ml")
    if expected:
        assert expected in refused(capsys, cohort, *only)
    else:
        assert run(cohort, *only) == 0
        content = json.loads((cohort.folder / "norms.json").read_text())
        assert content["Volumes"]["thalamus_t1w_ml"]["Networks"] is None


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("thalamus_t1w_ml", 14500.0, "14500.0000 in thalamus_t1w_ml"),
        ("thalamus_t1w_ml", "large", "large in thalamus_t1w_ml"),
        (TIV, 1.45e6, "in tiv_ml, not a number from 700 to 2200; check its unit"),
        ("age", 480, "480 in age"),
        ("age", "old", "old in age"),
    ],
)
def test_other_units_and_words_are_refused_with_their_line(cohort, capsys, name, value, message):
    cohort.rows[4][name] = value
    said = refused(capsys, cohort, "--controls", "HC")
    assert message in said
    assert "Line 6 of" in said


def test_ages_in_months_are_refused(cohort, capsys):
    cohort.write()
    write_json(cohort.folder / "group_morph.json", {"age": {"Units": "months"}})
    assert "has age in months" in refused(capsys, cohort, "--controls", "HC")


@pytest.mark.parametrize(
    ("gone", "message"),
    [(TIV, "no column tiv_ml, the intracranial volume"), ("age", "no column age."),
     ("group", "no column group."), (SLICE_THICKNESS, "volumes on FLAIR depend on it"),
     ("participant_id", "no column participant_id.")],
)  # fmt: skip
def test_missing_columns_are_named(cohort, capsys, gone, message):
    cohort.names.remove(gone)
    assert message in refused(capsys, cohort, "--controls", "HC")


def test_unknown_controls_are_answered_with_those_there(cohort, capsys):
    said = refused(capsys, cohort, "--controls", "HC", "healthy")
    assert "Nobody in" in said
    assert "has healthy in the column group; it holds HC, MS." in said


def test_who_the_controls_are_must_be_said(cohort, capsys):
    assert run(cohort) == 2
    assert "--controls" in capsys.readouterr().err
    assert run(cohort, "--all-rows") == 0
    assert json.loads((cohort.folder / "norms.json").read_text())["Controls"] == "all"


def test_a_table_that_is_none_and_an_output_that_is_the_table(cohort, capsys, tmp_path):
    assert cli.main(["fit", str(tmp_path / "no.tsv"), "--output", "n.json", "--all-rows"]) == 2
    assert "Cannot read the table" in capsys.readouterr().err
    assert run(cohort, "--all-rows", output="group_morph.tsv") == 2
    assert "write over the table" in capsys.readouterr().err


def test_command_runs_and_help_is_quick_of_libraries(tmp_path):
    code = (
        "import sys; from bids_app.norms.cli import main; main(['--help']); "
        "sys.exit(len({'numpy', 'torch', 'nipype', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "fit" in done.stdout
