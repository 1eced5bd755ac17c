"""Tissue intensities of MR contrasts, and painting an image from a label map.

The idea is SynthSeg's (Billot 2023, doi:10.1016/j.media.2023.102789): a network that has seen
every contrast generalises to the one it is given.
"""

from __future__ import annotations

from training.deformation import smooth_noise
from training.randomness import rand, randn, uniform
from training.sources import THALAMUS_LABELS

N_LABELS = 1024
TISSUES = {
    "white": (2, 41),
    "cerebellar_white": (7, 46),
    "cortex": (3, 42),
    "cerebellar_cortex": (8, 47),
    "thalamus": THALAMUS_LABELS,
    "caudate": (11, 50, 26, 58),
    "putamen": (12, 51),
    "pallidum": (13, 52),
    "hippocampus": (17, 18, 53, 54),
    "diencephalon": (28, 60),
    "brain_stem": (16,),
    "ventricle": (4, 5, 14, 15, 43, 44, 72),
    "csf": (24,),
    "lesion": (25, 57, 77, 99),
    "choroid_plexus": (31, 63, 136, 137, 163, 164),
    "vessel": (30, 62, 85),
}
# Mean and between-scan SD relative to white matter. FLAIR and T1w: medians inside SAMSEG's labels
# of the kit's training subjects (3D gradient echo and 2D spin echo together), CSF corrected for
# partial volume, and cortex, too: it is brighter on FLAIR than its voxels, most of which hold CSF,
# so that what is painted has their medians after blurring. T2w, PDw and T2starw: rounded from
# relaxation times at 1.5-3 T, with wide SDs; T2w's cortex and lesion from the training subjects.
CONTRASTS = {
    "FLAIR": {
        "white": (1.0, 0.03), "cerebellar_white": (0.97, 0.05), "cortex": (1.27, 0.08),
        "cerebellar_cortex": (1.22, 0.08), "thalamus": (0.96, 0.08), "caudate": (1.09, 0.06),
        "putamen": (1.01, 0.06), "pallidum": (0.79, 0.07), "hippocampus": (1.10, 0.06),
        "diencephalon": (0.92, 0.09), "brain_stem": (0.93, 0.09), "ventricle": (0.22, 0.14),
        "csf": (0.30, 0.18), "lesion": (1.52, 0.14), "choroid_plexus": (0.75, 0.25),
        "vessel": (0.7, 0.25),
    },
    "T1w": {
        "white": (1.0, 0.02), "cerebellar_white": (1.02, 0.05), "cortex": (0.79, 0.07),
        "cerebellar_cortex": (0.88, 0.08), "thalamus": (0.94, 0.06), "caudate": (0.88, 0.07),
        "putamen": (0.93, 0.06), "pallidum": (1.0, 0.06), "hippocampus": (0.82, 0.08),
        "diencephalon": (0.99, 0.05), "brain_stem": (1.0, 0.06), "ventricle": (0.35, 0.16),
        "csf": (0.38, 0.16), "lesion": (0.73, 0.14), "choroid_plexus": (0.6, 0.2),
        "vessel": (0.8, 0.3),
    },
    "T2w": {
        "white": (1.0, 0.05), "cerebellar_white": (1.02, 0.08), "cortex": (1.33, 0.13),
        "cerebellar_cortex": (1.4, 0.15), "thalamus": (1.2, 0.12), "caudate": (1.3, 0.12),
        "putamen": (1.2, 0.12), "pallidum": (0.8, 0.12), "hippocampus": (1.5, 0.15),
        "diencephalon": (1.1, 0.12), "brain_stem": (1.1, 0.12), "ventricle": (3.0, 0.5),
        "csf": (2.8, 0.5), "lesion": (2.05, 0.3), "choroid_plexus": (2.2, 0.5),
        "vessel": (0.6, 0.4),
    },
    "PDw": {
        "white": (1.0, 0.03), "cerebellar_white": (1.02, 0.05), "cortex": (1.2, 0.07),
        "cerebellar_cortex": (1.2, 0.07), "thalamus": (1.1, 0.07), "caudate": (1.17, 0.06),
        "putamen": (1.13, 0.06), "pallidum": (0.95, 0.08), "hippocampus": (1.2, 0.07),
        "diencephalon": (1.05, 0.07), "brain_stem": (1.05, 0.07), "ventricle": (1.1, 0.25),
        "csf": (1.1, 0.25), "lesion": (1.3, 0.12), "choroid_plexus": (1.25, 0.2),
        "vessel": (0.6, 0.3),
    },
    "T2starw": {
        "white": (1.0, 0.04), "cerebellar_white": (1.02, 0.07), "cortex": (1.3, 0.12),
        "cerebellar_cortex": (1.25, 0.12), "thalamus": (1.1, 0.12), "caudate": (1.1, 0.12),
        "putamen": (1.0, 0.15), "pallidum": (0.6, 0.15), "hippocampus": (1.35, 0.12),
        "diencephalon": (0.95, 0.15), "brain_stem": (1.05, 0.12), "ventricle": (1.9, 0.4),
        "csf": (1.8, 0.4), "lesion": (1.5, 0.25), "choroid_plexus": (1.4, 0.4),
        "vessel": (0.5, 0.3),
    },
}  # fmt: skip
MIRROR_PAIRS = ((2, 41), (3, 42), (4, 43), (5, 44), (7, 46), (8, 47), (10, 49), (11, 50), (12, 51),
                (13, 52), (17, 53), (18, 54), (25, 57), (26, 58), (28, 60), (30, 62), (31, 63),
                (136, 163), (137, 164))  # fmt: skip


def label_intensities(generator, contrast: str | None):
    """Random mean and SD of every label's tissue: two tensors (1024,).

    ``contrast`` (a key of CONTRASTS) draws around its means; with None every tissue gets any
    intensity. Labels outside the brain are arbitrary either way.
    """
    means = rand(N_LABELS, generator) * 1.4
    spread = rand(N_LABELS, generator) * 0.12 + 0.02
    for tissue, labels in TISSUES.items():
        if contrast is None:
            value = uniform(generator, 0, 1.4)
        else:
            mean, deviation = CONTRASTS[contrast][tissue]
            value = mean + deviation * randn((), generator).item()
        means[list(labels)] = max(value, 0.0)
    for left, right in MIRROR_PAIRS:
        means[right] = means[left]
        spread[right] = spread[left]
    means[0], spread[0] = 0.0, 0.01
    return means, spread


def paint(labels, generator, contrast: str | None):
    """Image (X, Y, Z) from a label volume (long): Gaussian tissue, texture, smooth unevenness."""
    means, spread = label_intensities(generator, contrast)
    image = means[labels]
    texture = randn(labels.shape, generator) * spread[labels]
    # Nuclei and tracts make tissue uneven on a scale of several mm: two smooth fields.
    brain = (labels > 0).float()
    for nodes, strength in ((6, 0.06), (14, 0.06)):
        amount = uniform(generator, 0, strength)
        image = image + brain * amount * smooth_noise(labels.shape, nodes, generator)[0]
    thalamus = (labels == THALAMUS_LABELS[0]) | (labels == THALAMUS_LABELS[1])
    uneven = uniform(generator, 0, 0.08) * smooth_noise(labels.shape, 9, generator)[0]
    return (image + 0.7 * texture + thalamus * uneven).clamp(min=0)
