"""The command line of ``msmorph-evaluate`` and its checks."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from bids_app import __version__
from bids_app.errors import UsageError
from bids_app.evaluate import KEY_COLUMNS, MASK_MEASURES, VOLUME_MEASURES
from bids_app.evaluate.pairing import EXTENSIONS, SUFFIXES

PLOT_FORMATS = (".png", ".svg")
_DESCRIPTION = (
    "Agreement of masks or volumes (PRED) with a reference (REF), as tab-separated values."
)
_EPILOG = (
    "measures:\n"
    + "\n".join(f"  {name:26}{words}" for name, words in MASK_MEASURES.items())
    + "\n\nexit codes: 0 all compared; 1 some pair could not be compared (named on stderr);\n"
    "2 wrong usage or nothing to compare. docs/evaluation.md has the definitions."
)
#: Options that only one kind of input knows, by their names in the namespace.
_MASK_OPTIONS = (
    "pred_pattern", "ref_pattern", "suffix", "seg", "labels", "pred_labels", "ref_labels",
    "union", "threshold", "window_mm",
)  # fmt: skip
_FOLDER_OPTIONS = ("pred_pattern", "ref_pattern", "suffix", "seg")
DEFAULT_THRESHOLD = 0.5


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="msmorph-evaluate", description=_DESCRIPTION, epilog=_EPILOG, allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--version", action="version", version=f"msmorph {__version__}")
    add = parser.add_argument
    add("pred", type=Path, metavar="PRED", help="NIfTI file, derivatives folder or table (.tsv)")
    add("ref", type=Path, metavar="REF", help="the same kind of input, to compare with")
    add("--measure", nargs="+", metavar="NAME", help="measures to give; default all")
    _add_mask_options(parser.add_argument_group("masks"))
    add = parser.add_argument_group("tables").add_argument
    add("--columns", nargs="+", metavar="PRED=REF", help="columns to compare, volumes in mL")
    add = parser.add_argument_group("results").add_argument
    add("--output", type=Path, metavar="FILE.tsv", help="the table; default standard output")
    add("--summary", type=Path, metavar="FILE.tsv", help="mean, SD and agreement of the volumes")
    add("--bland-altman", type=Path, metavar="FILE", help="plot of the volumes, .png or .svg")
    add("--repeats", default="session_id", metavar="COLUMN",
        help="column that tells a person's repeats apart; default %(default)s")  # fmt: skip
    return parser


def _add_mask_options(group) -> None:
    add = group.add_argument
    add("--pred-pattern", metavar="GLOB", help="names, or paths in the folder, to take from PRED")
    add("--ref-pattern", metavar="GLOB", help="the same for REF")
    add("--suffix", nargs="+", choices=SUFFIXES, help="take only these, on both sides")
    add("--seg", nargs="+", metavar="NAME", help="take only these seg-NAME, on both sides")
    add("--labels", nargs="+", metavar="N", help="labels to compare, each with itself")
    add("--pred-labels", nargs="+", metavar="N", help="labels of PRED, paired in their order")
    add("--ref-labels", nargs="+", metavar="N", help="labels of REF, paired in their order")
    add("--union", action="store_const", const=True, help="compare all labels as one mask")
    add("--threshold", type=float, metavar="P",
        help=f"least probability in a probseg's mask; default {DEFAULT_THRESHOLD}")  # fmt: skip
    add("--window-mm", type=float, metavar="MM",
        help="count false positives in REF's box grown by this; default whole image")  # fmt: skip


def parse_options(argv: list[str] | None) -> argparse.Namespace:
    """Return the checked options, with ``kind`` file, folder or table; raises UsageError."""
    options = build_parser().parse_args(argv)
    options.kind = _kind(options.pred, options.ref)
    _refuse_foreign_options(options)
    options.measure = _check_measures(options.measure, options.kind)
    if options.bland_altman and options.bland_altman.suffix.lower() not in PLOT_FORMATS:
        raise UsageError(f"--bland-altman {options.bland_altman} must end in .png or .svg.")
    for name in ("labels", "pred_labels", "ref_labels"):
        setattr(options, name, _integers(name, getattr(options, name)))
    if options.labels and (options.pred_labels or options.ref_labels):
        raise UsageError("--labels is for both sides; give it or --pred-labels and --ref-labels.")
    if options.kind == "table":
        options.columns = _column_pairs(options.columns)
    elif options.repeats not in KEY_COLUMNS:
        raise UsageError(f"--repeats {options.repeats} is none of {', '.join(KEY_COLUMNS)}.")
    if options.threshold is None:
        options.threshold = DEFAULT_THRESHOLD
    if not 0 < options.threshold <= 1:
        raise UsageError("--threshold must be above 0 and at most 1.")
    if options.window_mm is not None and not 0 <= options.window_mm < math.inf:
        raise UsageError("--window-mm must be 0 or more.")
    return options


def _kind(pred: Path, ref: Path) -> str:
    for path in (pred, ref):
        if not path.exists():
            raise UsageError(f"{path} does not exist.")
    if pred.is_dir() and ref.is_dir():
        return "folder"
    if not pred.is_dir() and not ref.is_dir():
        for kind, endings in (("table", (".tsv",)), ("file", EXTENSIONS)):
            if pred.name.endswith(endings) and ref.name.endswith(endings):
                return kind
    raise UsageError(f"{pred} and {ref} must be two NIfTI files, two folders or two tables (.tsv).")


def _refuse_foreign_options(options: argparse.Namespace) -> None:
    foreign = {"table": _MASK_OPTIONS, "file": ("columns", *_FOLDER_OPTIONS)}
    given = [
        "--" + name.replace("_", "-")
        for name in foreign.get(options.kind, ("columns",))
        if getattr(options, name) is not None
    ]
    if given:
        raise UsageError(f"{', '.join(given)}: not for two {options.kind}s.")


def _check_measures(given: list[str] | None, kind: str) -> list[str]:
    known = VOLUME_MEASURES if kind == "table" else tuple(MASK_MEASURES)
    names = [name for item in given or known for name in item.split(",") if name]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UsageError(
            f"Unknown measure {', '.join(unknown)} for two {kind}s; known are {', '.join(known)}."
        )
    return list(dict.fromkeys(names))


def _integers(name: str, given: list[str] | None) -> list[int] | None:
    if given is None:
        return None
    try:
        numbers = [int(text) for item in given for text in item.split(",") if text]
    except ValueError:
        numbers = []
    if not numbers:
        option = name.replace("_", "-")
        raise UsageError(f"--{option} {' '.join(given)}: labels are whole numbers, as in 1,2.")
    return numbers


def _column_pairs(given: list[str] | None) -> list[tuple[str, str]]:
    if not given:
        raise UsageError("Two tables need --columns, as in thalamus_ml=thalamus_left_ml.")
    pairs = [text.partition("=") for text in given]
    return [(pred, ref if equals else pred) for pred, equals, ref in pairs]
