"""The visual report of a subject: one page that opens offline.

nireports' assembler was tried first (26.0.0) and does not fit: its page links style and script
from the net, and a vendored template can only be named by an absolute path in the YAML file; it
has no place for a table of numbers; crash files enter the page unescaped, and one that starts
otherwise than Nipype's stops the report (KeyError 'node'), while a report must come out of every
run; it rewrites the figures' files and does not write the page in one step. Hence a Jinja2
template of our own, ``data/report.html.j2``. The figures stay files, as fMRIPrep's do.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from bids_app import __version__, boilerplate, dictionary, pages, tables
from bids_app.atomic import atomic_write_text
from bids_app.config import Config
from bids_app.failures import Failure
from bids_app.query import SessionInputs

_FIGURE = re.compile(r"_desc-([a-zA-Z0-9]+)_([a-zA-Z0-9]+)\.svg$")
_CRASH_CHARACTERS = 40_000
#: desc- of a figure -> title, and what to look for; in the order of the page.
FIGURES = {
    "brainmask": (
        "Brain mask on {suffix}",
        "The outline should follow the surface of the brain: no scalp, eyes or neck inside, and "
        "no cortex, temporal pole or cerebellum outside.",
    ),
    "coreg": (
        "Alignment of {suffix} within the session",
        "The same slices of both images in turn, with one outline: ventricles, sulci and the "
        "edge of the brain should lie at the same place in both rows.",
    ),
    "mni": (
        "Alignment of {suffix} to the MNI152 template",
        "An affine registration: head and template should have the same orientation and about "
        "the same size; cortex and ventricles need not match. A mirrored or tilted head is an "
        "error.",
    ),
    "thalamus": (
        "Thalamus on {suffix}",
        "The outline should follow the border to the third ventricle (middle), the lateral "
        "ventricle (above) and the internal capsule (outside), at equal height on both sides. "
        "Left and right are named in the picture.",
    ),
    "deepgray": (
        "Thalamus and deep grey matter on {suffix}",
        "The thalami as on FLAIR; the other outline should follow caudate, putamen, pallidum and "
        "accumbens on both sides, with the internal capsule left out between them.",
    ),
    "intracranial": (
        "Intracranial space on {suffix}",
        "The outline should follow the inside of the skull, with the fluid around the brain and "
        "down to the foramen magnum. Where it reaches the edge of the picture at the top or the "
        "sides, the head was cut and the intracranial volume is n/a.",
    ),
    "norms": (
        "Volumes against the norms",
        "Each volume less what is expected at this age and head size, among the controls of the "
        "norms. The band holds 95 % of them; the red bar is the 95 % interval of the error between "
        "scanners, and a volume counts as below normal when the whole bar is below the band. A "
        "segmentation that is wrong in the pictures above makes this one worthless.",
    ),
    "lesions": (
        "Lesions on {suffix}",
        "Outlined is what the network takes for a lesion. Bright spots in white matter without "
        "an outline were missed; outlines on grey matter, on choroid plexus, on the bright rim of "
        "the ventricles or on flow artefacts are wrong.",
    ),
    "structures": (
        "Brain structures on {suffix}",
        "The outlines decide which region a lesion is counted to: ventricles, thalamus, "
        "cerebellum and brain stem should be followed roughly.",
    ),
    "enhancement": (
        "EXPERIMENTAL: slices scored for enhancement on {suffix}",
        "Outlined is what the network saw: the lesion mask, dilated, in two colours for slices "
        "below and above its operating point. It judges whole slices and points at no lesion.",
    ),
    "cordoverview": (
        "Spinal cord on {suffix}: course",
        "Sagittal sections, bent from side to side so that the cord stays in view. The outline "
        "should run along the whole cord that the image shows, end where it becomes the brain, and "
        "leave out canal, discs and throat.",
    ),
    "cord": (
        "Spinal cord on {suffix}: sections",
        "Axial sections from the highest on, each about the middle of the cord. The outline should "
        "follow the border of cord and fluid, without nerve roots. Bright spots without an outline "
        "of their own are missed lesions; outlines on grey matter or on flow artefacts are wrong.",
    ),
}
_CARD_FACTS = {
    "sha256": "SHA-256", "trained_on": "Trained on", "intended_use": "Intended use",
    "limits": "Limits",
}  # fmt: skip


def write_subject_report(
    out_dir: str | Path,
    subject: str,
    sessions: Sequence[SessionInputs],
    failures: Sequence[Failure],
    config: Config,
    cards: Sequence[Mapping[str, Any]] = (),
) -> Path:
    """Write ``sub-X.html`` and return its path; works on whatever the run has left.

    ``subject`` is the label without prefix, ``sessions`` and ``failures`` are those of the
    subject, ``cards`` the model cards of the networks used (keys name, sha256, trained_on,
    intended_use, limits). Numbers and figures are read from ``out_dir``.
    """
    from markupsafe import Markup

    out_dir = Path(out_dir)
    errors = [_error(failure, number) for number, failure in enumerate(failures, start=1)]
    page = pages.render(
        "report.html.j2",
        subject=subject,
        version=__version__,
        dataset=pages.dataset_name(config.bids_dir),
        run_uuid=config.run_uuid,
        sessions=[_session(out_dir, session, errors, config) for session in sessions],
        failures=errors,
        methods=Markup(boilerplate.to_html(boilerplate.methods(config), level=3)),
        cards=[_card(card) for card in cards],
    )
    return atomic_write_text(out_dir / f"sub-{subject}.html", page)


def _session(
    out_dir: Path, session: SessionInputs, errors: Sequence[dict[str, Any]], config: Config
) -> dict[str, Any]:
    """Return what the page says about one session."""
    name = f"ses-{session.session}" if session.session else "Results"
    own = [e for e in errors if e["session"] in (session.session, None)]
    return {
        "name": name,
        "anchor": session.prefix,
        "inputs": _inputs(session, config.bids_dir),
        "notes": session.notes,
        "failures": own,
        "figures": find_figures(out_dir, session),
        **_numbers(out_dir, session, [*config.tasks, *(["norms"] if config.norms else [])]),
    }


def _inputs(session: SessionInputs, bids_dir: Path) -> list[tuple[str, str]]:
    """Return (contrast, path below the dataset or '') for the page."""
    found = [("T1w", session.t1w), ("FLAIR", session.flair), ("T2w", session.t2w)]
    found += [("Spinal cord", path) for path in session.cord] or [("Spinal cord", None)]
    return [(name, _below(path, bids_dir) if path else "") for name, path in found]


def _below(path: Path, root: Path) -> str:
    return str(path.relative_to(root) if path.is_relative_to(root) else path)


def _numbers(out_dir: Path, session: SessionInputs, tasks: Sequence[str]) -> dict[str, Any]:
    """Return the measures, the absent ones, the quality flags, and why there are none.

    What belongs to a task that was not asked for is not absent.
    """
    parts = [f"sub-{session.subject}", f"ses-{session.session}" if session.session else "", "anat"]
    path = out_dir.joinpath(*filter(None, parts)) / f"{session.prefix}_morph.tsv"
    content: dict[str, Any] = {
        "measures": [], "experimental": [], "absent": [], "quality": [], "problem": ""
    }  # fmt: skip
    if not path.is_file():
        content["problem"] = "n/a, the session failed or was not processed."
        return content
    try:
        row = tables.read_morph_row(path)
    except tables.TableError as error:
        content["problem"] = f"n/a: {error}"
        return content
    for column in dictionary.columns():
        if column in ("participant_id", "session_id"):
            continue
        value = row.get(column)
        entry = dictionary.describe(column)
        if value is None:
            if entry.get("Task") in (None, *tasks):
                content["absent"].append(entry["LongName"].rstrip("?"))
        elif entry.get("Experimental"):
            content["experimental"].append(_number(column, value))
        elif dictionary.is_quality_control(column):
            content["quality"].append(_number(column, value))
        else:
            content["measures"].append(_number(column, value))
    return content


def _number(column: str, value: float | int | str) -> dict[str, Any]:
    """Return one row of the page's tables."""
    entry = dictionary.describe(column)
    unit = entry.get("Units", "")
    if isinstance(value, float):
        text = f"{value:.4f}" if unit == "1" else f"{value:.2f}"
    else:
        text = str(value)
    return {
        "column": column,
        "title": entry["LongName"],
        "value": text if unit in ("", "1") else f"{text} {unit}",
        "meaning": entry["Description"],
        "flag": dictionary.is_flag(column),
        "good": value == "ok",
    }


def find_figures(out_dir: Path, session: SessionInputs) -> list[dict[str, str]]:
    """Return title, caption, relative URL and file name of a session's figures, in order."""
    found = []
    for path in (out_dir / f"sub-{session.subject}" / "figures").glob(f"{session.prefix}_*.svg"):
        match = _FIGURE.search(path.name)
        foreign = session.session is None and "_ses-" in path.name
        if match is None or foreign or match[1] not in FIGURES:
            continue
        title, caption = FIGURES[match[1]]
        figure = {
            "title": title.format(suffix=match[2]),
            "caption": caption,
            "url": "./" + quote(path.relative_to(out_dir).as_posix()),
            "file": path.name,
        }
        found.append((list(FIGURES).index(match[1]), path.name, figure))
    return [figure for _, _, figure in sorted(found, key=lambda item: item[:2])]


def _error(failure: Failure, number: int) -> dict[str, Any]:
    """Return what the page says about one failure, with its crash file's text."""
    who = f"ses-{failure.session}" if failure.session else f"sub-{failure.subject}"
    return {
        "session": failure.session,
        "anchor": f"error-{number}",
        "who": who,
        "step": failure.node.rpartition(".")[2],
        "node": failure.node,
        "message": failure.message,
        "file": str(failure.crash_file or ""),
        "text": _crash_text(failure.crash_file),
    }


def _crash_text(path: Path | None) -> str:
    """Return the text of a crash file, its end if it is long."""
    if path is None:
        return "There is no crash file."
    try:
        text = Path(path).read_bytes().decode("utf-8", errors="replace")
    except OSError as error:
        return f"The crash file cannot be read: {error.strerror}."
    cut = len(text) - _CRASH_CHARACTERS
    return text if cut <= 0 else f"[{cut} characters left out]\n{text[cut:]}"


def _card(card: Mapping[str, Any]) -> dict[str, Any]:
    facts = [(title, _spell(card.get(key))) for key, title in _CARD_FACTS.items()]
    return {"name": str(card.get("name", "network")), "facts": facts}


def _spell(value: Any) -> str:
    """Spell a model card's entry: text, or a list or mapping of texts."""
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {_spell(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return "; ".join(_spell(item) for item in value)
    return str(value) if value not in (None, "") else "not stated"
