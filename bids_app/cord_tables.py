"""The spinal cord in a session's tables: its columns of the one row, and tables of each image."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bids_app.config import Config
from bids_app.dictionary import CORD_TABLES
from bids_app.measure_files import cord_measures_file, cord_rows_file
from bids_app.query import SessionInputs, own_label
from bids_app.sidecars import entities_of, suffix_of
from bids_app.tables import table_name, write_rows
from measures.cord_checks import NO_RESULT


def cord_columns(config: Config, session: SessionInputs) -> dict[str, Any]:
    """Return the cord's columns of a session; {} where no image of it was measured.

    Of several images they come from the best with a result, without any from the best.
    """
    found = []
    for name, image in session.cord_sources.items():
        path = cord_measures_file(config, session, name)
        if path.is_file():
            measured = json.loads(path.read_text(encoding="utf-8"))
            found.append({**measured, "qc_cord_image": own_label(image)})
    good = [columns for columns in found if not columns["qc_cord_flag"].startswith(NO_RESULT)]
    return next(iter(good or found), {})


def write_cord_tables(
    config: Config, session: SessionInputs, labels: Mapping[str, Any], folder: Path
) -> None:
    """Write the tables of each image that was measured into the session's folder.

    ``labels`` are the session's own columns. An image without a result has headers alone.
    """
    for name, image in session.cord_sources.items():
        own = {**labels, "cord_image": own_label(image)}
        for table in CORD_TABLES:
            path = cord_rows_file(config, session, table, name)
            if path.is_file():
                rows = [own | row for row in json.loads(path.read_text(encoding="utf-8"))]
                write_rows(rows, folder / cord_table_name(image, table), table)


def cord_table_name(image: Path, table: str) -> str:
    """Return ``sub-01_acq-x_space-T2w_desc-slices_morph.tsv`` for an image and a table.

    The space is the image's own grid, without which those of a T2w and a T2starw would be one.
    """
    names = {k: v for k, v in entities_of(image.name).items() if k not in ("space", "desc")}
    prefix = "_".join(f"{key}-{value}" for key, value in names.items())
    return table_name(f"{prefix}_space-{suffix_of(image.name)}", table)


def old_cord_tables(session: SessionInputs, folder: Path) -> list[Path]:
    """Return the cord's tables in a session's folder, of images that may be gone."""
    return [
        path
        for table in CORD_TABLES
        for path in folder.glob(f"{session.prefix}_*_desc-{table}_morph.*")
    ]
