"""The data dictionary: the one home of each column's meaning, unit and method.

``data/morph_dictionary.json`` holds every column of ``*_morph.tsv``, in the table's order. The
JSON sidecars, the report's sentences, the group table and the page in ``docs/`` are made from it;
a new column is one more entry there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

_FILE = Path(__file__).with_name("data") / "morph_dictionary.json"
#: Entry in the file -> its name in a sidecar. Type only serves the writing of tables.
_SIDECAR_FIELDS = ("LongName", "Description", "Units", "Levels", "Source", "QualityControl")


@lru_cache(maxsize=1)
def entries() -> Mapping[str, Mapping[str, Any]]:
    """Return column -> its entry (LongName, Description, Units, Levels, Source, ...), in order."""
    return json.loads(_FILE.read_text(encoding="utf-8"))


def columns() -> tuple[str, ...]:
    """Return every column of ``*_morph.tsv`` in the table's order."""
    return tuple(entries())


def describe(column: str) -> Mapping[str, Any]:
    """Return the entry of one column; raises ValueError for a column the dictionary lacks."""
    try:
        return entries()[column]
    except KeyError:
        raise ValueError(
            f"The column '{column}' is not in the data dictionary ({_FILE.name}); add it there."
        ) from None


def is_quality_control(column: str) -> bool:
    """Return whether a column judges the data or the result, rather than measuring the patient."""
    return bool(describe(column)["QualityControl"])


def is_flag(column: str) -> bool:
    """Return whether a column says 'ok' or the reason why something is not."""
    return "ok" in describe(column).get("Levels", {})


def sidecar(wanted: Iterable[str] | None = None) -> dict[str, dict[str, Any]]:
    """Return the JSON sidecar of a table with these columns (default: all), BIDS's terms.

    Raises ValueError for a column that the dictionary lacks.
    """
    names = columns() if wanted is None else tuple(wanted)
    return {
        name: {field: describe(name)[field] for field in _SIDECAR_FIELDS if field in describe(name)}
        for name in names
    }


def markdown_table() -> str:
    """Return the dictionary as a Markdown table, for the documentation."""
    lines = ["| Column | Unit | Meaning | Method |", "|---|---|---|---|"]
    for name, entry in entries().items():
        unit = entry.get("Units", entry["Type"])
        lines.append(f"| `{name}` | {unit} | {entry['Description']} | {entry['Source']} |")
    return "\n".join(lines) + "\n"
