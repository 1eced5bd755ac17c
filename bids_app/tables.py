"""Tables of numbers: ``*_morph.tsv`` with its sidecar, and plain TSV reading and writing.

Every table is tab separated, UTF-8, ``\\n`` line ends, without quotes, with ``n/a`` for what is
missing, and ``true`` or ``false``: R reads it with ``read.delim(f, na.strings = "n/a")``.
"""

from __future__ import annotations

import json
import math
import numbers
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bids_app import dictionary
from bids_app.atomic import atomic_write_text
from bids_app.dictionary import MORPH

MISSING = "n/a"
Row = dict[str, str]


class TableError(ValueError):
    """A table cannot be read; the message is one sentence that names the file."""


def table_name(prefix: str, table: str = MORPH) -> str:
    """Return a table's file name: ``sub-01_morph.tsv``, ``group_desc-lesions_morph.tsv``."""
    return f"{prefix}_morph.tsv" if table == MORPH else f"{prefix}_desc-{table}_morph.tsv"


def format_value(value: Any) -> str:
    """Spell one value: four decimals for a real number, ``n/a`` for None, NaN, infinity or ''.

    Four decimals of a millilitre are a tenth of a cubic millimetre, less than any voxel.
    """
    if value is None:
        return MISSING
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, numbers.Integral):
        return str(int(value))
    if isinstance(value, numbers.Real):
        number = float(value)
        if not math.isfinite(number):
            return MISSING
        text = f"{number:.4f}"
        return "0.0000" if text == "-0.0000" else text
    return clean_text(str(value)) or MISSING


def clean_text(text: str) -> str:
    """Return a cell's text without tabs, line ends and double quotes, which would break it in R."""
    return " ".join(text.split()).replace('"', "'")


def write_morph_row(row: Mapping[str, Any], tsv_path: str | Path) -> Path:
    """Write one session's row and its sidecar, as :func:`write_rows` does."""
    return write_rows([row], tsv_path)


def prefix_of(subject: str, session: str | None) -> str:
    """Return ``sub-01_ses-02``, or ``sub-01`` without a session (None or n/a)."""
    return subject if session in (None, MISSING) else f"{subject}_{session}"


def write_rows(rows: Sequence[Mapping[str, Any]], tsv_path: str | Path, table: str = MORPH) -> Path:
    """Write a session's table, and the ``.json`` sidecar beside it, both whole or not at all.

    The rows map columns of the table's data dictionary to values; a column that one lacks becomes
    ``n/a``, so that every session's table has the same columns. Without rows there is the header
    alone. Raises ValueError for an unknown column.
    """
    for name in {name for row in rows for name in row}:
        dictionary.describe(name, table)
    names = dictionary.columns(table)
    tsv_path = Path(tsv_path)
    write_json(tsv_path.with_suffix(".json"), dictionary.sidecar(table=table))
    spelled = [{name: format_value(row.get(name)) for name in names} for row in rows]
    return write_tsv(tsv_path, names, spelled)


def read_morph_row(tsv_path: str | Path) -> dict[str, float | int | str | None]:
    """Read a file of :func:`write_morph_row`: numbers as numbers, ``n/a`` as None.

    Columns that this version does not know are left out. Raises TableError for anything else
    than a readable table of one row.
    """
    _, rows = read_tsv(tsv_path)
    if len(rows) != 1:
        raise TableError(f"{tsv_path} should have one row and has {len(rows)}; run it again.")
    known = dictionary.entries()
    return {
        name: parse_value(tsv_path, name, text, known[name]["Type"])
        for name, text in rows[0].items()
        if name in known
    }


def parse_value(path: str | Path, name: str, text: str, kind: str) -> float | int | str | None:
    """Return a cell of the table ``path`` as its column's Type has it, ``n/a`` as None.

    Raises TableError for a number that is none.
    """
    if text == MISSING:
        return None
    if kind == "text":
        return text
    try:
        return int(text) if text.lstrip("-").isdecimal() else float(text)
    except ValueError:
        raise TableError(f"{path} has '{text}' for the number {name}; run it again.") from None


def write_tsv(path: str | Path, names: Sequence[str], rows: Iterable[Mapping[str, str]]) -> Path:
    """Write rows of spelled values under these columns; a missing one becomes ``n/a``."""
    lines = ["\t".join(names)]
    lines += ["\t".join(row.get(name, MISSING) for name in names) for row in rows]
    return atomic_write_text(path, "\n".join(lines) + "\n")


def read_tsv(path: str | Path) -> tuple[list[str], list[Row]]:
    """Return the columns and rows (column -> text) of a TSV; an empty cell reads ``n/a``.

    Takes a byte-order mark and Windows line ends. Raises TableError for a file that is
    missing, empty, not UTF-8, or has a row or a heading that does not fit.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise TableError(f"Cannot read the table {path}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise TableError(f"The table {path} is not UTF-8 text; save it as such.") from error
    lines = [line.rstrip("\r") for line in text.split("\n") if line.strip()]
    if not lines:
        raise TableError(f"The table {path} is empty.")
    names = [clean_text(name) for name in lines[0].split("\t")]
    if len(set(names)) != len(names):
        raise TableError(f"The table {path} has two columns of one name.")
    rows = []
    for number, line in enumerate(lines[1:], start=2):
        cells = [clean_text(cell) or MISSING for cell in line.split("\t")]
        if len(cells) != len(names):
            raise TableError(
                f"Line {number} of {path} has {len(cells)} cells for {len(names)} columns; "
                "columns are separated by one tab each."
            )
        rows.append(dict(zip(names, cells, strict=True)))
    return names, rows


def write_json(path: str | Path, content: Any) -> Path:
    """Write JSON, indented, in the order given, in UTF-8."""
    return atomic_write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def read_json(path: str | Path) -> dict[str, Any]:
    """Return a JSON object from a file; {} when it is missing or is anything else."""
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
