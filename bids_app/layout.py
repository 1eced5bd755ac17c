"""PyBIDS's index of the dataset, and the images it finds for each contrast."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bids_app.config import Config
from bids_app.errors import UsageError
from bids_app.filters import Filters, to_query
from bids_app.readable import NOT_UTF8

_DATABASE = "layout_index.sqlite"
_IMAGES = [".nii", ".nii.gz"]
_QUERIES: dict[str, dict[str, Any]] = {
    "t1w": {"suffix": "T1w"},
    "flair": {"suffix": "FLAIR"},
    "t2w": {"suffix": "T2w"},
    "cord": {"suffix": ["T1w", "T2w", "T2starw"]},
}
_NOT_RAW = re.compile(r"^/(derivatives|sourcedata|code|stimuli|models)(/|$)|/\.")
#: Only images in anat folders are asked for: PyBIDS takes 0.4 ms for any other file too, and a
#: dataset has many (sidecars are read by bids_app/sidecars.py).
_NOT_ANAT = re.compile(r"^/sub-[^/]+/(?:ses-[^/]+/)?(?!anat(?:/|$)|ses-)[^/]+(?:/|$)")
_NOT_IMAGE = re.compile(r"/[^/.]*\.(?!nii(?:\.gz)?$)[^/]*$")


def find_images(config: Config, filters: Filters, subjects: Sequence[str]) -> dict[str, list[Path]]:
    """Return, for each contrast, the anatomical images that its query and filter match.

    Raises UsageError where PyBIDS cannot index the dataset or does not know an entity.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        layout = _open(config, subjects)
        found = {}
        for contrast, query in _QUERIES.items():
            own = {k: to_query(v) for k, v in filters.get(contrast, {}).items()}
            wanted = {"datatype": "anat", "extension": _IMAGES, **query, **own}
            try:
                paths = layout.get(return_type="filename", **wanted)
            except Exception as error:  # PyBIDS raises its own, ValueError and SQLAlchemy's
                if not own:
                    raise
                raise UsageError(
                    f"In the filter file {config.bids_filter_file}, the entities of "
                    f"'{contrast}' cannot be used: {_first_sentence(error)}"
                ) from error
            found[contrast] = [config.bids_dir / Path(path) for path in paths]
    return found


def _open(config: Config, subjects: Sequence[str]) -> Any:
    try:
        if config.bids_database_dir is None:
            return _index(config.bids_dir, subjects=subjects if config.participant_label else ())
        return _from_database(config.bids_dir, config.bids_database_dir)
    except UsageError:
        raise
    except Exception as error:
        reason = _first_sentence(error)
        if config.bids_database_dir is None:
            raise UsageError(f"PyBIDS cannot index {config.bids_dir}: {reason}") from error
        raise UsageError(
            f"PyBIDS cannot use the index in {config.bids_database_dir} for {config.bids_dir} "
            f"(delete that folder to index anew): {reason}"
        ) from error


def _index(root: Path, subjects: Sequence[str] = (), database: Path | None = None) -> Any:
    """Index the anatomical images of the dataset, or of it only these subjects."""
    from bids.layout import BIDSLayout, BIDSLayoutIndexer

    ignore = [_NOT_RAW, _NOT_ANAT, _NOT_IMAGE, NOT_UTF8]  # SQLite takes no name of the last kind
    if subjects:
        labels = "|".join(re.escape(label) for label in subjects)
        ignore.append(re.compile(rf"^/sub-(?!(?:{labels})(?:/|$))"))
    indexer = BIDSLayoutIndexer(validate=False, index_metadata=False, ignore=ignore)
    return BIDSLayout(root, indexer=indexer, validate=False, database_path=database)


def _from_database(root: Path, folder: Path) -> Any:
    """Open the index kept in a folder; make it there, whole or not at all, when it is not yet.

    The whole dataset is indexed, whatever the labels, as other runs will use the same index.
    """
    from bids.layout import BIDSLayout

    if not (folder / _DATABASE).is_file():
        folder.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=".index-", dir=folder))
        try:
            _index(root, database=aside).connection_manager.engine.dispose()
            os.replace(aside / _DATABASE, folder / _DATABASE)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    layout = BIDSLayout(database_path=folder)
    if Path(str(layout.root)).resolve() != root:
        raise UsageError(
            f"The index in {folder} is of another dataset, {layout.root}; choose another "
            "--bids-database-dir."
        )
    return layout


def _first_sentence(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text.partition(" [SQL")[0].split(". ")[0].rstrip(".") + "."
