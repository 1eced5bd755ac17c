"""What the group table takes from ``participants.tsv`` and the sessions tables.

Those of the source dataset count where it is there, since they may have been corrected after the
participant level copied them; the copies in the derivatives count where it is not.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bids_app import dictionary
from bids_app.tables import MISSING, Row, TableError, read_json, read_tsv

LOGGER = logging.getLogger("msmorph.group")
KEYS = ("participant_id", "session_id")
_SHOWN = 10


@dataclass
class Extra:
    """Columns to join: the table's own names, rows by label, descriptions by column."""

    columns: list[str] = field(default_factory=list)
    rows: dict[tuple[str, ...], Row] = field(default_factory=dict)
    descriptions: dict[str, Any] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)  # own name -> name in the group table

    def rename(self, taken: Iterable[str], suffix: str) -> None:
        """Give a column whose name is taken this suffix, as often as needed."""
        used = set(taken)
        for column in self.columns:
            name = column
            while name in used:
                name += suffix
            used.add(name)
            self.names[column] = name

    def values(self, key: tuple[str, ...]) -> Row:
        """Return what is joined to one session, under the names of the group table."""
        row = self.rows.get(key, {})
        return {name: row.get(column, MISSING) for column, name in self.names.items()}


@dataclass
class Joined:
    """The group table: its columns, one row a session, and where the joined columns come from."""

    names: list[str]
    rows: list[Row]
    participants: Extra
    sessions: Extra

    def sidecar(self) -> dict[str, Any]:
        """Return the sidecar: our dictionary, and what the joined tables say of theirs."""
        content: dict[str, Any] = dictionary.sidecar()
        sources = ((self.participants, "participants.tsv"), (self.sessions, "the sessions table"))
        for extra, source in sources:
            for column, name in extra.names.items():
                described = extra.descriptions.get(column)
                text = {"Description": f"As in {source} of the source dataset"}
                content[name] = described if isinstance(described, dict) else text
        return {name: content[name] for name in self.names}


def join(rows: Sequence[Row], out_dir: Path, bids_dir: Path) -> Joined:
    """Put the columns of participants and sessions between the labels and the measures.

    ``rows`` are those of the sessions' ``*_morph.tsv``. A name that clashes gets ``_sessions`` or
    ``_participants``. A participant without a row in ``participants.tsv`` is named in a warning.
    """
    subjects = sorted({row["participant_id"] for row in rows})
    participants = _participants(out_dir, bids_dir)
    sessions = _sessions(out_dir, bids_dir, subjects)
    unknown = [s for s in subjects if (s,) not in participants.rows]
    if participants.columns and unknown:
        more = f" and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else ""
        LOGGER.warning(
            "%d of %d participants are not in participants.tsv, so that its columns are n/a: %s%s. "
            "Is it that of this dataset?",
            len(unknown), len(subjects), ", ".join(unknown[:_SHOWN]), more,
        )  # fmt: skip
    measures = [name for name in dictionary.columns() if name not in KEYS]
    sessions.rename([*KEYS, *measures], "_sessions")
    participants.rename([*KEYS, *measures, *sessions.names.values()], "_participants")
    names = [*KEYS, *participants.names.values(), *sessions.names.values(), *measures]
    joined = [
        participants.values((row["participant_id"],))
        | sessions.values((row["participant_id"], row["session_id"]))
        | row
        for row in rows
    ]
    return Joined(names, joined, participants, sessions)


def _first_readable(paths: Iterable[Path], needed: str) -> tuple[Path | None, list[str], list[Row]]:
    """Return the first table there is that has the column ``needed``: (path, columns, rows)."""
    for path in paths:
        if not path.is_file():
            continue
        try:
            names, rows = read_tsv(path)
        except TableError as error:
            LOGGER.warning("%s It is not joined.", error)
            continue
        if needed in names:
            return path, names, rows
        LOGGER.warning("%s has no column %s and is not joined.", path, needed)
    return None, [], []


def _participants(out_dir: Path, bids_dir: Path) -> Extra:
    paths = [folder / "participants.tsv" for folder in (bids_dir, out_dir)]
    path, names, rows = _first_readable(paths, "participant_id")
    if path is None:
        LOGGER.warning(
            "There is no participants.tsv to join, neither in %s nor in %s.", bids_dir, out_dir
        )
        return Extra()
    LOGGER.info("Joined: %s.", path)
    extra = Extra(columns=[name for name in names if name != "participant_id"])
    for row in rows:
        key = (_prefixed(row["participant_id"], "sub-"),)
        if key in extra.rows:
            LOGGER.warning("%s has %s more than once; the first row counts.", path, key[0])
        extra.rows.setdefault(key, row)
    extra.descriptions = read_json(path.with_suffix(".json"))
    return extra


def _sessions(out_dir: Path, bids_dir: Path, subjects: Sequence[str]) -> Extra:
    extra = Extra()
    for folder in (out_dir, bids_dir):
        extra.descriptions |= read_json(folder / "sessions.json")
    for subject in subjects:
        paths = [folder / subject / f"{subject}_sessions.tsv" for folder in (bids_dir, out_dir)]
        path, names, rows = _first_readable(paths, "session_id")
        extra.columns += [n for n in names if n not in (*extra.columns, *KEYS)]
        for row in rows:
            key = (subject, _prefixed(row["session_id"], "ses-"))
            if key in extra.rows:
                LOGGER.warning("%s has %s more than once; the first row counts.", path, key[1])
            extra.rows.setdefault(key, row)
        if path is not None:
            extra.descriptions |= read_json(path.with_suffix(".json"))
    return extra


def _prefixed(label: str, prefix: str) -> str:
    return label if label.startswith(prefix) else prefix + label
