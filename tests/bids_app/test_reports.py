"""A report comes out of every run, opens offline, and says what happened."""

from __future__ import annotations

import re

import pytest

from bids_app import reports, tables
from bids_app.config import Config
from bids_app.failures import Failure
from bids_app.query import SessionInputs

CARD = {
    "name": "deepgrai-stage1", "sha256": "ab" * 32, "trained_on": ["A", "B"],
    "intended_use": "Research", "limits": "",
}  # fmt: skip


@pytest.fixture
def config(tmp_path):
    (tmp_path / "out").mkdir()
    return Config(bids_dir=tmp_path / "bids", output_dir=tmp_path / "out", analysis_level="group")


def inputs(config, session="1", **images):
    paths = {
        c: config.bids_dir / images[c] if c in images else None for c in ("t1w", "flair", "t2w")
    }
    return SessionInputs("01", session, **paths, cord=(), notes=("No T2w <image>.",))


def write(config, sessions, failures=(), cards=(CARD,)):
    path = reports.write_subject_report(config.output_dir, "01", sessions, failures, config, cards)
    assert path == config.output_dir / "sub-01.html"
    return path.read_text(encoding="utf-8")


def test_everything_failed(config, tmp_path):
    crash = tmp_path / "crash.txt"
    crash.write_bytes(b"Killed <b>\xff & gone")
    failures = [
        Failure("01", "1", "wf.flair_check", "a.nii.gz is <damaged>.", crash),
        Failure("01", None, "wf.other", "It broke.", tmp_path / "none.txt"),
        Failure("01", "2", "wf.third", "It broke too."),
    ]
    page = write(config, [inputs(config), inputs(config, "2")], failures)
    assert "3\nsteps failed" in page
    assert page.count("n/a, the session failed or was not processed") == 2
    assert "a.nii.gz is &lt;damaged&gt;." in page
    assert "Killed &lt;b&gt;\ufffd &amp; gone" in page
    assert "cannot be read" in page
    assert "There is no crash file" in page
    assert "No T2w &lt;image&gt;." in page


def test_numbers_flags_and_what_is_absent(config):
    row = {
        "participant_id": "sub-01", "session_id": "ses-1", "thalamus_flair_asymmetry": -0.0226,
        "brain_mask_ml": 1345.216, "qc_thalamus_flair_flag": "volume of 3.0 mL is odd",
        "qc_brain_mask_flag": "ok",
    }  # fmt: skip
    tables.write_morph_row(row, config.output_dir / "sub-01/ses-1/anat/sub-01_ses-1_morph.tsv")
    page = write(config, [inputs(config, t1w="sub-01/ses-1/anat/sub-01_ses-1_T1w.nii.gz")])
    assert "No step failed." in page
    assert "1345.22 mL" in page
    assert "-0.0226" in page
    assert "volume of 3.0 mL is odd" in page
    assert page.count("✓ ok") == 1
    assert page.count("✗ check") == 1
    assert re.search(r"Not measured \(n/a\): Left thalamus, FLAIR", page)
    assert ">sub-01/ses-1/anat/sub-01_ses-1_T1w.nii.gz<" in page


@pytest.mark.parametrize(("tasks", "said"), [(["thalamus"], False), (["lesions"], True)])
def test_measures_of_a_task_not_asked_for_are_not_missed(config, tasks, said):
    config.tasks = tasks
    tables.write_morph_row({}, config.output_dir / "sub-01/ses-1/anat/sub-01_ses-1_morph.tsv")
    page = write(config, [inputs(config)])
    assert "Not measured (n/a): " in page
    assert ("Periventricular lesions" in page) == said


def test_broken_table_is_reported(config):
    path = config.output_dir / "sub-01/ses-1/anat/sub-01_ses-1_morph.tsv"
    tables.write_morph_row({}, path).write_text("")
    assert "is empty" in write(config, [inputs(config)])


def test_figures_of_the_right_session_in_order(config):
    folder = config.output_dir / "sub-01" / "figures"
    folder.mkdir(parents=True)
    names = [
        "sub-01_ses-1_desc-thalamus_FLAIR.svg", "sub-01_ses-1_acq-a_desc-brainmask_T1w.svg",
        "sub-01_ses-10_desc-thalamus_FLAIR.svg", "sub-01_ses-1_desc-other_FLAIR.svg",
        "sub-01_desc-mni_T1w.svg",
    ]  # fmt: skip
    for name in names:
        (folder / name).write_text("<svg/>")
    found = reports.find_figures(config.output_dir, inputs(config))
    assert [figure["file"] for figure in found] == [names[1], names[0]]
    found = reports.find_figures(config.output_dir, inputs(config, None))
    assert [figure["file"] for figure in found] == [names[4]]
    page = write(config, [inputs(config)])
    assert 'src="./sub-01/figures/sub-01_ses-1_desc-thalamus_FLAIR.svg"' in page


def test_opens_offline_and_says_what_the_networks_are(config):
    page = write(config, [inputs(config)])
    loaded = re.findall(r'<(?:script|link|img|iframe|object)[^>]*(?:src|href|data)="([^"]*)"', page)
    assert loaded == []
    assert "@import" not in page
    assert "<script" not in page
    assert "research use only" in page
    assert "ab" * 32 in page
    assert "A; B" in page
    assert "not stated" in page
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(set(ids)) == len(ids)
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)


def test_long_crash_files_are_cut(config, tmp_path):
    crash = tmp_path / "crash.txt"
    crash.write_text("x" * 100_000 + "THE END")
    page = write(config, [inputs(config)], [Failure("01", "1", "a", "b", crash)])
    assert "60007 characters left out" in page
    assert "THE END" in page


def test_no_sessions_and_no_cards(config):
    assert "sub-01" in write(config, [], cards=())
