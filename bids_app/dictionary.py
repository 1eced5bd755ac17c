"""The data dictionaries: the one home of each column's meaning, unit and method.

``data/morph_dictionary.json`` holds every column of ``*_morph.tsv`` (one row a session),
``data/lesions_dictionary.json`` of ``*_desc-lesions_morph.tsv`` (one row a lesion of the brain),
``data/enhancement_dictionary.json`` of ``*_desc-enhancement_morph.tsv`` (one row a slice),
``data/slices_dictionary.json``, ``data/cordlesions_dictionary.json`` and
``data/cordlevels_dictionary.json`` those of one row a section, a lesion and a vertebral level of
the spinal cord, in the table's order. The JSON sidecars, the report's sentences, the group tables
and the page in ``docs/`` are made from them; a new column is one more entry there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

#: The tables, as the functions here and in ``tables`` know them.
MORPH, LESIONS = "morph", "lesions"
SLICES, CORD_LESIONS, CORD_LEVELS = "slices", "cordlesions", "cordlevels"
ENHANCEMENT = "enhancement"
#: Those that a session has one of for each image of the cord.
CORD_TABLES = (SLICES, CORD_LESIONS, CORD_LEVELS)
_FOLDER = Path(__file__).with_name("data")
#: Entry in the file -> its name in a sidecar. Type only serves the writing of tables,
#: Task (where there is one) the report, which does not miss what nobody asked for, and
#: Experimental (true) its section for what must not be mistaken for a measure.
_SIDECAR_FIELDS = ("LongName", "Description", "Units", "Levels", "Source", "QualityControl")


@lru_cache
def entries(table: str = MORPH) -> Mapping[str, Mapping[str, Any]]:
    """Return column -> its entry (LongName, Description, Units, Levels, Source, ...), in order."""
    return json.loads((_FOLDER / f"{table}_dictionary.json").read_text(encoding="utf-8"))


def columns(table: str = MORPH) -> tuple[str, ...]:
    """Return every column of a table in its order."""
    return tuple(entries(table))


def describe(column: str, table: str = MORPH) -> Mapping[str, Any]:
    """Return the entry of one column; raises ValueError for a column the dictionary lacks."""
    try:
        return entries(table)[column]
    except KeyError:
        raise ValueError(
            f"The column '{column}' is not in the data dictionary of the table '{table}'; "
            "add it there."
        ) from None


def is_quality_control(column: str) -> bool:
    """Return whether a column judges the data or the result, rather than measuring the patient."""
    return bool(describe(column)["QualityControl"])


def is_flag(column: str) -> bool:
    """Return whether a column says 'ok' or the reason why something is not."""
    return "ok" in describe(column).get("Levels", {})


def sidecar(wanted: Iterable[str] | None = None, table: str = MORPH) -> dict[str, dict[str, Any]]:
    """Return the JSON sidecar of a table with these columns (default: all), BIDS's terms.

    Raises ValueError for a column that the dictionary lacks.
    """
    described = {
        name: describe(name, table) for name in (columns(table) if wanted is None else wanted)
    }
    return {
        name: {field: entry[field] for field in _SIDECAR_FIELDS if field in entry}
        for name, entry in described.items()
    }


def markdown_table(table: str = MORPH) -> str:
    """Return the dictionary as a Markdown table, for the documentation."""
    lines = ["| Column | Unit | Meaning | Method |", "|---|---|---|---|"]
    for name, entry in entries(table).items():
        unit = entry.get("Units", entry["Type"])
        lines.append(f"| `{name}` | {unit} | {entry['Description']} | {entry['Source']} |")
    return "\n".join(lines) + "\n"
