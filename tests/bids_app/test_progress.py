"""Progress lines name the session and the step."""

import logging
from types import SimpleNamespace

from bids_app.progress import Progress, describe


def test_steps_are_named_by_session():
    name = "msmorph_wf.sub_01_ses_b2_wf.anatomical_wf.flair_n4"
    assert describe(name) == ("sub-01 ses-b2", "bias field of FLAIR corrected")
    for branch in ("thalamus_flair_wf.deepgrai", "thalamus_t1w_wf.opfer"):
        assert describe(f"msmorph_wf.sub_x_wf.{branch}")[0] == "sub-x"
    assert describe("msmorph_wf.sub_x_wf.ds_flair_mask") is None


def test_progress_counts_and_marks_failures(caplog):
    names = ["w.sub_1_wf.t1w_check", "w.sub_1_wf.ds_x", "w.sub_1_wf.t1w_n4"]
    progress = Progress(names)
    with caplog.at_level(logging.INFO, logger="msmorph"):
        logging.getLogger("msmorph").propagate = True
        for name, status in zip(names, ("end", "end", "exception"), strict=True):
            node = SimpleNamespace(fullname=name)
            progress(node, "start")
            progress(node, status)
    assert [r.getMessage() for r in caplog.records] == [
        "[1/2] sub-1: T1w read and checked",
        "[2/2] sub-1: bias field of T1w corrected FAILED",
    ]
