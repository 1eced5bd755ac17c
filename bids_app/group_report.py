"""The page of the group, ``group.html``: what was measured, what is odd, and what is missing.

One file without links to the net: the plots are SVG in the page. It leads to the subjects'
reports beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from bids_app import __version__, dictionary, pages
from bids_app.atomic import atomic_write_text
from bids_app.group_cohort import MAX_GROUPS, Cohort, Outlier, is_lesion_measure, number_columns
from bids_app.group_join import KEYS, Joined
from bids_app.group_plots import MINUS, Mark, group_colors, spaghetti_plot, strip_plot
from bids_app.group_status import FAILED, NO_RESULT, NOT_ASKED, Key, LastRun, Problem, why_missing
from bids_app.tables import MISSING
from measures import outliers

#: Title -> how the columns of a section start; what fits none comes last.
_SECTIONS = {
    "Thalamus and deep grey matter": ("thalamus_", "deep_gray_"),
    "Brain": ("tiv_", "brain_", "structure_"),
    "Brain lesions": ("lesion_",),
    "Spinal cord": ("cord_",),
    "Other measures": ("",),
}
_IMAGE_QUALITY = "Image quality"
_WORDS = {
    NOT_ASKED: "task not run",
    NO_RESULT: "without an image for it, or its task not asked for",
}


def write_group_report(
    out_dir: Path, joined: Joined, problems: Sequence[Problem], runs: Mapping[Key, LastRun],
    wanted: Sequence[Sequence[str]] = ((), ()),
) -> Path:  # fmt: skip
    """Write ``group.html`` and return its path.

    ``joined`` is the group table, ``problems`` what went wrong, ``runs`` the newest run of each
    of its sessions, ``wanted`` the labels of participants and sessions that it is restricted to.
    """
    cohort = Cohort(joined)
    page = _Page(Path(out_dir), cohort, runs)
    content = pages.render(
        "group.html.j2",
        version=__version__,
        dataset=pages.dataset_name(Path(out_dir)),
        wanted=_wanted(*wanted),
        cohort=cohort,
        rule=outliers,
        most_groups=MAX_GROUPS,
        repeated=sum(len(own) > 1 for own in cohort.order),
        colors=group_colors(cohort.groups),
        counts={name: int((cohort.groups == name).sum()) for name in set(cohort.groups.tolist())},
        problems=[page.problem(problem) for problem in problems],
        outliers=page.outliers(),
        sections=page.sections(),
        missing=page.missing(),
        words=_WORDS,
        covariates=_covariates(cohort),
        flags=page.flags(),
        texts=_quality_texts(cohort),
        files=sorted(path.name for path in Path(out_dir).glob("group_*morph.tsv")),
    )
    return atomic_write_text(Path(out_dir) / "group.html", content)


def _wanted(subjects: Sequence[str], sessions: Sequence[str]) -> str:
    """Spell what the page is restricted to, '' for nothing."""
    labels = [f"sub-{label}" for label in subjects] + [f"ses-{label}" for label in sessions]
    return ", ".join(labels)


class _Page:
    """What the template is given, made from the cohort and what its sessions left behind."""

    def __init__(self, out_dir: Path, cohort: Cohort, runs: Mapping[Key, LastRun]):
        self.cohort, self.runs = cohort, runs
        self.reports = {path.stem for path in out_dir.glob("sub-*.html")}
        columns = number_columns()
        self.measured = [c for c in columns if np.isfinite(cohort.numbers(c)).any()]
        self.found = cohort.outliers(self.measured)

    def url(self, subject: str, prefix: str = "") -> str:
        """Return the way to a session in its subject's report, '' where there is no report."""
        if subject not in self.reports:
            return ""
        return f"./{quote(subject)}.html" + (f"#{quote(prefix)}" if prefix else "")

    def who(self, index: int, text: str = "") -> dict[str, str]:
        """Return name, link and a text on a session by its row."""
        prefix = self.cohort.prefixes[index]
        subject = str(self.cohort.participants[index])
        return {"name": prefix, "url": self.url(subject, prefix), "text": text}

    def problem(self, problem: Problem) -> dict[str, str]:
        """Return name, link and text of what went wrong."""
        anchor = problem.who if problem.who in self.cohort.prefixes else ""
        return {"name": problem.who, "url": self.url(problem.subject, anchor), "text": problem.text}

    def outliers(self) -> list[dict[str, Any]]:
        """Return the sessions with outliers, those with the most extreme first."""
        by_session: dict[int, list[Outlier]] = {}
        for outlier in self.found:
            by_session.setdefault(outlier.index, []).append(outlier)
        rows = []
        for index, own in by_session.items():
            own.sort(key=lambda o: -abs(o.score))
            rows.append(self.who(index) | {"found": [_spell(o) for o in own], "_": own[0].score})
        return sorted(rows, key=lambda row: (-abs(row["_"]), row["name"]))

    def sections(self) -> list[dict[str, Any]]:
        """Return the sections of plots, a card for every column with numbers."""
        cards: dict[str, list] = {title: [] for title in (*_SECTIONS, _IMAGE_QUALITY)}
        for column in self.measured:
            cards[_section(column)].append(self._card(column))
        return [
            {"title": title, "anchor": title.lower().replace(" ", "-"), "cards": own}
            for title, own in cards.items() if own
        ]  # fmt: skip

    def _card(self, column: str) -> dict[str, Any]:
        cohort, entry = self.cohort, dictionary.describe(column)
        values = cohort.numbers(column)
        found = [o for o in self.found if o.column == column]
        odd, jumps = ([self._mark(o) for o in found if o.is_change is k] for k in (False, True))
        followed = sum(np.isfinite(values[own]).sum() > 1 for own in cohort.order)
        title = entry["LongName"]
        return {
            "column": column,
            "title": title,
            "unit": "" if entry.get("Units", "1") == "1" else entry["Units"],
            "meaning": entry["Description"],
            "n": int(np.isfinite(values).sum()),
            "followed": int(followed),
            "cube_root": is_lesion_measure(column),
            "strip": strip_plot(values, cohort.groups, odd, f"{title}: all sessions"),
            "spaghetti": spaghetti_plot(
                values, cohort.times, cohort.order, cohort.groups, cohort.labels, jumps,
                f"{title}: over time", cohort.is_dated,
            ) if followed else "",
            "outliers": [self.who(o.index, _spell(o, short=True)) for o in found],
        }  # fmt: skip

    def _mark(self, outlier: Outlier) -> Mark:
        who = self.who(outlier.index)
        return Mark(outlier.index, f"{who['name']}: {_spell(outlier, short=True)}", who["url"])

    def missing(self) -> list[dict[str, Any]]:
        """Return why numbers are n/a: a row for all measures that miss in the same sessions."""
        rows: dict[tuple, list[str]] = {}
        for column in number_columns():
            if not dictionary.is_quality_control(column):
                rows.setdefault(self._reasons(column), []).append(column)
        return [self._missing_row(reasons, columns) for reasons, columns in rows.items()]

    def _reasons(self, column: str) -> tuple[str, ...]:
        """Return, session by session, the word why a measure is n/a; '' where it is not."""
        words = []
        for row in self.cohort.rows:
            key = (row["participant_id"], row["session_id"])
            missing = row.get(column, MISSING) == MISSING
            words.append(why_missing(column, row, self.runs[key]) if missing else "")
        return tuple(words)

    def _missing_row(self, reasons: Sequence[str], columns: Sequence[str]) -> dict[str, Any]:
        counts = {word: reasons.count(word) for word in sorted(set(reasons) - {""})}
        flags = {w: n for w, n in counts.items() if w in dictionary.columns()}
        return {
            "columns": columns,
            "measured": reasons.count(""),
            "absent": len(reasons) - reasons.count(""),
            "flags": flags,
            "failed": counts.get(FAILED, 0),
            "others": {w: n for w, n in counts.items() if w not in flags and w != FAILED},
            # Where no session has any, it would be a list of all.
            "without": [
                self.who(i) for i, word in enumerate(reasons) if word == NO_RESULT and "" in reasons
            ],
        }

    def flags(self) -> list[dict[str, Any]]:
        """Return every plausibility flag that was raised or cleared, with the sessions it is on."""
        found = []
        for column in filter(dictionary.is_flag, dictionary.columns()):
            texts = [row.get(column, MISSING) for row in self.cohort.rows]
            if set(texts) == {MISSING}:
                continue
            odd = [i for i, text in enumerate(texts) if text not in ("ok", MISSING)]
            entry = dictionary.describe(column)
            found.append({
                "column": column,
                "title": entry["LongName"],
                "meaning": entry["Description"],
                "ok": texts.count("ok"),
                "odd": len(odd),
                "absent": texts.count(MISSING),
                "sessions": [self.who(i, texts[i]) for i in odd],
            })  # fmt: skip
        return found


def _section(column: str) -> str:
    if dictionary.is_quality_control(column):
        return _IMAGE_QUALITY
    return next(title for title, starts in _SECTIONS.items() if column.startswith(starts))


def _spell(outlier: Outlier, short: bool = False) -> str:
    """Spell an outlier, with the measure's name unless it stands beside it."""
    entry = dictionary.describe(outlier.column)
    unit = "" if entry.get("Units", "1") == "1" else f" {entry['Units']}"
    value, score = _digits(outlier.value), f"{outlier.score:.1f}".replace("-", MINUS)
    if outlier.is_change:
        value = f"change {value}" if outlier.value < 0 else f"change +{value}"
    name = "" if short else f"{entry['LongName']}: "
    return f"{name}{value}{unit} (z {score})"


def _digits(value: float) -> str:
    """Spell a number with four digits, and no digit before the point left out."""
    text = f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return text.replace("-", MINUS)


def _covariates(cohort: Cohort) -> list[tuple[str, int]]:
    """Return the joined columns and how many sessions lack each."""
    joined = cohort.joined
    names = [*joined.participants.names.values(), *joined.sessions.names.values()]
    return [(name, sum(row[name] == MISSING for row in cohort.rows)) for name in names]


def _quality_texts(cohort: Cohort) -> list[dict[str, Any]]:
    """Return the quality columns that name something, with the count of each of their texts."""
    found = []
    for column in dictionary.columns():
        entry = dictionary.describe(column)
        named = entry["Type"] == "text" and column not in KEYS and not dictionary.is_flag(column)
        texts = [row.get(column, MISSING) for row in cohort.rows]
        if named and set(texts) != {MISSING}:
            counts = {text: texts.count(text) for text in sorted(set(texts))}
            found.append({"column": column, "title": entry["LongName"],
                          "meaning": entry["Description"], "counts": counts})  # fmt: skip
    return found
