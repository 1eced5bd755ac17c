"""Brain structures in a label map with FreeSurfer's numbers: what they are and their volumes."""

from __future__ import annotations

import numpy as np

#: Labels of the left and of the right side.
SIDED = {
    "cerebral_white_matter": ((2,), (41,)),
    "cortex": ((3,), (42,)),
    "lateral_ventricle": ((4, 5), (43, 44)),  # with the inferior horn
    "cerebellum": ((7, 8), (46, 47)),
    "thalamus": ((10,), (49,)),
    "caudate": ((11,), (50,)),
    "putamen": ((12,), (51,)),
    "pallidum": ((13,), (52,)),
    "hippocampus": ((17,), (53,)),
    "amygdala": ((18,), (54,)),
    "accumbens": ((26,), (58,)),
    "ventral_diencephalon": ((28,), (60,)),
    "choroid_plexus": ((31,), (63,)),
}
UNSIDED = {
    "third_ventricle": (14,),
    "fourth_ventricle": (15,),
    "brain_stem": (16,),
    "corpus_callosum": (251, 252, 253, 254, 255),
    "white_matter_hyperintensity": (77, 78, 79),
}
#: The sum of these is the deep grey matter.
DEEP_GRAY_MATTER = ("thalamus", "caudate", "putamen", "pallidum", "accumbens")
_LESION, _OTHER_HYPOINTENSITY, _VESSELS, _FIFTH_VENTRICLE = (99,), (80, 81, 82), (30, 62), (72,)
#: Volumes (mL, both sides) that a whole adult brain may have, however atrophied.
PLAUSIBLE_ML = {
    "cerebral_white_matter": (150, 800),
    "cortex": (200, 850),
    "lateral_ventricle": (2, 250),
    "cerebellum": (50, 230),
    "thalamus": (4, 25),
    "brain_stem": (8, 45),
}
#: Without these a label map is not of a whole brain.
_WHOLE_BRAIN = ("cerebral_white_matter", "cortex", "cerebellum", "brain_stem")


def labels_of(*names: str) -> tuple[int, ...]:
    """Labels of the named structures, of both sides."""
    found = []
    for name in names:
        found += [label for side in SIDED[name] for label in side] if name in SIDED else []
        found += UNSIDED.get(name, ())
    return tuple(found)


CHOROID_PLEXUS = labels_of("choroid_plexus")
VENTRICLES = labels_of("lateral_ventricle", "third_ventricle", "fourth_ventricle")
VENTRICLES += _FIFTH_VENTRICLE
WHITE_MATTER = (
    labels_of("cerebral_white_matter", "corpus_callosum", "white_matter_hyperintensity") + _LESION
)
#: They say what tissue looks like and not where it is.
ABNORMAL = labels_of("white_matter_hyperintensity") + _LESION + _OTHER_HYPOINTENSITY
#: Brain tissue: no ventricle, plexus or CSF. FreeSurfer's vessels lie within the deep nuclei.
PARENCHYMA = (
    labels_of(*(name for name in SIDED if name not in ("lateral_ventricle", "choroid_plexus")))
    + labels_of("brain_stem", "corpus_callosum")
    + ABNORMAL + _VESSELS
)  # fmt: skip
BRAIN = PARENCHYMA + VENTRICLES + CHOROID_PLEXUS


def check_label_map(structures: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return a label map as it is; ValueError if it has other types or another grid."""
    structures = np.asarray(structures)
    if not np.issubdtype(structures.dtype, np.integer):
        raise ValueError(f"structure labels are integers, not {structures.dtype}")
    if structures.shape != tuple(shape):
        raise ValueError(f"structure labels of shape {structures.shape} on a grid of {shape}")
    return structures


def lacking_structures(structures: np.ndarray, names: tuple[str, ...]) -> list[str]:
    """Those of the named structures that have no voxel in a label map (X, Y, Z)."""
    present = set(np.unique(structures).tolist())
    return [name for name in names if not present & set(labels_of(*[name]))]


def structure_volumes(
    structures: np.ndarray, voxel_mm3: float, lesions: np.ndarray | None = None
) -> dict[str, float | None]:
    """Volumes in mL of a label map (X, Y, Z), as columns of ``*_morph.tsv``.

    Structures with sides give ``structure_*_left_ml``, ``_right_ml`` and their sum
    ``structure_*_ml``; ``deep_gray_matter_ml`` is thalamus, caudate, putamen, pallidum and
    accumbens; ``brain_ml`` is the parenchyma, in which voxels of ``lesions`` count whatever their
    label, since black holes are often labelled ventricle or CSF. A structure without a voxel is
    None: whether the map does not know it or lost it cannot be told. In a map without any right
    label the sides are None and the left numbers stand for both. Raises ValueError for labels that
    are no integers.
    """
    structures = check_label_map(structures, structures.shape)
    values, counts = np.unique(structures, return_counts=True)
    ml = dict(zip(values.tolist(), (counts * voxel_mm3 / 1000).tolist(), strict=True))
    columns = {}
    has_sides = any(label in ml for _, right in SIDED.values() for label in right)
    for name, (left, right) in SIDED.items():
        sides = (_sum(ml, left), _sum(ml, right)) if has_sides else (None, None)
        total = _add(sides) if has_sides else _sum(ml, left)
        columns[f"structure_{name}_left_ml"], columns[f"structure_{name}_right_ml"] = sides
        columns[f"structure_{name}_ml"] = total
    columns |= {f"structure_{name}_ml": _sum(ml, labels) for name, labels in UNSIDED.items()}
    columns["deep_gray_matter_ml"] = _add(columns[f"structure_{n}_ml"] for n in DEEP_GRAY_MATTER)
    columns["brain_ml"] = None
    if not lacking_structures(structures, _WHOLE_BRAIN):
        tissue = np.isin(structures, PARENCHYMA)
        if lesions is not None:
            tissue |= lesions > 0
        columns["brain_ml"] = float(np.count_nonzero(tissue) * voxel_mm3 / 1000)
    return columns


def structures_flag(columns: dict[str, float | None]) -> str:
    """``ok``, or which volume of :func:`structure_volumes` no adult's whole brain has.

    The limits are ours and wide: they catch a failed segmentation, not an unusual patient.
    """
    for name, (low, high) in PLAUSIBLE_ML.items():
        volume = columns.get(f"structure_{name}_ml")
        words = name.replace("_", " ")
        if volume is None:
            return f"no {words} was segmented"
        if not low <= volume <= high:
            return f"the {words} of {volume:.1f} mL is implausible ({low:g} to {high:g} mL)"
    return "ok"


def brain_parenchymal_fraction(brain_ml: float | None, tiv_ml: float | None) -> float | None:
    """Parenchyma over total intracranial volume; None where either is unknown.

    None also above 1, which no brain has: one of the two volumes must be wrong.
    """
    if brain_ml is None or not tiv_ml or not 0 < brain_ml <= tiv_ml:
        return None
    return brain_ml / tiv_ml


def _sum(ml: dict[int, float], labels: tuple[int, ...]) -> float | None:
    found = [ml[label] for label in labels if label in ml]
    return sum(found) if found else None


def _add(volumes) -> float | None:
    volumes = list(volumes)
    return None if None in volumes else sum(volumes)
