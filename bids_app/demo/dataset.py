"""Writing the demo: a raw BIDS dataset and the truth as a derivative dataset inside it."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from .anatomy import build_head
from .contrast import SIGNAL, contrast_map
from .cord import CordScan, draw_cord
from .deform import Grid
from .lesions import region_maps
from .session import SUBJECTS, Scan, make_subject, simulate
from .sidecars import (
    CORD_SIDECAR,
    DATASET_NAME,
    DERIVATIVE_DESCRIPTION,
    PARTICIPANT_COLUMNS,
    RAW_DESCRIPTION,
    README,
    SESSION_DAYS,
    SIDECARS,
    SLICE_COLUMNS,
    THALAMUS_LUT,
    TRUTH_COLUMNS,
)

#: Participant and session whose cord was scanned too.
CORD_SESSION = ("01", "01")


class DemoError(Exception):
    """The demo cannot be written here; the message says why and what to do (exit code 2)."""


def check_target(directory: Path) -> None:
    """Raise DemoError unless ``directory`` is absent, empty or an earlier demo dataset."""
    if directory.is_symlink() or (directory.exists() and not directory.is_dir()):
        raise DemoError(f"{directory} is not a folder; name a new folder for the demo dataset.")
    if not directory.exists() or not any(directory.iterdir()):
        return
    try:
        text = (directory / "dataset_description.json").read_text(encoding="utf-8")
        name = json.loads(text).get("Name")
    except (OSError, ValueError, AttributeError):
        name = None
    if name != DATASET_NAME:
        raise DemoError(
            f"{directory} is not empty and not an earlier demo dataset; name a new or empty folder."
        )


def write_dataset(directory: Path, seed: int) -> Path:
    """Simulate everything and write it to ``directory`` (aside first, then renamed)."""
    directory = Path(os.path.abspath(directory))
    check_target(directory)
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=f".{directory.name}-", dir=directory.parent))
    except OSError as error:
        raise DemoError(f"cannot write in {directory.parent}: {error.strerror}.") from error
    try:
        aside.chmod(0o777 & ~_umask())
        _fill(aside, seed)
        _replace(aside, directory)
    except OSError as error:
        raise DemoError(f"could not write the demo to {directory}: {error}.") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return directory


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _replace(aside: Path, directory: Path) -> None:
    """Put ``aside`` in the place of ``directory`` (an empty folder or an earlier demo)."""
    if directory.exists():
        old = Path(tempfile.mkdtemp(prefix=f".{directory.name}-old-", dir=directory.parent))
        os.replace(directory, old / "demo")
        try:
            os.replace(aside, directory)
        except OSError:
            os.replace(old / "demo", directory)
            raise
        finally:
            shutil.rmtree(old, ignore_errors=True)
    else:
        os.replace(aside, directory)


def _fill(root: Path, seed: int) -> None:
    """Write the whole dataset below ``root``. Two sessions are simulated at a time."""
    _write_descriptions(root)
    # the cord's stream is the last, so that those of the heads are what they are without it
    *streams, cord_stream = np.random.default_rng(seed).spawn(2 + 3 * len(SUBJECTS))
    head = build_head(streams[0])
    maps = region_maps(head)

    def one(job: tuple[int, int]) -> dict:
        index, session = job
        scan = simulate(head, signals, subjects[index], session, streams[3 * index + 1 + session])
        return _write_scan(root, SUBJECTS[index].label, f"{session:02d}", scan)

    with ThreadPoolExecutor(2) as pool:
        signals = dict(zip(SIGNAL, pool.map(lambda s: contrast_map(head, s), SIGNAL), strict=True))
        subjects = list(
            pool.map(
                lambda i: make_subject(head, SUBJECTS[i], streams[3 * i + 1], maps),
                range(len(SUBJECTS)),
            )
        )
        rows = list(pool.map(one, [(i, s) for i in range(len(SUBJECTS)) for s in (1, 2)]))
    cord = draw_cord(cord_stream)
    _write_cord(root, cord)
    for row in rows:
        scanned = (row["participant_id"], row["session_id"]) == _ids(*CORD_SESSION)
        row.update(cord.truth if scanned else dict.fromkeys(cord.truth, "n/a"))
    _write_table(root / "derivatives" / "truth" / "truth.tsv", rows)


def _save(path: Path, data: np.ndarray, grid: Grid) -> None:
    """Write a NIfTI with sform and qform (code 1), millimetres and seconds."""
    import nibabel as nib

    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(data, grid.affine)
    image.set_sform(grid.affine, code=1)
    image.set_qform(grid.affine, code=1)
    image.header.set_xyzt_units("mm", "sec")
    image.header["descrip"] = b"MSMorph demo, simulated"
    nib.save(image, path)


def _write_json(path: Path, content: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _write_table(path: Path, rows: list[dict]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ["\t".join(rows[0])] + ["\t".join(str(v) for v in row.values()) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _write_scan(root: Path, subject: str, session: str, scan: Scan) -> dict:
    """Write a session's images and truth; return its row of truth.tsv."""
    stem = f"sub-{subject}_ses-{session}"
    part = Path(f"sub-{subject}") / f"ses-{session}" / "anat"
    for suffix, (data, grid) in scan.images.items():
        _save(root / part / f"{stem}_{suffix}.nii.gz", data, grid)
        _write_json(root / part / f"{stem}_{suffix}.json", SIDECARS[suffix])
        truth = root / "derivatives" / "truth" / part
        name = f"{stem}_space-{suffix}_seg-thalamus_dseg"
        _save(truth / f"{name}.nii.gz", scan.thalamus[suffix], grid)
        source = f"bids:raw:{part.as_posix()}/{stem}_{suffix}.nii.gz"
        spatial = {"SpatialReference": source, "Sources": [source]}
        _write_json(truth / f"{name}.json", {"Manual": False, **spatial})
        _write_table(truth / f"{name}.tsv", THALAMUS_LUT)
        if suffix == "T1w":
            name = f"{stem}_space-T1w_label-L_mask"
            _save(truth / f"{name}.nii.gz", scan.lesion, grid)
            _write_json(truth / f"{name}.json", {"Type": "Lesion", **spatial})
    participant_id, session_id = _ids(subject, session)
    return {"participant_id": participant_id, "session_id": session_id, **scan.truth}


def _ids(subject: str, session: str) -> tuple[str, str]:
    """Return participant_id and session_id."""
    return f"sub-{subject}", f"ses-{session}"


def _write_cord(root: Path, cord: CordScan) -> None:
    """Write the cord's image, and its truth: masks, discs and a table of its slices."""
    stem = "_".join(_ids(*CORD_SESSION)) + "_acq-cspine"
    part = Path(*_ids(*CORD_SESSION)) / "anat"
    _save(root / part / f"{stem}_T2w.nii.gz", cord.image, cord.grid)
    _write_json(root / part / f"{stem}_T2w.json", CORD_SIDECAR)
    source = f"bids:raw:{part.as_posix()}/{stem}_T2w.nii.gz"
    spatial = {"SpatialReference": source, "Sources": [source]}
    truth = root / "derivatives" / "truth" / part
    for name, data, meta in (
        ("label-SC_mask", cord.cord, {"Type": "ROI"}),
        ("label-L_mask", cord.lesion, {"Type": "Lesion"}),
        ("label-disc_dseg", cord.discs, {"Manual": False}),
    ):
        _save(truth / f"{stem}_space-T2w_{name}.nii.gz", data, cord.grid)
        _write_json(truth / f"{stem}_space-T2w_{name}.json", {**meta, **spatial})
    labels = [
        {"index": n, "name": f"Upper border of C{n}", "abbreviation": f"C{n}"}
        for n in np.unique(cord.discs[cord.discs > 0])
    ]
    _write_table(truth / f"{stem}_space-T2w_label-disc_dseg.tsv", labels)
    _write_table(truth / f"{stem}_space-T2w_desc-slices_morph.tsv", cord.slices)
    _write_json(truth / f"{stem}_space-T2w_desc-slices_morph.json", SLICE_COLUMNS)


def _write_descriptions(root: Path) -> None:
    """Write README, descriptions, participants and sessions tables of both datasets."""
    _write_json(root / "dataset_description.json", RAW_DESCRIPTION)
    (root / "README").write_text(README, encoding="utf-8")
    truth = root / "derivatives" / "truth"
    _write_json(truth / "dataset_description.json", DERIVATIVE_DESCRIPTION)
    _write_json(truth / "truth.json", TRUTH_COLUMNS)
    # tables of our own, which BIDS has no name for
    (truth / ".bidsignore").write_text("truth.*\n*_morph.*\n", encoding="utf-8")
    (truth / "README").write_text(
        "The truth of the simulated images of the dataset above; see its README.\n",
        encoding="utf-8",
    )
    people = [{"participant_id": f"sub-{s.label}", **s.participant} for s in SUBJECTS]
    _write_table(root / "participants.tsv", people)
    _write_json(root / "participants.json", PARTICIPANT_COLUMNS)
    for plan in SUBJECTS:
        rows = [{"session_id": s, "days_since_baseline": d} for s, d in SESSION_DAYS.items()]
        path = root / f"sub-{plan.label}" / f"sub-{plan.label}_sessions"
        _write_table(path.with_suffix(".tsv"), rows)
        _write_json(
            path.with_suffix(".json"),
            {"days_since_baseline": {"Description": "Days since ses-01", "Units": "day"}},
        )
