"""The group level: a table of every session and those of their parts, from the derivatives alone.

``group_morph.tsv`` has one row for each session's ``*_morph.tsv``, sorted, with the columns of
``participants.tsv`` and of ``sub-*_sessions.tsv`` between the labels and the measures.
``group_desc-lesions_morph.tsv`` holds the lesions of the same sessions, in the same order,
``group_desc-enhancement_morph.tsv`` the slices scored for enhancement, and
``group_desc-{slices,cordlesions,cordlevels}_morph.tsv`` the sections, lesions and levels of their
cords.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from bids_app import dictionary
from bids_app.config import Config
from bids_app.dictionary import CORD_TABLES, ENHANCEMENT, LESIONS, MORPH
from bids_app.group_join import KEYS, join
from bids_app.group_status import Problem, failed_sessions, unprocessed
from bids_app.tables import (
    MISSING,
    Row,
    TableError,
    parse_value,
    prefix_of,
    read_tsv,
    table_name,
    write_json,
    write_tsv,
)

LOGGER = logging.getLogger("msmorph.group")


def run_group(config: Config) -> int:
    """Write the group tables, their sidecars and ``group.html``; return the exit code.

    0 when there is at least one row (sessions that failed, or have no readable table, are listed
    as warnings and on the page); 1 when there is none. ``--participant-label`` and
    ``--session-label`` restrict the rows.
    """
    from bids_app.group_report import write_group_report

    out_dir = config.output_dir
    wanted = (config.participant_label, config.session_label)
    rows, problems = collect_rows(out_dir, *wanted)
    if not rows:
        _warn(problems)
        LOGGER.error(
            "No *_morph.tsv of the wanted sessions was found in %s; run "
            "`msmorph %s %s participant` first.", out_dir, config.bids_dir, out_dir,
        )  # fmt: skip
        return 1
    joined = join(rows, out_dir, config.bids_dir)
    runs = failed_sessions(out_dir, rows)
    problems += unprocessed(joined, rows, problems, *wanted)
    problems += [problem for run in runs.values() for problem in run.problems]
    _warn(problems)
    path = out_dir / table_name("group")
    write_json(path.with_suffix(".json"), joined.sidecar())
    write_tsv(path, joined.names, joined.rows)
    LOGGER.info("%d row(s) in %s.", len(rows), path)
    for table in (LESIONS, ENHANCEMENT, *CORD_TABLES):
        _write_parts(out_dir, rows, table)
    page = write_group_report(out_dir, joined, problems, runs, wanted)
    LOGGER.info("Report of the group: %s", page)
    return 0


def _warn(problems: Sequence[Problem]) -> None:
    for problem in problems:
        LOGGER.warning("%s", problem)


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
        prefix = prefix_of(subject, session)
        found = path.parent.glob(f"*_desc-{table}_morph.tsv")
        return sorted(p for p in found if p.name.startswith(f"{prefix}_"))
    return [path] if path.is_file() else []


def collect_rows(
    out_dir: Path, subjects: Sequence[str] = (), sessions: Sequence[str] = ()
) -> tuple[list[Row], list[Problem]]:
    """Return the rows of the derivatives, sorted, and what is wrong with sessions without one.

    ``subjects`` and ``sessions`` are labels without prefix; empty means all.
    """
    rows, missing = [], []
    for subject, session in _expected(out_dir):
        if subjects and subject.removeprefix("sub-") not in subjects:
            continue
        if sessions and (session or "").removeprefix("ses-") not in sessions:
            continue
        path = _table_path(out_dir, subject, session, MORPH)
        try:
            if not path.is_file():
                raise TableError(f"it has no {path.relative_to(out_dir)}.")
            rows.append(_row(path, subject, session))
        except TableError as error:
            text = f"not in the group table: {error}"
            missing.append(Problem(subject, session or MISSING, text))
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
    prefix = prefix_of(subject, session)
    return out_dir / subject / (session or "") / "anat" / table_name(prefix, table)


def _row(path: Path, subject: str, session: str | None) -> Row:
    """Read one session's row and check whose it is and its numbers; raises TableError."""
    rows = _read_own(path, subject, session, MORPH)
    if len(rows) != 1:
        raise TableError(f"{path} should have one row and has {len(rows)}; run it again.")
    for name, entry in dictionary.entries().items():
        parse_value(path, name, rows[0].get(name, MISSING), entry["Type"])
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
