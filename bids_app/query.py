"""Which images of the dataset each session gives to the workflow, and why these.

PyBIDS finds the files; this module sorts spinal-cord images from brain images, keeps
contrast-enhanced T1w out, and chooses one image for each contrast.
"""

from __future__ import annotations

import logging
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bids_app.config import Config
from bids_app.errors import UsageError
from bids_app.filters import Filters, load_filters
from bids_app.layout import find_images
from bids_app.readable import is_label, odd_names, printable, unreadable
from bids_app.sidecars import Sidecars, entities_of, suffix_of
from networks.brain_classes import lesion_contrasts

LOGGER = logging.getLogger("msmorph.query")

BRAIN = {"t1w": "T1w", "flair": "FLAIR", "t2w": "T2w"}
#: The best contrast for the cord's measures first.
CORD_SUFFIXES = ("T2w", "T2starw", "T1w")
#: 'spinecho' is a pulse sequence and 'record' is no cord.
_CORD_LABEL = re.compile(r"spine(?!cho)|(?<!re)cord|lumbar", re.IGNORECASE)
#: Entities that make an image a second choice, the worst first, with the words for a note.
_SECOND_CHOICE = {
    "space": "not in its own space",
    "desc": "a derivative",
    "ce": "contrast-enhanced",
    "part": "one part of a complex image",
    "mt": "with magnetisation transfer",
    "inv": "a single inversion",
    "flip": "a single flip angle",
    "echo": "a single echo",
    "rec": "another reconstruction",
}

NAMES = "names"  # among what is unreadable, beside the contrasts

Key = tuple[str, str | None]


@dataclass(frozen=True)
class SessionInputs:
    """The images of one session; a contrast that is absent, ignored or unusable is None."""

    subject: str
    session: str | None
    t1w: Path | None
    flair: Path | None
    t2w: Path | None
    cord: tuple[Path, ...]
    notes: tuple[str, ...]
    #: Sentences on what was to be measured and cannot be read: the session has failed.
    problems: tuple[str, ...] = ()

    @property
    def prefix(self) -> str:
        """Return the start of every file name: ``sub-01_ses-02`` or ``sub-01``."""
        return f"sub-{self.subject}" + (f"_ses-{self.session}" if self.session else "")

    @property
    def has_brain(self) -> bool:
        """Return whether there is any brain image."""
        return self.reference is not None

    @property
    def reference(self) -> Path | None:
        """Return the image whose grid is the session's reference: T1w, else FLAIR, else T2w."""
        return self.t1w or self.flair or self.t2w

    @property
    def cord_sources(self) -> dict[str, Path]:
        """Return name -> image that the cord can be measured on, the best first.

        These are the cord images, named after what is theirs (``acqcspine_T2w``), and without any
        the brain's T1w, named ``t1w``: its neck shows the upper cord.
        """
        order = {suffix: place for place, suffix in enumerate(CORD_SUFFIXES)}
        found = sorted(self.cord, key=lambda path: order.get(suffix_of(path.name), len(order)))
        names = {re.sub(r"\W", "", own_label(path)): path for path in found}
        return names or ({"t1w": self.t1w} if self.t1w else {})

    def has_input(self, tasks: Iterable[str]) -> bool:
        """Return whether there is any image that these tasks can use."""
        return self.has_brain or ("cord" in tasks and bool(self.cord))


def own_label(image: Path) -> str:
    """Return an image's name without subject and session: ``acq-cspine_T2w``."""
    names = entities_of(image.name)
    own = [f"{key}-{value}" for key, value in names.items() if key not in ("sub", "ses")]
    return "_".join([*own, suffix_of(image.name)])


@dataclass
class _Found:
    """What was found for one session, before the choice."""

    candidates: dict[str, list[Path]] = field(default_factory=lambda: defaultdict(list))
    notes: list[str] = field(default_factory=list)
    unreadable: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))


def collect_sessions(config: Config) -> list[SessionInputs]:
    """Return the images of every wanted session, sorted by subject, then session.

    A subject without any usable image still has an entry, with a note that says so.
    Raises UsageError for unknown labels (listing the known ones) and when nothing is left.
    """
    filters = load_filters(config.bids_filter_file)
    wanted = _wanted_sessions(config)
    images = find_images(config, filters, sorted({subject for subject, _ in wanted}))
    sidecars = Sidecars(config.bids_dir)
    found = {key: _Found() for key in wanted}
    for (subject, session), own in found.items():
        own.unreadable[NAMES] += odd_names(config.bids_dir, subject, session)
    for contrast, paths in images.items():
        for path in paths:
            names = entities_of(path.name)
            key = (names.get("sub", ""), names.get("ses"))
            if key in found and all(is_label(label) for label in key if label):
                _sort_in(found[key], contrast, path, sidecars, config.bids_dir)
    keys = _after_filters(found, filters)
    if not keys:
        raise UsageError(
            "No session is left: the wanted labels and those of the filter file "
            f"{config.bids_filter_file} have none in common."
        )
    return [_choose(key, found[key], config) for key in keys]


def _wanted_sessions(config: Config) -> list[Key]:
    """Return (subject, session) of the dataset's folders that the labels ask for."""
    known = _labels(config.bids_dir, "sub-")
    if not known:
        raise UsageError(f"{config.bids_dir} has no participant folders (sub-*).")
    _refuse_unknown("participant", config.participant_label, known)
    subjects = sorted(config.participant_label or known)
    sessions = {s: _labels(config.bids_dir / f"sub-{s}", "ses-") for s in subjects}
    all_sessions = sorted({label for own in sessions.values() for label in own})
    _refuse_unknown("session", config.session_label, all_sessions)
    wanted: list[Key] = []
    for subject in subjects:
        own: list[str | None] = list(sessions[subject])
        if config.session_label:
            own = [s for s in own if s in config.session_label]
            if not own:
                LOGGER.info("sub-%s has none of the wanted sessions.", subject)
        elif not own or (config.bids_dir / f"sub-{subject}" / "anat").is_dir():
            own.insert(0, None)
        wanted += [(subject, session) for session in own]
    return wanted


def _labels(folder: Path, prefix: str) -> list[str]:
    folders = (path for path in folder.glob(f"{prefix}*") if path.is_dir())
    return sorted(printable(path.name).removeprefix(prefix) for path in folders)


def _refuse_unknown(what: str, asked: Sequence[str], known: Sequence[str]) -> None:
    unknown = [label for label in asked if label not in known]
    if unknown:
        raise UsageError(
            f"Unknown {what} label: {', '.join(unknown)}; the dataset has: "
            f"{', '.join(known) or 'none'}."
        )


def _sort_in(found: _Found, contrast: str, path: Path, sidecars: Sidecars, root: Path) -> None:
    """Put an image with the candidates of its contrast, or say in the notes why it is not one."""
    metadata, notes = sidecars.metadata(path)
    found.notes += [note for note in notes if note not in found.notes]
    is_cord = _shows_cord(path, metadata)
    if is_cord != (contrast == "cord"):
        if is_cord and suffix_of(path.name) not in CORD_SUFFIXES:
            found.notes.append(f"{path.name} shows the spinal cord and is not used.")
        return
    refusal = _refusal(path, metadata)
    problem = None if refusal else unreadable(path, root)
    if problem:
        found.unreadable[contrast].append(problem)
    elif refusal is None:
        found.candidates[contrast].append(path)
    elif refusal not in found.notes:
        found.notes.append(refusal)


def _shows_cord(path: Path, metadata: dict[str, Any]) -> bool:
    if _CORD_LABEL.search(entities_of(path.name).get("acq", "")):
        return True
    part = str(metadata.get("BodyPart", "")).upper()
    return "SPINE" in part or "CORD" in part


def _refusal(path: Path, metadata: dict[str, Any]) -> str | None:
    """Return the sentence that says why an image is not wanted, or None when it is."""
    names = entities_of(path.name)
    bolus = str(metadata.get("ContrastBolusIngredient", "")).upper()
    if suffix_of(path.name) == "T1w" and ("ce" in names or "GADOLIN" in bolus):
        return f"{path.name} is contrast-enhanced and does not stand in for the T1w."
    if names.get("part", "mag") != "mag":
        return f"{path.name} is not a magnitude image and is not used."
    if not path.exists() and not path.is_symlink():
        return f"{path.name} is in PyBIDS's index but no longer there; delete that index."
    return None


def _after_filters(found: dict[Key, _Found], filters: Filters) -> list[Key]:
    """Drop the sessions that the filter file's own subjects or sessions leave empty."""
    if not any({"subject", "session"} & set(entities) for entities in filters.values()):
        return list(found)
    return [
        key
        for key, what in found.items()
        if what.candidates or what.notes or any(what.unreadable.values())
    ]


def _choose(key: Key, found: _Found, config: Config) -> SessionInputs:
    """Choose one image for each contrast and write the session's notes."""
    chosen: dict[str, Path | None] = {}
    notes = []
    for contrast, name in BRAIN.items():
        candidates = sorted(found.candidates[contrast], key=_rank)
        if candidates and contrast in config.ignore:
            notes.append(f"The {name} image is left out (--ignore {contrast}).")
            candidates = []
        chosen[contrast] = candidates[0] if candidates else None
        notes += [
            f"{name}: {candidates[0].name} is used and {other.name} passed over, "
            f"{_why_not(other, candidates[0])}."
            for other in candidates[1:]
        ]
    cord = sorted(found.candidates["cord"], key=lambda path: path.name)
    if cord and "cord" in config.ignore:
        notes.append("The spinal-cord images are left out (--ignore cord).")
        cord = []
    session = SessionInputs(*key, **chosen, cord=tuple(cord), notes=())
    lost = [sentence for sentences in found.unreadable.values() for sentence in sentences]
    notes = [*_missing(session, config), *notes, *found.notes, *dict.fromkeys(lost)]
    problems = tuple(dict.fromkeys(_problems(chosen, found, config)))
    return SessionInputs(*key, **chosen, cord=tuple(cord), notes=tuple(notes), problems=problems)


def _problems(chosen: dict[str, Path | None], found: _Found, config: Config) -> Iterable[str]:
    """Yield what could not be read of the contrasts that are wanted and that nothing else shows."""
    for contrast, sentences in found.unreadable.items():
        wanted = contrast != "cord" or "cord" in config.tasks
        if wanted and contrast not in config.ignore and not chosen.get(contrast):
            yield from sentences


def _rank(path: Path) -> tuple[Any, ...]:
    """Sort key: few second-choice entities, then the lowest run, then the name."""
    names = entities_of(path.name)
    odd = tuple(entity in names for entity in _SECOND_CHOICE)
    return (*odd, _run(names), path.name)


def _run(names: dict[str, str]) -> int:
    run = names.get("run", "0")
    return int(run) if run.isdecimal() else 0


def _why_not(other: Path, used: Path) -> str:
    theirs, ours = entities_of(other.name), entities_of(used.name)
    for entity, words in _SECOND_CHOICE.items():
        if entity in theirs and entity not in ours:
            return words
    if _run(theirs) > _run(ours):
        return "a later run"
    return "the first by name is taken"


def _missing(session: SessionInputs, config: Config) -> Iterable[str]:
    """Yield a sentence for what the session lacks and what that means for the results."""
    asked = "cord" in config.tasks
    if not session.has_brain:
        if not session.cord:
            yield "No anatomical image that can be used: nothing is measured."
        elif asked:
            yield "Only spinal-cord images: no brain measures."
        else:
            yield "Only spinal-cord images: nothing is measured without --tasks cord."
        return
    reference = suffix_of(session.reference.name) if session.reference else ""
    if session.t1w is None:
        yield (
            f"No T1w image: the {reference} image is the reference space, and thalamus volume on "
            "T1w and intracranial volume are n/a."
        )
    if session.flair is None:
        lesions = "" if session.t2w else ", and so are brain lesions without a T2w either"
        asked_on_t2w = session.t2w and "lesions" in config.tasks
        if asked_on_t2w and "T2w" not in lesion_contrasts(config.lesion_model, config.model_dir):
            lesions = ", and so are brain lesions, which this network finds on FLAIR only"
        yield f"No FLAIR image: thalamus volume on FLAIR is n/a{lesions}."
    if session.t2w is None:
        yield "No T2w image."
    lacking = [name for contrast, name in BRAIN.items() if getattr(session, contrast) is None]
    if "enhancement" in config.tasks and lacking:
        yield f"No {' and no '.join(lacking)} image: the probability of enhancement is n/a."
    if session.cord and not asked:
        yield "Spinal-cord images are there; --tasks cord measures them."
    if asked and not session.cord:
        if session.t1w is None:
            yield "No spinal-cord image and no T1w image: the spinal cord is n/a."
        else:
            yield "No spinal-cord image: the upper cord is measured on the T1w image."
