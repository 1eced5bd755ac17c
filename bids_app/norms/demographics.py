"""Age and sex of a person at a session, from the dataset's own tables."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bids_app.errors import UsageError
from bids_app.query import SessionInputs
from bids_app.tables import MISSING, Row, TableError, read_json, read_tsv

_SEXES = {"m": True, "male": True, "f": False, "female": False}  # BIDS 1.10, participants file


@dataclass(frozen=True)
class Person:
    """Age in years and sex, None where the tables do not say."""

    age_years: float | None
    male: bool | None


def is_male(text: str) -> bool | None:
    """Read BIDS's values of ``sex``; None for any other than male and female."""
    return _SEXES.get(text.strip().lower())


def check_years(descriptions: Mapping[str, Any], column: str, table: Path) -> None:
    """Raise UsageError where a sidecar says that the ages are not in years."""
    described = descriptions.get(column)
    unit = str(described.get("Units", "year")) if isinstance(described, Mapping) else "year"
    if unit.strip().lower() not in ("", "year", "years", "y", "yr", "yrs", "a"):
        raise UsageError(f"{table} has {column} in {unit}; norms need years.")


def read_person(bids_dir: Path, session: SessionInputs) -> Person:
    """Return a person's age at the session, and sex.

    Each comes from the session's row of ``sub-X_sessions.tsv`` where that has it, else from
    ``participants.tsv``. Raises UsageError where a table cannot be read.
    """
    subject = f"sub-{session.subject}"
    places = [(bids_dir / "participants.tsv", "participant_id", subject)]
    if session.session:
        path = bids_dir / subject / f"{subject}_sessions.tsv"
        places.insert(0, (path, "session_id", f"ses-{session.session}"))
    age = male = None
    for path, key, label in places:
        row = _row(path, key, label)
        if age is None and (age := _age(row.get("age", MISSING))) is not None:
            inherited = read_json(bids_dir / "sessions.json") if key == "session_id" else {}
            check_years({**inherited, **read_json(path.with_suffix(".json"))}, "age", path)
        if male is None:
            male = is_male(row.get("sex", MISSING))
    return Person(age, male)


def _row(path: Path, key: str, label: str) -> Row:
    """The first row of a table with this label, with or without its prefix; {} without one."""
    if not path.is_file():
        return {}
    try:
        names, rows = read_tsv(path)
    except TableError as error:
        raise UsageError(str(error)) from error
    wanted = {label, label.partition("-")[2]}
    return next((row for row in rows if key in names and row[key] in wanted), {})


def _age(text: str) -> float | None:
    try:
        age = float(text)
    except ValueError:
        return None
    return age if math.isfinite(age) else None
