"""Which images each session gets, and what the notes say."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from bids_app.config import Config
from bids_app.errors import UsageError
from bids_app.query import SessionInputs, collect_sessions

DATA = Path(
    os.environ.get("MSMORPH_TEST_DATA", Path(__file__).resolve().parents[3] / "shared" / "data")
)


def collect(root: Path, filters: dict | None = None, **settings) -> list[SessionInputs]:
    if filters is not None:
        settings["bids_filter_file"] = root.parent / "filter.json"
        settings["bids_filter_file"].write_text(json.dumps(filters))
    return collect_sessions(Config(root, root.parent / "out", "participant", **settings))


def names(session: SessionInputs) -> list[str | None]:
    images = (session.t1w, session.flair, session.t2w)
    return [path and path.name.partition(".")[0] for path in images]


def test_one_full_session_has_no_notes(skeleton):
    root = skeleton(["sub-01_ses-2_T1w", "sub-01_ses-2_FLAIR", "sub-01_ses-2_T2w.nii"])
    (session,) = collect(root)
    assert names(session) == ["sub-01_ses-2_T1w", "sub-01_ses-2_FLAIR", "sub-01_ses-2_T2w"]
    assert session.t1w == root / "sub-01/ses-2/anat/sub-01_ses-2_T1w.nii.gz"
    assert (session.prefix, session.notes, session.cord) == ("sub-01_ses-2", (), ())
    assert session.has_brain
    assert session.reference == session.t1w


def test_order_is_by_subject_then_session(skeleton):
    root = skeleton(["sub-b_T1w", "sub-a_ses-2_T1w", "sub-a_ses-1_T1w", "sub-a_FLAIR"])
    assert [s.prefix for s in collect(root)] == ["sub-a", "sub-a_ses-1", "sub-a_ses-2", "sub-b"]


def test_gadolinium_never_stands_in_for_the_t1w(skeleton):
    root = skeleton(
        ["sub-01_ce-gadolinium_T1w", "sub-01_FLAIR", "sub-02_run-1_T1w", "sub-02_run-1_T1w.json"]
    )
    sidecar = root / "sub-02/anat/sub-02_run-1_T1w.json"
    sidecar.write_text('{"ContrastBolusIngredient": "GADOLINIUM"}')
    for filters in (None, {"t1w": {"ceagent": "*"}}):
        first, second = collect(root, filters)
        assert names(first) == [None, "sub-01_FLAIR", None]
        assert first.notes[:2] == (
            "No T1w image: the FLAIR image is the reference space, and thalamus volume on T1w and "
            "intracranial volume are n/a.",
            "No T2w image.",
        )
        assert "sub-01_ce-gadolinium_T1w.nii.gz is contrast-enhanced" in first.notes[2]
        assert not second.has_brain


@pytest.mark.parametrize(
    ("acq", "is_cord"),
    [
        ("cspine", True), ("CervicalCord", True), ("lumbar", True), ("wholeSpine", True),
        ("spinecho", False), ("spinEcho", False), ("record", False), ("mprage", False),
    ],
)  # fmt: skip
def test_cord_by_acquisition_label(skeleton, acq, is_cord):
    (session,) = collect(skeleton([f"sub-01_acq-{acq}_T2w"]))
    assert bool(session.cord) == is_cord
    assert (session.t2w is None) == is_cord


@pytest.mark.parametrize(
    ("sidecar", "is_cord"),
    [
        ("T2w.json", True),
        ("acq-ax_T2w.json", True),
        ("sub-01/sub-01_T2w.json", True),
        ("sub-01/ses-1/ses-1_T2w.json", True),
        ("sub-01/ses-1/anat/sub-01_ses-1_acq-ax_T2w.json", True),
        ("T1w.json", False),
        ("acq-sag_T2w.json", False),
        ("sub-02/sub-02_T2w.json", False),
        ("sub-01/ses-1/anat/sub-01_ses-1_acq-ax_run-1_T2w.json", False),
    ],
)
def test_cord_by_body_part_is_inherited(skeleton, sidecar, is_cord):
    root = skeleton(["sub-01_ses-1_acq-ax_T2w", "sub-02_T1w"])
    (root / sidecar).write_text('{"BodyPart": "cspine"}')
    session = collect(root)[0]
    assert bool(session.cord) == is_cord


def test_the_nearer_sidecar_wins(skeleton):
    root = skeleton(["sub-01_T2w", "sub-02_T2w"])
    (root / "T2w.json").write_text('{"BodyPart": "SPINAL CORD"}')
    (root / "sub-02/anat/sub-02_T2w.json").write_text('{"BodyPart": "BRAIN"}')
    first, second = collect(root)
    assert (len(first.cord), len(second.cord)) == (1, 0)
    assert names(second) == [None, None, "sub-02_T2w"]


def test_cord_images_stay_out_of_the_brain(skeleton):
    stems = ["acq-cspine_T1w", "acq-cspine_T2w", "acq-cspine_T2starw", "acq-cspine_FLAIR"]
    (session,) = collect(skeleton([f"sub-01_{stem}" for stem in stems]))
    assert not session.has_brain
    assert session.reference is None
    assert [p.name.rpartition("_")[2] for p in session.cord] == [
        "T1w.nii.gz", "T2starw.nii.gz", "T2w.nii.gz",
    ]  # fmt: skip
    assert session.notes == (
        "Only spinal-cord images: nothing is measured without --tasks cord.",
        "sub-01_acq-cspine_FLAIR.nii.gz shows the spinal cord and is not used.",
    )


def test_missing_contrasts_are_said(skeleton):
    t1w, t2w, nothing = collect(skeleton(["sub-01_T1w", "sub-02_T2w", "sub-03_PDw"]))
    lesions = "thalamus volume on FLAIR is n/a, and so are brain lesions without a T2w either."
    assert t1w.notes == (f"No FLAIR image: {lesions}", "No T2w image.")
    assert t2w.notes[1] == "No FLAIR image: thalamus volume on FLAIR is n/a."
    assert t2w.notes[0].startswith("No T1w image: the T2w image is the reference space, and ")
    assert nothing.notes == ("No anatomical image that can be used: nothing is measured.",)


def test_a_lesion_network_that_needs_flair_is_said_to(skeleton, monkeypatch):
    bids_dir = skeleton(["sub-01_T2w"])
    monkeypatch.setattr("bids_app.query.lesion_contrasts", lambda *_: ("FLAIR",))
    (session,) = collect(bids_dir, tasks=["lesions"])
    assert session.notes[1] == (
        "No FLAIR image: thalamus volume on FLAIR is n/a, and so are brain lesions, which this"
        " network finds on FLAIR only."
    )


def test_a_subject_without_anat_still_has_an_entry(skeleton):
    root = skeleton(["sub-01_T1w"])
    (root / "sub-02" / "func").mkdir(parents=True)
    (root / "sub-03" / "ses-1").mkdir(parents=True)
    assert [s.prefix for s in collect(root)] == ["sub-01", "sub-02", "sub-03_ses-1"]
    assert [s.has_brain for s in collect(root)] == [True, False, False]


def test_the_first_run_is_taken_and_the_others_noted(skeleton):
    root = skeleton(
        ["sub-01_run-10_T1w", "sub-01_run-2_T1w", "sub-01_rec-a_run-1_T1w", "sub-01_inv-1_T1w"]
    )
    (session,) = collect(root)
    assert names(session)[0] == "sub-01_run-2_T1w"
    assert session.notes[2:] == (
        "T1w: sub-01_run-2_T1w.nii.gz is used and sub-01_run-10_T1w.nii.gz passed over, "
        "a later run.",
        "T1w: sub-01_run-2_T1w.nii.gz is used and sub-01_rec-a_run-1_T1w.nii.gz passed over, "
        "another reconstruction.",
        "T1w: sub-01_run-2_T1w.nii.gz is used and sub-01_inv-1_T1w.nii.gz passed over, "
        "a single inversion.",
    )


def test_magnitude_is_preferred_and_phase_refused(skeleton):
    (session,) = collect(skeleton(["sub-01_part-phase_T1w", "sub-01_part-mag_T1w"]))
    assert names(session)[0] == "sub-01_part-mag_T1w"
    assert "sub-01_part-phase_T1w.nii.gz is not a magnitude image and is not used." in session.notes


@pytest.mark.parametrize("annex", ["link", "pointer"])
def test_a_file_without_content_tells_how_to_get_it(skeleton, annex):
    root = skeleton(["sub-01_FLAIR"])
    image = root / "sub-01/anat/sub-01_T1w.nii.gz"
    if annex == "link":
        image.symlink_to("../../.git/annex/objects/gone.nii.gz")
    else:
        image.write_text("/annex/objects/MD5E-s1--0.nii.gz\n")
    (session,) = collect(root)
    assert names(session) == [None, "sub-01_FLAIR", None]
    assert "`datalad get sub-01/anat/sub-01_T1w.nii.gz`" in session.notes[-1]


def test_a_linked_file_with_content_is_used(skeleton, tmp_path):
    root = skeleton(["sub-01_FLAIR"])
    (tmp_path / "store").write_bytes(b"image")
    (root / "sub-01/anat/sub-01_T1w.nii.gz").symlink_to(tmp_path / "store")
    assert collect(root)[0].t1w == root / "sub-01/anat/sub-01_T1w.nii.gz"


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe\x00", b"[1, 2]"])
def test_a_malformed_sidecar_is_a_note(skeleton, content):
    root = skeleton(["sub-01_T1w"])
    (root / "T1w.json").write_bytes(content)
    (session,) = collect(root)
    assert session.has_brain
    assert session.notes[-1] == (
        "The sidecar T1w.json is not a JSON object in UTF-8 and was not used; correct or remove it."
    )


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, "sub-01_ses-1_T1w"),
        ({"t1w": {"acquisition": "hi"}}, "sub-01_ses-1_acq-hi_T1w"),
        ({"t1w": {"acquisition": ["hi", "lo"]}}, "sub-01_ses-1_acq-hi_T1w"),
        ({"t1w": {"acquisition": None, "run": "*"}}, "sub-01_ses-1_run-2_T1w"),
        ({"t1w": {"acquisition": None, "run": 2}}, "sub-01_ses-1_run-2_T1w"),
        ({"t1w": {"acquisition": "*", "run": None}}, "sub-01_ses-1_acq-hi_T1w"),
        ({"t1w": {"suffix": "T2w"}}, None),
        ({"t1w": {"session": "2"}}, None),
    ],
)
def test_filter_file(skeleton, filters, expected):
    root = skeleton(
        ["sub-01_ses-1_T1w", "sub-01_ses-1_acq-hi_T1w", "sub-01_ses-1_run-2_T1w",
         "sub-01_ses-1_FLAIR", "sub-01_ses-1_acq-lo_run-3_T1w"]
    )  # fmt: skip
    (session,) = collect(root, filters)
    assert names(session)[0] == expected
    assert names(session)[1] == "sub-01_ses-1_FLAIR"


def test_filter_file_can_choose_cord_images_but_not_make_them_brain(skeleton):
    root = skeleton(["sub-01_acq-cspine_T2w", "sub-01_acq-cspine_T2starw", "sub-01_T2w"])
    filters = {"cord": {"suffix": "T2starw"}, "t2w": {"acquisition": "cspine"}}
    (session,) = collect(root, filters)
    assert session.t2w is None
    assert [p.name for p in session.cord] == ["sub-01_acq-cspine_T2starw.nii.gz"]


def test_unknown_entity_in_the_filter_file(skeleton):
    with pytest.raises(UsageError, match="entities of 'flair' cannot be used: 'colour' is not"):
        collect(skeleton(["sub-01_FLAIR"]), {"flair": {"colour": "red"}})


SESSIONS = ["sub-01_ses-1_T1w", "sub-01_ses-2_T1w", "sub-02_ses-2_T1w", "sub-03_T1w"]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"participant_label": ["02"]}, ["sub-02_ses-2"]),
        ({"session_label": ["1"]}, ["sub-01_ses-1"]),
        ({"session_label": ["2", "1"]}, ["sub-01_ses-1", "sub-01_ses-2", "sub-02_ses-2"]),
        ({"participant_label": ["03", "01"], "session_label": ["2"]}, ["sub-01_ses-2"]),
        ({"filters": {"t1w": {"session": "2"}}}, ["sub-01_ses-2", "sub-02_ses-2"]),
        ({"filters": {"t1w": {"session": ["1", "2"]}}, "session_label": ["1"]}, ["sub-01_ses-1"]),
        ({"filters": {"t1w": {"session": None}}}, ["sub-03"]),
    ],
)
def test_labels_and_sessions(skeleton, settings, expected):
    assert [s.prefix for s in collect(skeleton(SESSIONS), **settings)] == expected


def test_sessions_that_exclude_each_other(skeleton):
    with pytest.raises(UsageError, match="No session is left"):
        collect(skeleton(SESSIONS), {"t1w": {"session": "2"}}, session_label=["1"])


def test_unknown_labels_list_the_known_ones(skeleton):
    root = skeleton(SESSIONS)
    with pytest.raises(UsageError, match="participant label: 9, 10; the dataset has: 01, 02, 03"):
        collect(root, participant_label=["01", "9", "10"])
    with pytest.raises(UsageError, match="session label: 3; the dataset has: 1, 2"):
        collect(root, session_label=["3"])
    with pytest.raises(UsageError, match="session label: 1; the dataset has: none"):
        collect(root, participant_label=["03"], session_label=["1"])


def test_a_label_is_not_taken_for_its_beginning(skeleton):
    root = skeleton(["sub-1_T1w", "sub-10_T1w"])
    assert [s.subject for s in collect(root, participant_label=["1"])] == ["1"]
    assert [s.subject for s in collect(root, participant_label=["10"])] == ["10"]


def test_no_participants(skeleton):
    with pytest.raises(UsageError, match="has no participant folders"):
        collect(skeleton([]))


CORD_NOTES = {
    "There": "Spinal-cord images are there; --tasks cord measures them.",
    "Only": "Only spinal-cord images: no brain measures.",
    "T1w": "No spinal-cord image: the upper cord is measured on the T1w image.",
    "None": "No spinal-cord image and no T1w image: the spinal cord is n/a.",
}


@pytest.mark.parametrize(
    ("stems", "tasks", "note", "sources"),
    [
        (["T1w", "acq-cspine_T2w"], ["thalamus"], "There", {"acqcspine_T2w": "acq-cspine_T2w"}),
        (["acq-cspine_T2w"], ["cord"], "Only", {"acqcspine_T2w": "acq-cspine_T2w"}),
        (["T1w", "FLAIR"], ["cord"], "T1w", {"t1w": "T1w"}),
        (["FLAIR"], ["cord"], "None", {}),
        (["T1w", "acq-cspine_T2w"], ["cord"], None, {"acqcspine_T2w": "acq-cspine_T2w"}),
    ],
)
def test_what_the_cord_is_measured_on(skeleton, stems, tasks, note, sources):
    (session,) = collect(skeleton([f"sub-01_{stem}" for stem in stems]), tasks=tasks)
    found = {n: path.name.partition(".")[0] for n, path in session.cord_sources.items()}
    assert found == {n: f"sub-01_{stem}" for n, stem in sources.items()}
    about_cord = [text for text in session.notes if text in CORD_NOTES.values()]
    assert about_cord == ([CORD_NOTES[note]] if note else [])
    assert session.has_input(tasks)


def test_of_several_cord_images_the_best_contrast_comes_first(skeleton):
    stems = ["acq-cspine_T1w", "acq-cspine_T2starw", "acq-cspine_run-1_T2w", "acq-cspine_run-2_T2w"]
    (session,) = collect(skeleton([f"sub-01_{stem}" for stem in stems]), tasks=["cord"])
    assert list(session.cord_sources) == [
        "acqcspine_run1_T2w", "acqcspine_run2_T2w", "acqcspine_T2starw", "acqcspine_T1w",
    ]  # fmt: skip
    assert not session.has_input(["thalamus"])


def test_ignored_contrasts(skeleton):
    root = skeleton(["sub-01_T1w", "sub-01_FLAIR", "sub-01_acq-cspine_T2w"])
    (session,) = collect(root, ignore=["t1w", "cord"])
    assert names(session) == [None, "sub-01_FLAIR", None]
    assert session.cord == ()
    assert "The T1w image is left out (--ignore t1w)." in session.notes
    assert "The spinal-cord images are left out (--ignore cord)." in session.notes


def test_derivatives_and_sourcedata_are_not_indexed(skeleton):
    root = skeleton(["sub-01_FLAIR"])
    for folder in ("derivatives/x", "sourcedata", "code"):
        (root / folder / "sub-01/anat").mkdir(parents=True)
        (root / folder / "sub-01/anat/sub-01_T1w.nii.gz").touch()
    assert names(collect(root)[0]) == [None, "sub-01_FLAIR", None]


def test_a_derivative_dataset_as_input(skeleton):
    root = skeleton(["sub-01_T1w", "sub-01_FLAIR", "sub-01_desc-lesionTruth_mask"])
    description = {"Name": "x", "BIDSVersion": "1.10.0", "DatasetType": "derivative",
                   "GeneratedBy": [{"Name": "bidsgate"}]}  # fmt: skip
    (root / "dataset_description.json").write_text(json.dumps(description))
    assert names(collect(root)[0])[:2] == ["sub-01_T1w", "sub-01_FLAIR"]


def test_the_database_holds_the_whole_dataset(skeleton, tmp_path):
    root, database = skeleton(SESSIONS), tmp_path / "db"
    one = collect(root, participant_label=["02"], bids_database_dir=database)
    assert [p.name for p in database.iterdir()] == ["layout_index.sqlite"]
    assert [s.prefix for s in one] == ["sub-02_ses-2"]
    assert collect(root, bids_database_dir=database) == collect(root)
    (root / "sub-01/ses-1/anat/sub-01_ses-1_T1w.nii.gz").unlink()
    stale = collect(root, bids_database_dir=database)[0]
    assert not stale.has_brain
    assert "no longer there" in stale.notes[-1]


def test_a_database_that_does_not_fit(skeleton, tmp_path):
    root, database = skeleton(SESSIONS), tmp_path / "db"
    collect(root, bids_database_dir=database)
    other = tmp_path / "other" / "bids"
    shutil.copytree(root, other)
    with pytest.raises(UsageError, match="is of another dataset"):
        collect(other, bids_database_dir=database)
    (database / "layout_index.sqlite").write_text("no database")
    with pytest.raises(UsageError, match=r"cannot use the index in .*\(delete that folder"):
        collect(root, bids_database_dir=database)


@pytest.mark.data
@pytest.mark.skipif(not (DATA / "bids").is_dir(), reason=f"no data kit at {DATA}")
def test_the_data_kit():
    sessions = collect_sessions(Config(DATA / "bids", Path("out"), "participant"))
    assert len(sessions) == 15
    cord = [s for s in sessions if s.subject.startswith("sct")]
    assert all(len(s.cord) == 1 and not s.has_brain for s in cord)
    brain = {s.prefix: s for s in sessions if s not in cord}
    assert sum(s.flair is not None for s in brain.values()) == 8
    assert brain["sub-openmsl09_ses-02"].reference == brain["sub-openmsl09_ses-02"].flair
    assert "ce-" not in brain["sub-openmsc07"].t1w.name
    assert all(s.notes for s in cord)
