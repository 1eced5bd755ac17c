"""The group level: a table of every session and those of their parts, from the derivatives alone.

``group_morph.tsv`` has one row for each session's ``*_morph.tsv``, sorted, with the columns of
``participants.tsv`` and of ``sub-*_sessions.tsv`` between the labels and the measures.
``group_desc-lesions_morph.tsv`` holds the lesions of the same sessions, in the same order, and
``group_desc-slices_morph.tsv`` and ``group_desc-cordlesions_morph.tsv`` the sections and lesions of
their cords.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bids_app import dictionary
from bids_app.config import Config
from bids_app.dictionary import CORD_TABLES, LESIONS, MORPH
from bids_app.tables import (
    MISSING,
    Row,
    TableError,
    read_json,
    read_tsv,
    table_name,
    write_json,
    write_tsv,
)

LOGGER = logging.getLogger("msmorph.group")
KEYS = ("participant_id", "session_id")


@dataclass
class _Extra:
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


def run_group(config: Config) -> int:
    """Write the group tables and their sidecars into the output folder; return the exit code.

    0 when there is at least one row (sessions without a readable table are listed as warnings);
    1 when there is none. ``--participant-label`` and ``--session-label`` restrict the rows.
    """
    out_dir = config.output_dir
    rows, missing = collect_rows(out_dir, config.participant_label, config.session_label)
    for who, why in missing:
        LOGGER.warning("%s is not in the group table: %s", who, why)
    if not rows:
        LOGGER.error(
            "No *_morph.tsv of the wanted sessions was found in %s; run "
            "`msmorph %s %s participant` first.", out_dir, config.bids_dir, out_dir,
        )  # fmt: skip
        return 1
    participants = _participants(out_dir, config.bids_dir)
    sessions = _sessions(out_dir, config.bids_dir, sorted({row["participant_id"] for row in rows}))
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
    path = out_dir / table_name("group")
    write_json(path.with_suffix(".json"), _sidecar(names, participants, sessions))
    write_tsv(path, names, joined)
    LOGGER.info("%d row(s) in %s; %d session(s) missing.", len(rows), path, len(missing))
    for table in (LESIONS, *CORD_TABLES):
        _write_parts(out_dir, rows, table)
    return 0


def _write_parts(out_dir: Path, sessions: Sequence[Row], table: str) -> None:
    """Write what the sessions of the group table have in this table; no file where none has one.

    A table that cannot be used is named in a warning.
    """
    parts, found = [], 0
    for row in sessions:
        subject, session = (None if row[key] == MISSING else row[key] for key in KEYS)
        for path in _part_paths(out_dir, subject, session, table):
            try:
                parts += _read_own(path, subject, session, table)
                found += 1
            except TableError as error:
                LOGGER.warning("Left out of the group's table of %s: %s", table, error)
    path = out_dir / table_name("group", table)
    if not found:
        # An older one would not belong to the group table beside it.
        for stale in (path, path.with_suffix(".json")):
            stale.unlink(missing_ok=True)
        return
    write_json(path.with_suffix(".json"), dictionary.sidecar(table=table))
    write_tsv(path, dictionary.columns(table), parts)
    LOGGER.info("%d row(s) of %d table(s) in %s.", len(parts), found, path)


def _part_paths(out_dir: Path, subject: str, session: str | None, table: str) -> list[Path]:
    """A session's tables of a kind that there are: one, or of the cord one an image."""
    path = _table_path(out_dir, subject, session, table)
    if table in CORD_TABLES:
        prefix = "_".join(filter(None, (subject, session)))
        return sorted(path.parent.glob(f"{prefix}_*_desc-{table}_morph.tsv"))
    return [path] if path.is_file() else []


def collect_rows(
    out_dir: Path, subjects: Sequence[str] = (), sessions: Sequence[str] = ()
) -> tuple[list[Row], list[tuple[str, str]]]:
    """Return the rows of the derivatives, sorted, and (session, reason) of those without one.

    ``subjects`` and ``sessions`` are labels without prefix; empty means all.
    """
    rows, missing = [], []
    for subject, session in _expected(out_dir):
        if subjects and subject.removeprefix("sub-") not in subjects:
            continue
        if sessions and (session or "").removeprefix("ses-") not in sessions:
            continue
        prefix = "_".join(filter(None, (subject, session)))
        path = _table_path(out_dir, subject, session, MORPH)
        if not path.is_file():
            missing.append((prefix, f"it has no {path.relative_to(out_dir)}."))
            continue
        try:
            rows.append(_row(path, subject, session))
        except TableError as error:
            missing.append((prefix, str(error)))
    return rows, missing


def _expected(out_dir: Path) -> list[tuple[str, str | None]]:
    """Return (subject, session) of every folder that should hold a table, sorted."""
    found: list[tuple[str, str | None]] = []
    for subject in sorted(p.name for p in out_dir.glob("sub-*") if p.is_dir()):
        own = sorted(p.name for p in (out_dir / subject).glob("ses-*") if p.is_dir())
        if not own or (out_dir / subject / "anat").is_dir():
            found.append((subject, None))
        found += [(subject, session) for session in own]
    return found


def _table_path(out_dir: Path, subject: str, session: str | None, table: str) -> Path:
    prefix = "_".join(filter(None, (subject, session)))
    return out_dir / subject / (session or "") / "anat" / table_name(prefix, table)


def _row(path: Path, subject: str, session: str | None) -> Row:
    """Read one session's row and check whose it is; raises TableError."""
    rows = _read_own(path, subject, session, MORPH)
    if len(rows) != 1:
        raise TableError(f"{path} should have one row and has {len(rows)}; run it again.")
    return rows[0]


def _read_own(path: Path, subject: str, session: str | None, table: str) -> list[Row]:
    """Read the rows of a session's table and check whose they are; raises TableError."""
    names, rows = read_tsv(path)
    for row in rows:
        own = tuple(row.get(key, MISSING) for key in KEYS)
        if own != (subject, session or MISSING):
            raise TableError(f"{path} says it is of {' '.join(own)}; run it again.")
    if unknown := [name for name in names if name not in dictionary.columns(table)]:
        LOGGER.warning("%s: columns unknown to this version left out: %s", path, ", ".join(unknown))
    return rows


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


def _participants(out_dir: Path, bids_dir: Path) -> _Extra:
    paths = [folder / "participants.tsv" for folder in (out_dir, bids_dir)]
    path, names, rows = _first_readable(paths, "participant_id")
    extra = _Extra(columns=[name for name in names if name != "participant_id"])
    for row in rows:
        key = (_prefixed(row["participant_id"], "sub-"),)
        if key in extra.rows:
            LOGGER.warning("%s has %s more than once; the first row counts.", path, key[0])
        extra.rows.setdefault(key, row)
    if path is not None:
        extra.descriptions = read_json(path.with_suffix(".json"))
    return extra


def _sessions(out_dir: Path, bids_dir: Path, subjects: Sequence[str]) -> _Extra:
    extra = _Extra()
    for folder in (bids_dir, out_dir):
        extra.descriptions |= read_json(folder / "sessions.json")
    for subject in subjects:
        paths = [folder / subject / f"{subject}_sessions.tsv" for folder in (out_dir, bids_dir)]
        path, names, rows = _first_readable(paths, "session_id")
        extra.columns += [n for n in names if n not in (*extra.columns, *KEYS)]
        for row in rows:
            extra.rows.setdefault((subject, _prefixed(row["session_id"], "ses-")), row)
        if path is not None:
            extra.descriptions |= read_json(path.with_suffix(".json"))
    return extra


def _prefixed(label: str, prefix: str) -> str:
    return label if label.startswith(prefix) else prefix + label


def _sidecar(names: Sequence[str], participants: _Extra, sessions: _Extra) -> dict[str, Any]:
    """Return the sidecar of the group table: our dictionary, and what the joined tables say."""
    content: dict[str, Any] = dictionary.sidecar()
    for extra, source in ((participants, "participants.tsv"), (sessions, "the sessions table")):
        for column, name in extra.names.items():
            described = extra.descriptions.get(column)
            text = {"Description": f"As in {source} of the source dataset"}
            content[name] = described if isinstance(described, dict) else text
    return {name: content[name] for name in names}
