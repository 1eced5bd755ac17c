"""Labels of the intervertebral discs that other programs or people have left in derivatives."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from bids_app.sidecars import suffix_of

#: What follows the image's entities: its suffix or the space it is in, and the label.
_DISCS = re.compile(
    r"(?:_(?P<suffix>[a-zA-Z0-9]+))?(?:_space-(?P<space>[a-zA-Z0-9]+))?_label-discs?"
    r"(?:_desc-[a-zA-Z0-9]+)?_(?:dseg|dlabel)\.nii(?:\.gz)?"
)


def find_disc_labels(image: Path, bids_dir: Path, derivatives: Iterable[Path]) -> Path | None:
    """Return the disc labels of an image in the first derivative dataset that has them, or None.

    They lie in the folder of the same name and begin with the image's name, with its suffix
    (``sub-01_T2w_label-discs_dlabel.nii.gz``, as spine-generic has them) or without, in its own
    space (none, ``orig``, or its suffix). Voxels carry PAM50's numbers.
    """
    suffix = suffix_of(image.name)
    entities = image.name.partition(".")[0].removesuffix(f"_{suffix}")
    for dataset in derivatives:
        folder = dataset / image.parent.relative_to(bids_dir)
        for path in sorted(folder.glob(f"{entities}_*")):
            found = _DISCS.fullmatch(path.name.removeprefix(entities))
            if (
                found
                and found["suffix"] in (None, suffix)
                and found["space"] in (None, "orig", suffix)
            ):
                return path
    return None
