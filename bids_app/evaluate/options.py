"""The command line of ``msmorph-evaluate`` and its checks."""

from __future__ import annotations

import argparse
import math
from dataclasses import replace
from pathlib import Path

from bids_app import __version__
from bids_app.errors import UsageError
from bids_app.evaluate import (
    KEY_COLUMNS,
    LESION_MEASURES,
    MASK_MEASURES,
    MEASURE_GROUPS,
    VOLUME_MEASURES,
    VOXEL_MEASURES,
)
from bids_app.evaluate.lesions import DEFAULT_EDGES, LesionSettings, add_bin_columns, size_bins
from bids_app.evaluate.pairing import EXTENSIONS, SUFFIXES

PLOT_FORMATS = (".png", ".svg")
_DESCRIPTION = (
    "Agreement of masks or volumes (PRED) with a reference (REF), as tab-separated values."
)
_NAMED_MEASURES = VOXEL_MEASURES | LESION_MEASURES
_EPILOG = (
    "measures:\n"
    + "\n".join(f"  {name:26}{words}" for name, words in MASK_MEASURES.items())
    + "\n\nmeasures of lesion masks, given only when named:\n"
    + "\n".join(f"  {name:26}{words}" for name, words in _NAMED_MEASURES.items())
    + "\n"
    + "\n".join(f"  {name:26}{', '.join(names)}" for name, names in MEASURE_GROUPS.items())
    + "\n\nexit codes: 0 all compared; 1 some pair could not be compared (named on stderr);\n"
    "2 wrong usage or nothing to compare. docs/evaluation.md has the definitions."
)
#: Options that only one kind of input knows, by their names in the namespace.
_MASK_OPTIONS = (
    "pred_pattern", "ref_pattern", "suffix", "seg", "labels", "pred_labels", "ref_labels",
    "union", "threshold", "window_mm", "min_lesion_mm3", "size_bins", "merging",
)  # fmt: skip
_LESION_OPTIONS = ("min_lesion_mm3", "size_bins", "merging")
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
    add("--measure", nargs="+", metavar="NAME", help="measures to give; default those of any mask")
    _add_mask_options(parser.add_argument_group("masks"))
    _add_lesion_options(parser.add_argument_group("lesions"))
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


def _add_lesion_options(group) -> None:
    add = group.add_argument
    add("--min-lesion-mm3", type=float, metavar="MM3",
        help="leave out smaller components; default 3, as in MSSEG")  # fmt: skip
    add("--size-bins", nargs="*", metavar="MM3",
        help="give lesion measures also by volume, in bins with these edges; without a value "
        + ",".join(f"{edge:g}" for edge in DEFAULT_EDGES))  # fmt: skip
    add("--merging", action="store_const", const=True,
        help="let a lesion detect several that it covers, as MSSEG's program does")  # fmt: skip


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
    if options.kind != "table":
        options.lesions = _lesion_settings(options)
        options.measure = add_bin_columns(options.measure, options.lesions.bins)
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
        _spell_option(name)
        for name in foreign.get(options.kind, ("columns",))
        if getattr(options, name) is not None
    ]
    if given:
        raise UsageError(f"{', '.join(given)}: not for two {options.kind}s.")


def _check_measures(given: list[str] | None, kind: str) -> list[str]:
    default, known, groups = VOLUME_MEASURES, VOLUME_MEASURES, {}
    if kind != "table":
        default, known, groups = MASK_MEASURES, (*MASK_MEASURES, *_NAMED_MEASURES), MEASURE_GROUPS
    names = [name for item in given or default for name in item.split(",") if name]
    names = [name for item in names for name in groups.get(item, (item,))]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UsageError(
            f"Unknown measure {', '.join(unknown)} for two {kind}s; known are "
            f"{', '.join((*known, *groups))}."
        )
    return list(dict.fromkeys(names))


def _lesion_settings(options: argparse.Namespace) -> LesionSettings:
    """What the lesion options say; raises UsageError."""
    given = [name for name in _LESION_OPTIONS if getattr(options, name) is not None]
    if given and not LESION_MEASURES.keys() & set(options.measure):
        raise UsageError(
            f"{', '.join(map(_spell_option, given))}: only for lesion measures; name one of "
            f"{', '.join(LESION_MEASURES)} or msseg with --measure."
        )
    from measures.lesion_agreement import DetectionRule

    rule = DetectionRule(merging=bool(options.merging))
    if options.min_lesion_mm3 is not None:
        if not 0 <= options.min_lesion_mm3 < math.inf:
            raise UsageError("--min-lesion-mm3 must be 0 or more.")
        rule = replace(rule, min_mm3=options.min_lesion_mm3)
    if options.size_bins is None:
        return LesionSettings(rule)
    try:
        edges = [float(text) for item in options.size_bins for text in item.split(",") if text]
    except ValueError:
        raise UsageError("--size-bins are volumes in mm3, as in 10,50,250.") from None
    return LesionSettings(rule, size_bins(edges or DEFAULT_EDGES, rule.min_mm3))


def _spell_option(name: str) -> str:
    return "--" + name.replace("_", "-")


def _integers(name: str, given: list[str] | None) -> list[int] | None:
    if given is None:
        return None
    try:
        numbers = [int(text) for item in given for text in item.split(",") if text]
    except ValueError:
        numbers = []
    if not numbers:
        raise UsageError(
            f"{_spell_option(name)} {' '.join(given)}: labels are whole numbers, as in 1,2."
        )
    return numbers


def _column_pairs(given: list[str] | None) -> list[tuple[str, str]]:
    if not given:
        raise UsageError("Two tables need --columns, as in thalamus_ml=thalamus_left_ml.")
    pairs = [text.partition("=") for text in given]
    return [(pred, ref if equals else pred) for pred, equals, ref in pairs]
