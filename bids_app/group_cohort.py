"""A cohort as the group report draws it: numbers by column, groups, time, and outliers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import pairwise

import numpy as np

from bids_app import dictionary
from bids_app.group_join import Joined
from bids_app.group_plots import COLORS
from bids_app.tables import MISSING, Row, prefix_of
from measures.outliers import LIMIT, robust_z_within

MAX_GROUPS = len(COLORS)
_GROUP_COLUMNS = ("group", "diagnosis")
_TIME_COLUMNS = ("days_since_baseline", "days")
_DAYS_A_YEAR = 365.25


@dataclass(frozen=True)
class Outlier:
    """A session whose number, or its change from the session before, lies far from the others."""

    index: int  # of the session in the table
    column: str
    value: float
    score: float
    is_change: bool


@dataclass
class Cohort:
    """The rows of the group table, in its order, with N sessions."""

    joined: Joined

    @property
    def rows(self) -> list[Row]:
        """Return the rows of the group table."""
        return self.joined.rows

    @cached_property
    def prefixes(self) -> list[str]:
        """Return the start of each session's file names."""
        return [prefix_of(row["participant_id"], row["session_id"]) for row in self.rows]

    @cached_property
    def participants(self) -> np.ndarray:
        """Return the label of each session's participant (N,)."""
        return np.array([row["participant_id"] for row in self.rows])

    @cached_property
    def labels(self) -> np.ndarray:
        """Return each session's label (N,)."""
        return np.array([row["session_id"] for row in self.rows])

    def numbers(self, column: str) -> np.ndarray:
        """Return a column (N,) as numbers, NaN where it is n/a or not a finite number."""
        return np.array([_number(row.get(column, MISSING)) for row in self.rows])

    @cached_property
    def group_column(self) -> str | None:
        """Return the joined column that tells the groups, if there is one of few groups."""
        known = {*self.joined.participants.names.values(), *self.joined.sessions.names.values()}
        for wanted in _GROUP_COLUMNS:
            for name in sorted(known):
                levels = {row[name] for row in self.rows}
                if name.lower() == wanted and 1 < len(levels) <= MAX_GROUPS:
                    return name
        return None

    @cached_property
    def groups(self) -> np.ndarray:
        """Return each session's group (N,), ``all`` without groups."""
        name = self.group_column
        return np.array([row[name] if name else "all" for row in self.rows])

    @cached_property
    def order(self) -> list[list[int]]:
        """Return each participant's sessions (their rows) in the order of time."""
        by_participant: dict[str, list[int]] = {}
        for index, name in enumerate(self.participants):
            by_participant.setdefault(name, []).append(index)
        times = self._dates[0]
        return [sorted(own, key=lambda i: (times[i], i)) for own in by_participant.values()]

    @cached_property
    def times(self) -> np.ndarray:
        """Return each session's time (N,): years since the first, or 1, 2, ... by labels."""
        times, dated = self._dates
        result = times.copy()
        for own in self.order:
            result[own] = (times[own] - times[own].min()) if dated else np.arange(1, 1 + len(own))
        return result

    @cached_property
    def time_label(self) -> str:
        """Return what ``times`` counts, with the column that it comes from."""
        dated = self._dates[1]
        if dated:
            return f"years since the participant's first session ({dated})"
        return "session, in the order of labels"

    @property
    def is_dated(self) -> bool:
        """Return whether ``times`` are years."""
        return bool(self._dates[1])

    @cached_property
    def _dates(self) -> tuple[np.ndarray, str]:
        """Return times in years and the column they come from; the rows' order without one.

        A column counts only where every session of a participant with several has its time.
        """
        names, counts = np.unique(self.participants, return_counts=True)
        repeated = np.isin(self.participants, names[counts > 1])
        for name in _TIME_COLUMNS:
            days = self.numbers(name)
            if repeated.any() and np.isfinite(days[repeated]).all():
                return np.where(np.isfinite(days), days, 0.0) / _DAYS_A_YEAR, name
        days = np.array([_day(row.get("acq_time", MISSING)) for row in self.rows])
        if repeated.any() and np.isfinite(days[repeated]).all():
            return np.where(np.isfinite(days), days, 0.0) / _DAYS_A_YEAR, "acq_time"
        return np.arange(len(self.rows), dtype=float), ""

    def outliers(self, columns: Sequence[str]) -> list[Outlier]:
        """Return what is far from the others in these columns, as :func:`robust_z_within` has it.

        Each number is compared with those of its group, and each change from the participant's
        session before with the changes in its group; of lesions, their cube roots.
        """
        found = []
        for column in columns:
            values = self.numbers(column)
            scaled = comparable(column, values)
            scores = {False: robust_z_within(scaled, self.groups)}
            scores[True] = robust_z_within(self.changes(scaled), self.groups)
            for is_change, score in scores.items():
                shown = self.changes(values) if is_change else values
                for index in np.flatnonzero(np.abs(score) > LIMIT):
                    number, z = float(shown[index]), float(score[index])
                    found.append(Outlier(int(index), column, number, z, is_change))
        return found

    def changes(self, values: np.ndarray) -> np.ndarray:
        """Return each value (N,) less that of the participant's last session that has one."""
        result = np.full(values.shape, np.nan)
        for own in self.order:
            measured = [i for i in own if np.isfinite(values[i])]
            for before, after in pairwise(measured):
                result[after] = values[after] - values[before]
        return result


def comparable(column: str, values: np.ndarray) -> np.ndarray:
    """Return the values on the scale on which outliers are sought.

    Counts and sizes of lesions are far from symmetric: their cube roots are nearer to it.
    """
    return np.cbrt(values) if is_lesion_measure(column) else values


def is_lesion_measure(column: str) -> bool:
    """Return whether a column counts or sizes lesions."""
    return column.startswith(("lesion_", "cord_lesion_"))


def number_columns() -> list[str]:
    """Return the columns of the morph table that hold numbers, in its order."""
    return [name for name, entry in dictionary.entries().items() if entry["Type"] == "number"]


def _number(text: str) -> float:
    """Return a cell as a number, NaN for anything else."""
    try:
        value = float(text)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan


def _day(text: str) -> float:
    """Return an ISO date and time as days since 1970, NaN for anything else."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return math.nan
    return (moment.replace(tzinfo=None) - datetime(1970, 1, 1)).total_seconds() / 86400
