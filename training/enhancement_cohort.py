"""A cohort of one's own: images and masks of a BIDS dataset become slices with labels.

T1w (pre-contrast), T2w and FLAIR of a session, its brain and its lesion mask lie on one grid, as
``msmorph-gadolinium`` writes them. Labels are masks of confirmed enhancement on that grid, or a
table with a row a slice.
"""

from __future__ import annotations

import csv
import logging
import os
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from networks.brain_classes import CONTRASTS
from networks.enhancement import LEAST_SHARE, cut_slices, onto_grid
from networks.geometry import InputGrid
from networks.lesions import Contrast
from training.enhancement_scans import Scan

LOGGER = logging.getLogger("msmorph.train")
BRAIN = ("*_desc-brain_mask.nii.gz",)
LESIONS = ("*_label-L_*mask.nii.gz", "*_label-L_mask.nii.gz", "*_label-lesion_*mask.nii.gz")
#: Candidates are no truth: only what somebody has confirmed is learnt.
CONFIRMED = ("*_label-enhancing_desc-confirmed_mask.nii.gz",)
TABLE_COLUMNS = ("participant_id", "session_id", "slice", "enhancing")


@dataclass(frozen=True)
class CohortFiles:
    """Where a cohort is: the dataset, the lesion masks' folder, and masks or table of labels."""

    data: Path
    lesions: Path
    labels: Path


def read_cohort(files: CohortFiles, card: dict, cache: Path) -> list[Scan]:
    """Every session with three contrasts, masks and labels; what lacks something is logged.

    Slices go to ``cache`` in half precision, since those of a large cohort do not fit the memory.
    Raises ValueError, naming the file, for images that do not fit together and a wrong table.
    """
    table = read_labels(files.labels) if files.labels.is_file() else None
    scans = []
    for folder in sorted(files.data.glob("sub-*/**/anat")):
        scan, reason = _read_session(files, folder, table, card, cache)
        if scan is None:
            LOGGER.warning("%s is left out: %s", folder.relative_to(files.data), reason)
        else:
            scans.append(scan)
    return scans


def _read_session(files: CohortFiles, folder: Path, table, card: dict, cache: Path):
    """A Scan, or None and why there is none."""
    place = folder.relative_to(files.data)
    subject, session = place.parts[0].removeprefix("sub-"), None
    if len(place.parts) > 2:
        session = place.parts[1].removeprefix("ses-")
    images = {c: _only(folder, (f"*_{c}.nii.gz",), without="_ce-") for c in CONTRASTS}
    if missing := [c for c, path in images.items() if path is None]:
        return None, f"it has no {' and no '.join(missing)}"
    brain = _only(files.lesions / place, BRAIN) or _only(folder, BRAIN)
    lesions = _only(files.lesions / place, LESIONS)
    if brain is None or lesions is None:
        what = f"brain mask ({BRAIN[0]})" if brain is None else f"lesion mask ({LESIONS[0]})"
        return None, f"it has no {what}"
    known = (subject, session) in table if table is not None else True
    truth = None if table is not None else _only(files.labels / place, CONFIRMED)
    if not known or (table is None and truth is None):
        return None, "nobody has said whether it shows enhancement"
    affine, arrays = _load_together({**images, "brain": brain, "lesions": lesions}, truth)
    if table is not None:
        arrays["truth"] = _whole_slices(table[subject, session], arrays["brain"].shape, lesions)
    return _make_scan(subject, session, affine, arrays, card, cache), "it shows no lesion"


def _make_scan(subject, session, affine, arrays, card, cache: Path) -> Scan | None:
    contrasts = [Contrast(c, arrays[c], affine, np.eye(4)) for c in ("FLAIR", "T1w", "T2w")]
    cut = cut_slices(contrasts, arrays["brain"] > 0, arrays["lesions"] > 0, card)
    if not len(cut.numbers):
        return None
    truth = arrays["truth"] > 0
    share = onto_grid(truth, affine, InputGrid.from_card(card), cut.affine)
    labels = (share >= LEAST_SHARE).any((0, 1))[cut.numbers]
    return kept_on_disk(Scan(subject, session, cut.images, labels, bool(truth.any())), cache)


def kept_on_disk(scan: Scan, cache: Path) -> Scan:
    """The same scan with its slices in a file of ``cache``, in half precision."""
    cache.mkdir(parents=True, exist_ok=True)
    path = cache / f"{scan.name}.npy"
    aside = path.with_suffix(".partial.npy")
    np.save(aside, scan.images.astype(np.float16))
    os.replace(aside, path)
    scan.images = np.load(path, mmap_mode="r")
    return scan


def _only(folder: Path, patterns, without: str = "\n") -> Path | None:
    """The one file of these names, None without any; ValueError where there are several."""
    found = {path for p in patterns for path in folder.glob(p) if without not in path.name}
    if len(found) > 1:
        names = ", ".join(sorted(path.name for path in found))
        raise ValueError(f"{folder} has several files for one purpose ({names}); keep one of them")
    return next(iter(found), None)


def _load_together(paths: dict[str, Path], truth: Path | None):
    """Affine and arrays (X, Y, Z), axis 2 upwards, of files that must share one grid."""
    if truth is not None:
        paths = paths | {"truth": truth}
    images = {name: _load(path) for name, path in paths.items()}
    shape, affine = images["FLAIR"][0].shape, images["FLAIR"][1]
    for name, (data, own) in images.items():
        if data.shape != shape or not np.allclose(own, affine, atol=1e-3):
            raise ValueError(
                f"{paths[name]} is not on the grid of {paths['FLAIR'].name}; bring all images and"
                " masks of a session onto one grid"
            )
    return affine, {name: data for name, (data, _) in images.items()}


def _load(path: Path):
    """Data (float32) and affine of an image, its axes nearest to R, A and S."""
    import nibabel as nib
    from nibabel.filebasedimages import ImageFileError

    try:
        image = nib.as_closest_canonical(nib.load(path))
        return image.get_fdata(dtype=np.float32), image.affine
    except (OSError, EOFError, zlib.error, ImageFileError) as error:
        raise ValueError(f"{path} cannot be read, copy or export it again: {error}") from None


def read_labels(path: Path) -> dict[tuple[str, str | None], set[int]]:
    """Enhancing slices by (subject, session) of a TSV with the columns of TABLE_COLUMNS.

    ``slice`` counts from 0 at the lowest slice, ``enhancing`` is yes or no; slices without a row
    count as no, sessions without any row as unknown. Raises ValueError, naming line and file.
    """
    with path.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.DictReader(stream, delimiter="\t")
        if not set(TABLE_COLUMNS) <= set(reader.fieldnames or ()):
            raise ValueError(f"{path} must have the columns {', '.join(TABLE_COLUMNS)}")
        found: dict[tuple[str, str | None], set[int]] = {}
        for row in reader:
            number, said = str(row["slice"]).strip(), str(row["enhancing"]).strip().lower()
            if not number.isdecimal() or said not in ("yes", "no"):
                raise ValueError(
                    f"line {reader.line_num} of {path} needs a slice number from 0 on and yes or no"
                )
            session = row["session_id"].strip()
            key = (
                row["participant_id"].strip().removeprefix("sub-"),
                None if session in ("", "n/a") else session.removeprefix("ses-"),
            )
            slices = found.setdefault(key, set())
            if said == "yes":
                slices.add(int(number))
    return found


def _whole_slices(numbers: set[int], shape, path: Path) -> np.ndarray:
    """A mask that fills the slices named; ValueError for one beyond the image."""
    if numbers and max(numbers) >= shape[2]:
        raise ValueError(f"the table has slice {max(numbers)} and {path.name} {shape[2]} slices")
    mask = np.zeros(shape, np.float32)
    mask[:, :, sorted(numbers)] = 1
    return mask
