"""What failed in which session, from the newest run that processed it, and why numbers miss."""

from __future__ import annotations

import pytest

from bids_app import dictionary
from bids_app.config import Config
from bids_app.failures import crash_dir
from bids_app.group_join import join
from bids_app.group_status import (
    FAILED,
    NO_RESULT,
    NOT_ASKED,
    LastRun,
    Problem,
    failed_sessions,
    flags_of,
    unprocessed,
    why_missing,
)

CRASH = "Node: msmorph_wf.sub_01_ses_{}_wf.thalamus_wf.n4\n\nTraceback:\nValueError: It <broke>.\n"
ROWS = [{"participant_id": "sub-01", "session_id": f"ses-{label}"} for label in "ab"]


def add_run(out_dir, name, failed=(), **settings):
    """A run's settings beside the crash files of the sessions that failed in it."""
    folder = crash_dir(out_dir, "01", name)
    folder.mkdir(parents=True)
    config = Config(out_dir / "bids", out_dir, "participant", work_dir=out_dir / "w", **settings)
    config.write_toml(folder / "msmorph.toml")
    for label in failed:
        (folder / f"crash-{label}.txt").write_text(CRASH.format(label))


def test_a_failed_step_is_the_session_s_own(tmp_path):
    add_run(tmp_path, "20260101-000000_x", failed="b")
    runs = failed_sessions(tmp_path, ROWS)
    assert runs["sub-01", "ses-a"] == LastRun(("thalamus",))
    (problem,) = runs["sub-01", "ses-b"].problems
    assert str(problem) == "sub-01_ses-b: the step n4 failed: It <broke>."


def test_only_the_newest_run_of_a_session_counts(tmp_path):
    add_run(tmp_path, "20260101-000000_x", failed="ab")
    add_run(tmp_path, "20260102-000000_x", session_label=["a"], tasks=["cord"])
    runs = failed_sessions(tmp_path, ROWS)
    assert runs["sub-01", "ses-a"] == LastRun(("cord",))
    assert len(runs["sub-01", "ses-b"].problems) == 1
    add_run(tmp_path, "20260103-000000_x")
    assert not failed_sessions(tmp_path, ROWS)["sub-01", "ses-b"].problems


def test_a_run_without_readable_settings_is_said_and_passed_over(tmp_path, caplog):
    add_run(tmp_path, "20260101-000000_x", failed="a")
    (crash_dir(tmp_path, "01", "20260101-000000_x") / "msmorph.toml").write_text("[")
    assert failed_sessions(tmp_path, ROWS)["sub-01", "ses-a"] == LastRun()
    assert "is not known" in caplog.text


def test_a_dataset_without_sessions(tmp_path):
    add_run(tmp_path, "20260101-000000_x", failed="z")
    path = crash_dir(tmp_path, "01", "20260101-000000_x") / "crash-z.txt"
    path.write_text(CRASH.replace("_ses_{}", ""))
    runs = failed_sessions(tmp_path, [{"participant_id": "sub-01", "session_id": "n/a"}])
    assert runs["sub-01", "n/a"].problems[0].who == "sub-01"


def test_who_is_named_and_never_processed(tmp_path):
    (tmp_path / "participants.tsv").write_text("participant_id\tage\nsub-01\t1\nsub-02\t2\n3\t3\n")
    (tmp_path / "sub-01").mkdir()
    (tmp_path / "sub-01" / "sub-01_sessions.tsv").write_text("session_id\nses-a\nses-b\nses-c\n")
    joined = join(ROWS[:1], tmp_path, tmp_path / "nowhere")
    known = [Problem("sub-01", "ses-b", "not in the group table")]
    assert [p.who for p in unprocessed(joined, ROWS[:1], known)] == [
        "sub-02", "sub-3", "sub-01_ses-c",
    ]  # fmt: skip
    assert not unprocessed(joined, ROWS[:1], known, ["01"], ["a"])


@pytest.mark.parametrize(
    ("column", "row", "run", "word"),
    [
        ("thalamus_flair_ml", {"qc_thalamus_flair_flag": "3 mL is odd"}, LastRun(),
         "qc_thalamus_flair_flag"),
        ("thalamus_flair_ml", {"qc_thalamus_t1w_flag": "3 mL is odd"}, LastRun(), NO_RESULT),
        ("thalamus_flair_ml", {"qc_thalamus_flair_flag": "n/a"},
         LastRun(("thalamus",), (Problem("sub-01", "n/a", "x"),)), FAILED),
        ("lesion_ml", {"qc_lesion_flag": "n/a"}, LastRun(("thalamus",)), NOT_ASKED),
        ("lesion_ml", {"qc_lesion_flag": "no result: x"}, LastRun(("lesions",)), "qc_lesion_flag"),
        ("cord_csa_c2c3_mm2", {"qc_cord_flag": "look", "qc_cord_c2c3_flag": "no labels"},
         LastRun(("cord",)), "qc_cord_c2c3_flag"),
        ("brain_parenchymal_fraction", {"qc_structures_flag": "ok", "qc_tiv_flag": "cut"},
         LastRun(), "qc_tiv_flag"),
    ],
)  # fmt: skip
def test_why_a_number_is_missing(column, row, run, word):
    assert why_missing(column, row, run) == word


def test_flags_are_those_of_the_dictionary():
    columns = dictionary.columns()
    for column in columns:
        assert set(flags_of(column)) <= set(columns)
    assert flags_of("lesion_periventricular_ml") == (
        "qc_lesion_regions_flag", "qc_structures_flag", "qc_lesion_flag",
    )  # fmt: skip
