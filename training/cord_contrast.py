"""Intensities of cord, canal, spine and neck on T1w, T2w and T2starw, relative to white matter."""

from __future__ import annotations

from training.randomness import chance, randn, uniform

# Mean and between-scan SD relative to the cord's white matter. From relaxation times at 1.5-3 T
# for spin echo (T2w), multi-echo gradient echo (T2starw) and MPRAGE (T1w), moved where the kit's
# training images show otherwise: CSF is 3 to 4 times the cord on a 3D T2w and 1.5 times on
# T2starw, grey matter 1.13 times white on T2starw.
CONTRASTS = {
    "T2w": {
        "white": (1.0, 0.0), "grey": (1.10, 0.05), "csf": (2.9, 0.7), "marrow": (0.9, 0.35),
        "disc": (0.8, 0.5), "bone": (0.2, 0.12), "muscle": (0.55, 0.18), "fat": (1.7, 0.8),
        "air": (0.03, 0.02), "mucosa": (1.7, 0.5), "vessel": (0.4, 0.4), "ligament": (0.3, 0.15),
        "brain_grey": (1.3, 0.15), "lesion": (1.75, 0.3), "root": (1.1, 0.2),
    },
    "T2starw": {
        "white": (1.0, 0.0), "grey": (1.16, 0.05), "csf": (1.55, 0.25), "marrow": (0.4, 0.2),
        "disc": (0.9, 0.3), "bone": (0.15, 0.1), "muscle": (0.8, 0.2), "fat": (0.7, 0.35),
        "air": (0.03, 0.02), "mucosa": (1.1, 0.3), "vessel": (1.7, 0.6), "ligament": (0.3, 0.15),
        "brain_grey": (1.15, 0.1), "lesion": (1.38, 0.12), "root": (1.0, 0.15),
    },
    "T1w": {
        "white": (1.0, 0.0), "grey": (0.90, 0.05), "csf": (0.35, 0.12), "marrow": (0.85, 0.3),
        "disc": (0.6, 0.15), "bone": (0.15, 0.1), "muscle": (0.6, 0.12), "fat": (1.5, 0.5),
        "air": (0.03, 0.02), "mucosa": (0.65, 0.15), "vessel": (0.6, 0.5), "ligament": (0.3, 0.15),
        "brain_grey": (0.8, 0.06), "lesion": (0.82, 0.09), "root": (0.7, 0.15),
    },
}  # fmt: skip
#: How far CSF and lesion are from white matter at least, or nothing could be learnt from them.
LEAST = {"csf": 0.3, "lesion": 0.15}


def tissue_intensities(generator, contrast: str | None) -> dict[str, float]:
    """Intensity of every tissue of one scan.

    ``contrast``, a key of CONTRASTS, draws around its means and keeps the order of CSF, lesion and
    white matter; with None every tissue gets any intensity.
    """
    if contrast is None:
        return _any_intensities(generator)
    drawn = {}
    for tissue, (mean, deviation) in CONTRASTS[contrast].items():
        value = mean + deviation * randn((), generator).item()
        if tissue in LEAST:  # T1w: darker than white matter, else brighter
            least = LEAST[tissue] if contrast != "T1w" or tissue == "csf" else 0.04
            value = max(value, 1 + least) if mean > 1 else min(value, 1 - least)
        drawn[tissue] = max(value, 0.0)
    if contrast == "T2w" and chance(generator, 0.2):
        drawn["fat"] = uniform(generator, 0.1, 0.5)  # fat suppression
    return drawn


def _any_intensities(generator) -> dict[str, float]:
    drawn = {tissue: uniform(generator, 0.05, 2.0) for tissue in CONTRASTS["T2w"]}
    drawn["white"] = 1.0
    drawn["air"] = uniform(generator, 0, 0.3)
    drawn["grey"] = uniform(generator, 0.8, 1.2)
    for tissue, least in LEAST.items():
        far = uniform(generator, least, 0.9)
        drawn[tissue] = 1 + far if chance(generator, 0.5) else 1 - far
    return drawn
