"""Crash files turn into one sentence a session."""

from pathlib import Path

from bids_app import failures
from bids_app.query import SessionInputs

CRASH = """Node: msmorph_wf.sub_01_ses_02_wf.anatomical_wf.flair_check
Working directory: /scratch/work

Node inputs:

in_file = /data/sub-01_FLAIR.nii.gz

Traceback (most recent call last):
  File "x.py", line 1, in run
    raise ValueError("inner: text")
nipype.pipeline.engine.nodes.NodeExecutionError: Exception raised while executing Node flair_check.

Traceback:
\tTraceback (most recent call last):
\t  File "images.py", line 2
\tmeasures.image_checks.ImageError: sub-01_FLAIR.nii.gz is truncated; copy it again.
"""


def session(label):
    """A session of sub-01 without images."""
    return SessionInputs("01", label, None, None, None, (), ())


def test_failure_names_session_node_and_reason(tmp_path: Path):
    folder = failures.crash_dir(tmp_path, "01", "run")
    folder.mkdir(parents=True)
    (folder / "crash-1.txt").write_text(CRASH)
    found = failures.collect_failures(tmp_path, "run", [session("01"), session("02")])
    assert len(found) == 1
    assert (found[0].subject, found[0].session, found[0].node) == ("01", "02", "flair_check")
    assert found[0].message == "sub-01_FLAIR.nii.gz is truncated; copy it again."
    assert "ses-02" in str(found[0])


def test_other_runs_do_not_count(tmp_path: Path):
    folder = failures.crash_dir(tmp_path, "01", "earlier")
    folder.mkdir(parents=True)
    (folder / "crash-1.txt").write_text(CRASH)
    assert failures.collect_failures(tmp_path, "run", [session("02")]) == []
