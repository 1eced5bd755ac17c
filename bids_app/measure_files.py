"""Where a session's measures wait in the work folder until its tables are written."""

from __future__ import annotations

from pathlib import Path

from bids_app.config import Config
from bids_app.query import SessionInputs


def measures_folder(config: Config, session: SessionInputs) -> Path:
    """Where the branches of a session keep their columns, a JSON file each."""
    return config.work_dir / "measures" / session.prefix


def lesion_rows_file(config: Config, session: SessionInputs) -> Path:
    """The session's lesions: a JSON list of rows."""
    return measures_folder(config, session) / "tables" / "lesions.json"


def enhancement_rows_file(config: Config, session: SessionInputs) -> Path:
    """The scores of the session's slices: a JSON list of rows."""
    return measures_folder(config, session) / "tables" / "enhancement.json"


def cord_measures_file(config: Config, session: SessionInputs, name: str) -> Path:
    """Columns of the cord on one image, by its name in ``session.cord_sources``.

    They lie apart from those of other branches, since one image of several fills the row.
    """
    return measures_folder(config, session) / "cord" / f"{name}.json"


def cord_rows_file(config: Config, session: SessionInputs, table: str, name: str) -> Path:
    """A table of the cord on one image: a JSON list of rows."""
    return measures_folder(config, session) / "tables" / f"{table}_{name}.json"
