"""Scans of a cohort as slices with labels, and how subjects are split."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

FOLDS = 5
#: Of all subjects 20 % test, and of the rest as many validate as make 15 % of all (Narayana 2020,
#: "Statistical Analysis": 65, 15 and 20 %).
VALIDATION_SHARE = 15 / 80


@dataclass
class Scan:
    """One session: slices (S, 3, H, W), whether each is enhancing (S, bool), and whether any is.

    ``enhancing`` may hold where no slice does: enhancement away from every lesion of the mask.
    """

    subject: str
    session: str | None
    images: np.ndarray
    labels: np.ndarray
    enhancing: bool

    @property
    def name(self) -> str:
        """``sub-01_ses-02`` or ``sub-01``."""
        return f"sub-{self.subject}" + (f"_ses-{self.session}" if self.session else "")


@dataclass(frozen=True)
class Split:
    """Subjects to train on, to choose on and to test on; ValueError where one is in two."""

    training: frozenset[str]
    validation: frozenset[str]
    test: frozenset[str]

    def __post_init__(self):
        twice = (
            (self.training & self.validation)
            | (self.training & self.test)
            | (self.validation & self.test)
        )
        if twice:
            raise ValueError(f"subjects in two parts of a split: {', '.join(sorted(twice))}")


def chosen(scans: list[Scan], subjects) -> list[Scan]:
    """All sessions of these subjects."""
    return [scan for scan in scans if scan.subject in subjects]


def cross_validation(scans: list[Scan], rng, folds: int = FOLDS) -> list[Split]:
    """Splits by subject, every subject in one test part: no session can leak to another's part.

    Subjects with enhancement at any time and those without are dealt out in turn, so that every
    part has both. Raises ValueError for fewer of either than folds.
    """
    kinds = _kinds(scans, rng)
    for kind, subjects in kinds.items():
        if len(subjects) < folds:
            raise ValueError(
                f"{folds}-fold cross-validation needs {folds} subjects {kind} enhancement at"
                f" least, and the cohort has {len(subjects)}"
            )
    splits = []
    for fold in range(folds):
        test = {name for names in kinds.values() for name in names[fold::folds]}
        training, validation = validation_split(chosen(scans, _subjects(scans) - test), rng)
        splits.append(Split(training, validation, frozenset(test)))
    return splits


def validation_split(scans: list[Scan], rng) -> tuple[frozenset[str], frozenset[str]]:
    """Subjects to train and to validate on, both kinds in either part."""
    training, validation = set(), set()
    for kind, names in _kinds(scans, rng).items():
        if len(names) < 2:
            raise ValueError(f"training needs two subjects {kind} enhancement, there is {names}")
        count = max(1, round(VALIDATION_SHARE * len(names)))
        validation |= set(names[:count])
        training |= set(names[count:])
    return frozenset(training), frozenset(validation)


def _subjects(scans: list[Scan]) -> set[str]:
    return {scan.subject for scan in scans}


def _kinds(scans: list[Scan], rng) -> dict[str, list[str]]:
    """Subjects with and without an enhancing slice at any session, in random order.

    By slices, since a part without any enhancing slice could neither be learnt nor judged.
    """
    enhancing = {scan.subject for scan in scans if scan.labels.any()}
    kinds = {"with": enhancing, "without": _subjects(scans) - enhancing}
    return {kind: list(rng.permutation(sorted(names))) for kind, names in kinds.items()}
