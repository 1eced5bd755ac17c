"""JSON sidecars by BIDS's inheritance principle, read straight from the files."""

from __future__ import annotations

import json
import logging
import os
from functools import lru_cache
from pathlib import Path
from typing import Any

LOGGER = logging.getLogger("msmorph.sidecars")


def entities_of(name: str) -> dict[str, str]:
    """Return the entities of a BIDS file name in its order: ``sub-01_T1w`` is {'sub': '01'}."""
    pairs = (part.partition("-") for part in name.partition(".")[0].split("_"))
    return {key: value for key, dash, value in pairs if dash}


def suffix_of(name: str) -> str:
    """Return the suffix of a BIDS file name, such as ``T1w``."""
    return name.partition(".")[0].rpartition("_")[2]


class Sidecars:
    """The sidecars of one dataset; listings and files are read once each."""

    def __init__(self, root: Path) -> None:
        """Start with the dataset's root, where the inheritance begins."""
        self.root = root
        self._listing = lru_cache(maxsize=4096)(_json_names)
        self._read = lru_cache(maxsize=4096)(_read_json)

    def metadata(self, image: Path) -> tuple[dict[str, Any], list[str]]:
        """Return an image's metadata and a sentence for each sidecar that cannot be used.

        A sidecar applies from the root, subject, session or own folder when it has the
        image's suffix and no entity that the image lacks or has otherwise; the nearer wins,
        and in one folder the more specific.
        """
        wanted = entities_of(image.name)
        found: dict[str, Any] = {}
        notes: list[str] = []
        for folder in self._folders(image):
            fitting = [
                (entities_of(name), name)
                for name in self._listing(folder)
                if suffix_of(name) == suffix_of(image.name)
            ]
            fitting = [(own, name) for own, name in fitting if own.items() <= wanted.items()]
            for _, name in sorted(fitting, key=lambda pair: (len(pair[0]), pair[1])):
                content = self._read(folder / name)
                if content is None:
                    notes.append(
                        f"The sidecar {(folder / name).relative_to(self.root)} is not a JSON "
                        "object in UTF-8 and was not used; correct or remove it."
                    )
                else:
                    found.update(content)
        return found, notes

    def _folders(self, image: Path) -> list[Path]:
        """Return the folders from the root down to the image's own."""
        parts = image.parent.relative_to(self.root).parts
        return [self.root.joinpath(*parts[:depth]) for depth in range(len(parts) + 1)]


def _json_names(folder: Path) -> tuple[str, ...]:
    return tuple(sorted(name for name in os.listdir(folder) if name.endswith(".json")))


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        # A pipe would never end.
        content = json.loads(path.read_text(encoding="utf-8-sig")) if path.is_file() else None
    except (OSError, ValueError, RecursionError):
        content = None
    if isinstance(content, dict):
        return content
    LOGGER.warning("The sidecar %s is not used, it is no JSON object in UTF-8.", path)
    return None
