"""What went wrong with the sessions of a group, and why a number of theirs is missing.

A session that failed has a row all the same, with ``n/a`` for what was not measured. What failed
is in the crash files of the newest run that processed the session, beside that run's settings.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from bids_app import dictionary
from bids_app.config import ALL_TASKS, read_values
from bids_app.errors import UsageError
from bids_app.failures import Failure, collect_failures, crash_dir
from bids_app.group_join import Joined
from bids_app.tables import MISSING, Row, prefix_of

LOGGER = logging.getLogger("msmorph.group")
Key = tuple[str, str]  # participant_id and session_id, as in the table

FAILED, NOT_ASKED, NO_RESULT = "a step failed", "task not run", "no result"
#: Measures that depend on another flag than the one of their name, the nearest reason first.
_OTHER_FLAGS = {
    "thalamus_t1w_fraction": ("qc_tiv_flag",),
    "brain_ml": ("qc_structures_flag", "qc_lesion_flag"),
    "brain_parenchymal_fraction": ("qc_structures_flag", "qc_tiv_flag", "qc_lesion_flag"),
    "structure_": ("qc_structures_flag", "qc_lesion_flag"),
    "lesion_t1w_": ("qc_lesion_t1w_flag",),
    "lesion_periventricular_": ("qc_lesion_regions_flag", "qc_structures_flag"),
    "lesion_juxtacortical_": ("qc_lesion_regions_flag", "qc_structures_flag"),
    "lesion_infratentorial_": ("qc_lesion_regions_flag", "qc_structures_flag"),
    "lesion_deep_white_matter_": ("qc_lesion_regions_flag", "qc_structures_flag"),
    "lesion_dissemination_": ("qc_lesion_regions_flag", "qc_structures_flag"),
    "cord_csa_c2c3_": ("qc_cord_c2c3_flag",),
}


@dataclass(frozen=True)
class Problem:
    """Whose and what: a failed step, an absent table, a session that was never processed."""

    subject: str
    session: str  # n/a where the dataset has none, or where all sessions are meant
    text: str

    @property
    def who(self) -> str:
        """Return the start of the session's file names."""
        return prefix_of(self.subject, self.session)

    def __str__(self) -> str:
        """Spell it for the log."""
        return f"{self.who}: {self.text}"


@dataclass(frozen=True)
class LastRun:
    """What is known of the newest run that processed a session."""

    tasks: tuple[str, ...] = ()  # () where the run's settings are not known
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class _Named:
    """A session as :func:`collect_failures` wants it: labels without prefix."""

    subject: str
    session: str | None


@dataclass
class _Run:
    """A subject's run: its name, what it was asked for and, once read, its failures."""

    name: str
    sessions: list[str]
    tasks: tuple[str, ...]
    failures: list[Failure] | None = None


def failed_sessions(out_dir: Path, rows: Sequence[Row]) -> dict[Key, LastRun]:
    """Return, by labels, the newest run of every session of the table and what failed in it."""
    keys = [(row["participant_id"], row["session_id"]) for row in rows]
    by_subject: dict[str, list[_Named]] = {}
    for subject, session in keys:
        own = None if session == MISSING else session.removeprefix("ses-")
        by_subject.setdefault(subject, []).append(_Named(subject.removeprefix("sub-"), own))
    found = {}
    for subject, named in by_subject.items():
        runs = _runs(out_dir, subject)
        for session in named:
            key = (subject, f"ses-{session.session}" if session.session else MISSING)
            found[key] = _last_run(out_dir, key, session, runs, named)
    return found


def _runs(out_dir: Path, subject: str) -> list[_Run]:
    """Return a subject's runs, the newest first; those without settings are left out."""
    folder = crash_dir(out_dir, subject.removeprefix("sub-"), "")
    found = []
    for path in sorted(folder.glob("*/msmorph.toml"), reverse=True):
        try:
            values = read_values(path)
        except UsageError as error:
            LOGGER.warning("%s Whether steps failed in that run is not known.", error)
            continue
        tasks = tuple(values.get("tasks", ()))
        found.append(_Run(path.parent.name, values.get("session_label", []), tasks))
    return found


def _last_run(
    out_dir: Path, key: Key, session: _Named, runs: Sequence[_Run], siblings: Sequence[_Named]
) -> LastRun:
    """Return what is known of the newest of ``runs`` that processed the session."""
    for run in runs:
        if run.sessions and session.session not in run.sessions:
            continue
        if run.failures is None:
            run.failures = collect_failures(out_dir, run.name, siblings)
        own = [f for f in run.failures if f.session in (session.session, None)]
        texts = [f"the step {f.node} failed: {f.message}" for f in own]
        return LastRun(run.tasks, tuple(Problem(*key, text) for text in texts))
    return LastRun()


def unprocessed(
    joined: Joined, rows: Sequence[Row], known: Sequence[Problem],
    subjects: Sequence[str] = (), sessions: Sequence[str] = (),
) -> list[Problem]:  # fmt: skip
    """Return those whom participants.tsv or a sessions table names and the derivatives lack.

    ``known`` are the sessions that are reported already; ``subjects`` and ``sessions`` are the
    wanted labels without prefix, empty for all.
    """
    keys = {(row["participant_id"], row["session_id"]) for row in rows}
    keys |= {(problem.subject, problem.session) for problem in known}
    there = {subject for subject, _ in keys}
    absent = []
    for (subject,) in joined.participants.rows:
        if subject not in there and _wanted(subject, "sub-", subjects):
            text = "named in participants.tsv, and not in the derivatives"
            absent.append(Problem(subject, MISSING, text))
    for subject, session in joined.sessions.rows:
        if (subject, session) not in keys and _wanted(session, "ses-", sessions):
            text = "named in its sessions table, and not in the derivatives"
            absent.append(Problem(subject, session, text))
    return absent


def _wanted(label: str, prefix: str, labels: Sequence[str]) -> bool:
    return not labels or label.removeprefix(prefix) in labels


@lru_cache
def flags_of(column: str) -> tuple[str, ...]:
    """Return the flags that can be the reason why a measure is n/a, the nearest first.

    These are ``qc_X_flag`` for a column ``X_...`` or of the task X, and others it depends on.
    """
    others = [flags for start, flags in _OTHER_FLAGS.items() if column.startswith(start)]
    found = [flag for flags in others for flag in flags]
    for flag in filter(dictionary.is_flag, dictionary.columns()):
        stem = flag.removeprefix("qc_").removesuffix("_flag")
        named = column.startswith(f"{stem}_") or dictionary.describe(column).get("Task") == stem
        if named and flag not in found:
            found.append(flag)
    return tuple(found)


def why_missing(column: str, row: Row, run: LastRun) -> str:
    """Return why a session's measure is n/a: the flag that says it, or one of three words.

    Those are FAILED (some step of the session did), NOT_ASKED (its task) and NO_RESULT (there was
    no image for it, or nothing more is known).
    """
    for flag in flags_of(column):
        if row.get(flag, MISSING) not in ("ok", MISSING):
            return flag
    task = dictionary.describe(column).get("Task")
    if task in ALL_TASKS and run.tasks and task not in run.tasks:
        return NOT_ASKED
    return FAILED if run.problems else NO_RESULT
