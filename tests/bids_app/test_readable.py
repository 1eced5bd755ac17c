"""Images that cannot be opened fail their session, with a remedy; names that BIDS has not, too."""

import os

import pytest

from bids_app.config import Config
from bids_app.failures import input_failures
from bids_app.query import collect_sessions
from bids_app.readable import unreadable


def sessions_of(root, **settings):
    """Return the sessions of a dataset by the start of their file names."""
    found = collect_sessions(Config(root, root.parent / "out", "participant", **settings))
    return {session.prefix: session for session in found}


def fill(root):
    """Give every image a byte, so that it has content."""
    for path in root.rglob("*.nii.gz"):
        path.write_bytes(b"x")


def test_a_broken_link_fails_its_session_and_no_other(skeleton):
    root = skeleton(["sub-01_FLAIR", "sub-02_FLAIR"])
    fill(root)
    path = root / "sub-02/anat/sub-02_T1w.nii.gz"
    path.symlink_to("../../.git/annex/objects/gone")
    found = sessions_of(root)
    assert found["sub-01"].problems == ()
    assert found["sub-02"].flair and not found["sub-02"].t1w
    (failure,) = input_failures(found.values())
    assert (failure.subject, failure.node) == ("02", "input")
    assert "datalad get sub-02/anat/sub-02_T1w.nii.gz" in failure.message


def test_what_is_not_wanted_does_not_fail(skeleton):
    root = skeleton(["sub-01_FLAIR", "sub-01_run-2_T1w"])
    fill(root)
    for name in ("run-3_T1w", "acq-cord_T2w"):
        (root / f"sub-01/anat/sub-01_{name}.nii.gz").symlink_to("gone")
    assert sessions_of(root)["sub-01"].problems == ()  # another run stands in; no cord was asked
    assert len(sessions_of(root, tasks=["cord"])["sub-01"].problems) == 1
    (root / "sub-01/anat/sub-01_run-2_T1w.nii.gz").unlink()
    assert len(sessions_of(root)["sub-01"].problems) == 1
    assert sessions_of(root, ignore=["t1w"])["sub-01"].problems == ()


@pytest.mark.parametrize("kind", ["pipe", "folder", "loop"])
def test_what_is_no_file_is_never_opened(skeleton, kind):
    root = skeleton(["sub-01_FLAIR"])
    fill(root)
    path = root / "sub-01/anat/sub-01_T1w.nii.gz"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(path.name)
    text = unreadable(path, root)
    assert text.startswith(path.name) and text.endswith(".")
    os.mkfifo(root / "sub-01/anat/sub-01_FLAIR.json")
    session = sessions_of(root)["sub-01"]
    assert session.t1w is None and session.flair
    assert "FLAIR.json" in " ".join(session.notes)


def test_no_permission_is_said(skeleton, monkeypatch):
    root = skeleton(["sub-01_FLAIR"])
    path = root / "sub-01/anat/sub-01_FLAIR.nii.gz"

    def refuse(self, *_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.open", refuse)
    assert "chmod" in unreadable(path, root)


LABELS = ["a b", "x;$(touch owned)", "ü", "a+b", "`id`", "-rf"]


def test_odd_labels_fail_alone(skeleton):
    root = skeleton(["sub-01_FLAIR", "sub-02_ses-1_FLAIR"])
    fill(root)
    for label in LABELS:
        folder = root / f"sub-{label}" / "anat"
        folder.mkdir(parents=True)
        (folder / f"sub-{label}_FLAIR.nii.gz").write_bytes(b"x")
    (root / "sub-02" / "ses-1 2" / "anat").mkdir(parents=True)
    found = sessions_of(root)
    assert found["sub-01"].flair and found["sub-02_ses-1"].flair
    odd = [session for session in found.values() if session.problems]
    assert {s.subject for s in odd} == {*LABELS, "02"}
    for session in odd:
        assert not session.has_brain and "rename it" in session.problems[0]


def test_names_that_are_not_utf8(skeleton):
    root = skeleton(["sub-01_FLAIR"])
    fill(root)
    name = os.fsencode(root / "sub-01/anat") + b"/sub-01_acq-\xff_T1w.nii.gz"
    try:
        with open(name, "wb") as stream:
            stream.write(b"x")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    (text,) = sessions_of(root)["sub-01"].problems
    assert "not UTF-8" in text
    text.encode()
