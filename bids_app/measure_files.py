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
