"""The command on everything that is bad at once: each gets its sentence, the good one its table."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bids_app.tables import read_tsv
from tests.bids_app import bad_input


def msmorph(folder: Path, *words, timeout: float = 120, prefix=(), **environment):
    """Run the command as a user would, for two minutes at most; returns the completed process."""
    command = [*prefix, sys.executable, "-m", "bids_app.cli", *map(str, words)]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=timeout,
        env={**os.environ, **environment},
    )  # fmt: skip


def more_subjects(root: Path, flair: Path) -> None:
    """Subjects whose trouble is not in an image's bytes; and ``good``."""

    def place(label: str, name: str) -> Path:
        path = root / f"sub-{label}" / "anat" / f"sub-{label}_{name}"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    shutil.copyfile(flair, place("good", "FLAIR.nii.gz"))
    place("good", "FLAIR.json").write_bytes(b'{"EchoTime": "\xff"')
    place("annex", "FLAIR.nii.gz").symlink_to("../../.git/annex/objects/gone")
    os.mkfifo(place("pipe", "FLAIR.nii.gz"))
    bad_input.write_head(place("brainascord", "acq-cspine_T2w.nii.gz"))
    for run in (1, 2):
        bad_input.IMAGES["zeros"].write(place("tworuns", f"run-{run}_FLAIR.nii.gz"))
    bad_input.IMAGES["zeros"].write(place("twice", "T1w.nii.gz"))
    shutil.copyfile(place("twice", "T1w.nii.gz"), place("twice", "acq-copy_T1w.nii.gz"))
    bad_input.write_head(place("a b;$(touch owned)", "FLAIR.nii.gz"))
    subjects = sorted(path.name for path in root.glob("sub-*"))
    rows = ["participant_id\tage", *(f"{name}\t40" for name in subjects)]
    (root / "participants.tsv").write_bytes("\r".join(rows).encode() + b"\r\n\n")


@pytest.fixture(scope="module")
def ran(tmp_path_factory, demo_flair):
    """The whole corpus with one good subject: (folder, sentences, finished run, seconds)."""
    folder = tmp_path_factory.mktemp("space in; $(touch owned)")
    root = folder / "bids"
    bad_input.write_description(root)
    sentences = bad_input.write_images(root)
    more_subjects(root, demo_flair)
    start = time.monotonic()
    run = msmorph(
        folder,
        root,
        folder / "out",
        "participant",
        "--nprocs",
        "2",
        "--write-graph",
        "--skip-bids-validation",
        timeout=1800,
    )
    return folder, sentences, run, time.monotonic() - start


@pytest.mark.slow
def test_every_bad_subject_fails_with_its_sentence(ran):
    _, sentences, run, _ = ran
    assert run.returncode == 1, run.stderr
    assert "Traceback" not in run.stderr
    lines = [line.partition("FAILED ")[2] for line in run.stderr.splitlines() if "FAILED " in line]
    for name, words in sentences.items():
        own = [line for line in lines if line.startswith(f"sub-{name} ") and words in line]
        assert len(own) == 1, (name, lines)
        assert f"sub-{name}_" in own[0]
    for name, words in {
        "annex": "datalad get", "pipe": "pipe or device", "tworuns": "only zeros",
        "twice": "only zeros", "a b;$(touch owned)": "rename it",
    }.items():  # fmt: skip
        assert any(line.startswith(f"sub-{name} ") and words in line for line in lines), name
    assert not any(line.startswith(("sub-good", "sub-brainascord")) for line in lines)


@pytest.mark.slow
def test_the_good_subject_finishes_among_them(ran):
    folder, _, run, _ = ran
    _, rows = read_tsv(folder / "out/sub-good/anat/sub-good_morph.tsv")
    assert rows[0]["qc_thalamus_flair_flag"] == "ok"
    assert 8 < float(rows[0]["thalamus_flair_ml"]) < 20
    assert "sub-good_FLAIR.json is not used" in run.stderr
    group = msmorph(folder, folder / "bids", folder / "out", "group", timeout=600)
    assert group.returncode == 0, group.stderr
    table = {row["participant_id"]: row for row in read_tsv(folder / "out/group_morph.tsv")[1]}
    assert table["sub-good"]["age"] == "40"  # of a table with old Macintosh line ends
    numbers = [name for name in rows[0] if name.endswith(("_ml", "_mm2", "_mm3"))]
    for name, row in table.items():
        if name != "sub-good":
            assert {row[number] for number in numbers} == {"n/a"}, name


@pytest.mark.slow
def test_notes_tell_what_was_chosen(ran):
    out = ran[0] / "out"
    assert "Only spinal-cord images" in (out / "sub-brainascord.html").read_text()
    assert "run-2_FLAIR.nii.gz passed over" in (out / "sub-tworuns.html").read_text()
    assert "acq-copy_T1w.nii.gz passed over" in (out / "sub-twice.html").read_text()


@pytest.mark.slow
def test_nothing_ran_that_stands_in_a_name_and_nothing_is_half_written(ran):
    folder = ran[0]
    assert not list(folder.parent.rglob("owned"))
    assert sorted(p.name for p in folder.iterdir()) == ["bids", "out", "work"]
    assert not list((folder / "out").rglob("*.partial"))
    assert not list((folder / "out").rglob("*.tmp"))
    assert next((folder / "out" / "logs").glob("graph-*.dot")).stat().st_size > 0
