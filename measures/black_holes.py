"""Black holes: how much of a lesion is dark on T1w."""

from __future__ import annotations

import numpy as np

from measures.structures import labels_of

#: Below so much tissue (mL) its intensity is not trusted.
LEAST_TISSUE_ML = 1.0
_TO_SD = 1.4826  # a median absolute deviation of a normal distribution is 1 / 1.4826 of its SD


def hypointensity_threshold(
    t1w: np.ndarray, lesions: np.ndarray, structures: np.ndarray | None, voxel_mm3: float
) -> tuple[float | None, str]:
    """Intensity at or below which a lesion is hypointense on T1w, and ``ok`` or why there is none.

    Our definition: the median of the cortical grey matter outside of lesions. That is close to the
    readers' rule that a black hole is as dark as grey matter or darker; and unlike a number of
    standard deviations below white matter, it does not move with the noise of the image.
    ``t1w``, ``lesions`` and ``structures`` (FreeSurfer's labels) are (X, Y, Z) on one grid. There
    is none without 1 mL of cortex and of white matter, or where white matter is
    not brighter than cortex by more than its own robust SD: such an image is not T1-weighted, or
    its labels are misplaced.
    """
    if structures is None:
        return None, "no structures were segmented"
    usable = (lesions == 0) & np.isfinite(t1w)
    tissues = {}
    for name in ("cerebral_white_matter", "cortex"):
        tissues[name] = t1w[usable & np.isin(structures, labels_of(name))]
        if tissues[name].size * voxel_mm3 < LEAST_TISSUE_ML * 1000:
            return None, f"too little {name.replace('_', ' ')} to compare T1w intensities with"
    white, grey = (float(np.median(values)) for values in tissues.values())
    spread = _TO_SD * float(np.median(np.abs(tissues["cerebral_white_matter"] - white)))
    if not white - grey > spread:
        return None, "white matter is not brighter than cortex on T1w"
    return grey, "ok"


def hypointense_fractions(
    t1w: np.ndarray, lesions: np.ndarray, threshold: float
) -> list[float | None]:
    """Share of every lesion's voxels at or below a T1w intensity, in the order of their numbers.

    ``t1w`` and ``lesions`` (numbers from 1 on) are (X, Y, Z). Voxels that are not finite do not
    count; None where a lesion has no others. In the cortex healthy voxels are as dark: read the
    share of juxtacortical lesions with that in mind.
    """
    count = int(lesions.max(initial=0))
    known = (lesions > 0) & np.isfinite(t1w)
    sizes = np.bincount(lesions[known], minlength=count + 1)[1:]
    dark = np.bincount(lesions[known & (t1w <= threshold)], minlength=count + 1)[1:]
    return [float(d / n) if n else None for d, n in zip(dark, sizes, strict=True)]
