"""Which mask of one folder belongs to which of the other, by the entities in their names."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from bids_app.errors import UsageError
from bids_app.sidecars import entities_of, suffix_of

SUFFIXES = ("dseg", "mask", "probseg")
EXTENSIONS = (".nii.gz", ".nii")
#: Entities that a prediction and its reference share.
MATCHED = ("sub", "ses", "acq", "run", "space")
_NAMED_AT_MOST = 3


@dataclass
class Pairing:
    """Pairs (prediction, reference), and the files of either side that have no partner."""

    pairs: list[tuple[Path, Path]] = field(default_factory=list)
    unpaired_pred: list[Path] = field(default_factory=list)
    unpaired_ref: list[Path] = field(default_factory=list)


def find_masks(
    root: Path, pattern: str | None, suffixes: Sequence[str], segmentations: Sequence[str] | None
) -> list[Path]:
    """Return the masks under a folder, sorted: NIfTI files ``sub-*`` with one of these suffixes.

    ``pattern`` is a glob for the file's name, or for its path below ``root``;
    ``segmentations`` are the values of ``seg-`` to keep. Either may be None, for all.
    """
    return sorted(
        path
        for path in root.rglob("sub-*")
        if path.name.endswith(EXTENSIONS)
        and suffix_of(path.name) in suffixes
        and (pattern is None or _fits(path, root, pattern))
        and (segmentations is None or entities_of(path.name).get("seg") in segmentations)
    )


def _fits(path: Path, root: Path, pattern: str) -> bool:
    relative = path.relative_to(root).as_posix()
    return fnmatchcase(path.name, pattern) or fnmatchcase(relative, pattern)


def pair_masks(preds: Iterable[Path], refs: Iterable[Path]) -> Pairing:
    """Pair masks whose names agree in participant, session, acquisition, run and space.

    Files that agree in every entity and in the suffix are paired first; ``run-1`` and ``run-01``
    are the same. Raises UsageError, with the files, where several could be meant.
    """
    groups = defaultdict(lambda: ([], []))
    for side, paths in enumerate((preds, refs)):
        for path in paths:
            groups[match_key(path.name)][side].append(path)
    result, doubtful = Pairing(), []
    for key in sorted(groups):
        pairs, ours, theirs = _pair_same_names(*groups[key])
        result.pairs += pairs
        if len(ours) == len(theirs) == 1:
            result.pairs.append((ours[0], theirs[0]))
        elif ours and theirs:
            doubtful.append((ours, theirs))
        else:
            result.unpaired_pred += ours
            result.unpaired_ref += theirs
    if doubtful:
        raise UsageError(_ambiguity(doubtful))
    result.pairs.sort()
    return result


def match_key(name: str) -> tuple[str, ...]:
    """Return the values of the matched entities of a file name, '' for one that it lacks."""
    entities = _normal_entities(name)
    return tuple(entities.get(entity, "") for entity in MATCHED)


def describe_mask(name: str) -> str:
    """Return what a file name says beyond the matched entities: ``seg-deepgrai_dseg``."""
    entities = entities_of(name)
    said = [f"{key}-{value}" for key, value in entities.items() if key not in MATCHED]
    return "_".join([*said, suffix_of(name)]) if entities else name


def _normal_entities(name: str) -> dict[str, str]:
    entities = entities_of(name)
    if entities.get("run", "").isdecimal():
        entities["run"] = str(int(entities["run"]))
    return entities


def _pair_same_names(preds: list[Path], refs: list[Path]) -> tuple[list, list[Path], list[Path]]:
    """Pair files of one full name, if it is unique on both sides; return also those left."""
    named = defaultdict(lambda: ([], []))
    for side, paths in enumerate((preds, refs)):
        for path in paths:
            name = (frozenset(_normal_entities(path.name).items()), suffix_of(path.name))
            named[name][side].append(path)
    pairs = [(a[0], b[0]) for a, b in named.values() if len(a) == len(b) == 1]
    ours, theirs = {pred for pred, _ in pairs}, {ref for _, ref in pairs}
    return pairs, [p for p in preds if p not in ours], [p for p in refs if p not in theirs]


def _ambiguity(doubtful: list[tuple[list[Path], list[Path]]]) -> str:
    shown = [
        f"{', '.join(map(str, ours))} with {', '.join(map(str, theirs))}"
        for ours, theirs in doubtful[:_NAMED_AT_MOST]
    ]
    more = len(doubtful) - len(shown)
    rest = f"; and {more} more" if more else ""
    return (
        "Which masks belong together is not clear; choose with --suffix, --seg, --pred-pattern "
        f"or --ref-pattern: {'; '.join(shown)}{rest}."
    )
