"""What makes the output folder a BIDS derivative dataset of its own.

``dataset_description.json``, ``.bidsignore`` and copies of the participants' and sessions'
tables, so that the group level needs the derivatives alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bids_app import __version__
from bids_app.atomic import atomic_write_bytes, atomic_write_text
from bids_app.errors import UsageError
from bids_app.tables import read_json, write_json

BIDS_VERSION = "1.10.0"
NAME = "MSMorph"
#: What BIDS 1.10 has no name for, though its derivatives need it. Folders are without a slash at
#: the end: bids-validator-deno 3.0.2 goes on to report those that have one.
BIDSIGNORE = ("*.html", "logs", "log", "figures", "*_xfm.*", "*_morph.*",
              "*_desc-centerline_mask.csv")  # fmt: skip
_CONTAINER_TYPES = ("docker", "singularity", "apptainer", "podman", "charliecloud")


def write_dataset_description(
    out_dir: str | Path, bids_dir: str | Path, tasks: Iterable[str], subjects: Iterable[str] = ()
) -> Path:
    """Write ``dataset_description.json`` and ``.bidsignore``; copy the participants' tables.

    The sessions tables are copied of ``subjects`` (labels without prefix) and of those that have
    a folder already. Safe to repeat and to run from several jobs at once. Raises UsageError when
    the folder already belongs to another dataset, which is left as it is.
    """
    out_dir, bids_dir = Path(out_dir), Path(bids_dir).absolute()
    path = out_dir / "dataset_description.json"
    refuse_foreign_dataset(out_dir)
    source = read_json(bids_dir / "dataset_description.json")
    write_json(path, describe_dataset(source, bids_dir, tasks))
    _write_bidsignore(out_dir / ".bidsignore")
    copy_tables(out_dir, bids_dir, subjects)
    return path


def refuse_foreign_dataset(out_dir: str | Path) -> None:
    """Raise UsageError when ``out_dir`` holds a dataset that MSMorph did not make."""
    path = Path(out_dir) / "dataset_description.json"
    found = read_json(path)
    generators = found.get("GeneratedBy") or []
    names = [g.get("Name") for g in generators if isinstance(g, dict)]
    if found and NAME not in names:
        what = f"derivatives of {names[0]}" if names else "a dataset of its own"
        raise UsageError(
            f"{Path(out_dir)} already holds {what} ({path.name}); choose another output folder."
        )


def describe_dataset(
    source: dict[str, Any], bids_dir: Path, tasks: Iterable[str]
) -> dict[str, Any]:
    """Return the content of ``dataset_description.json``, given that of the source dataset."""
    generator: dict[str, Any] = {
        "Name": NAME,
        "Version": __version__,
        "Description": f"Multiple-sclerosis MRI morphometry; tasks: {', '.join(tasks)}",
    }
    if container := os.environ.get("MSMORPH_CONTAINER", "").strip():
        generator["Container"] = _container(container)
    origin = {"URL": bids_dir.as_uri()}
    if doi := str(source.get("DatasetDOI") or "").strip():
        origin["DOI"] = doi
    source_name = str(source.get("Name") or bids_dir.name)
    return {
        "Name": f"{NAME} derivatives of: {source_name}",
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [generator],
        "SourceDatasets": [origin],
        "DatasetLinks": {"raw": bids_dir.as_uri()},
        "HowToAcknowledge": "Please cite what logs/CITATION.md lists, and the source dataset.",
    }


def _container(name: str) -> dict[str, str]:
    """Read MSMORPH_CONTAINER: ``docker://image:tag``, ``docker:image:tag`` or ``image:tag``."""
    kind, colon, rest = name.partition(":")
    if not colon or kind.lower() not in _CONTAINER_TYPES:
        return {"Tag": name}
    if rest.startswith("//"):
        return {"Type": kind.lower(), "Tag": rest[2:], "URI": name}
    return {"Type": kind.lower(), "Tag": rest}


def _write_bidsignore(path: Path) -> None:
    """Write our patterns, and keep those that somebody has added."""
    try:
        added = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        added = []
    own = [line for line in added if line.strip() and line not in BIDSIGNORE]
    atomic_write_text(path, "\n".join([*BIDSIGNORE, *own]) + "\n")


def copy_tables(out_dir: Path, bids_dir: Path, subjects: Iterable[str] = ()) -> list[Path]:
    """Copy participants.* and the sessions tables of ``subjects`` and of folders in ``out_dir``.

    Returns the copies. A table that the source lacks is not an error. A dictionary at the top that
    describes no table here would be invalid BIDS.
    """
    names = ["participants.tsv", "participants.json"]
    folders = {path.name for path in out_dir.glob("sub-*") if path.is_dir()}
    for label in sorted(folders | {f"sub-{subject}" for subject in subjects}):
        names += [f"{label}/{label}_sessions.{kind}" for kind in ("tsv", "json")]
    if any(name.endswith("_sessions.tsv") and (bids_dir / name).is_file() for name in names):
        names.append("sessions.json")
    return [
        atomic_write_bytes(out_dir / name, (bids_dir / name).read_bytes())
        for name in names
        if (bids_dir / name).is_file()
    ]
