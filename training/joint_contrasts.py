"""T1w, T2w and FLAIR of one head: painted from its labels, or real with lesions painted in."""

from __future__ import annotations

import torch
from torch.nn.functional import avg_pool3d

from training import contrast as contrasts
from training.acquisition import Protocol, acquire, disturb, shade
from training.deformation import resize, smooth_noise
from training.lesion_contrast import (
    CORTEX_RATIO,
    blurred,
    least_lesion_ratio,
    lesion_ratio,
    slight_ratio,
)
from training.randomness import chance, uniform, whole_number
from training.sources import is_brain

VENTRICLES = (4, 43, 5, 44, 14)
LATERAL = (4, 43)
BACK_AND_FRONT_OF_VENTRICLE = (0.01, 0.99)  # as teachers' ventricles have spurs
PLEXUS = (31, 63)
WHITE = (2, 41, 7, 46, 16, 28, 60, 251, 252, 253, 254, 255)
CORTEX, PUTAMEN = (3, 42), (12, 51)
DEEP_GREY = (10, 49, 11, 50, 12, 51, 17, 53, 18, 54, 26, 58)
# How much brighter or darker than scanned cortex and deep grey matter of a real head are made.
TISSUE_SPANS = {
    "FLAIR": ((-0.05, 0.25), (-0.1, 0.15)),
    "T2w": ((-0.15, 0.2), (-0.15, 0.2)),
    "T1w": ((-0.12, 0.08), (-0.08, 0.08)),
}
# How white matter that is bright on FLAIR, but no lesion, looks on each contrast.
UNEVEN = {"FLAIR": 1.0, "T2w": 1.5, "T1w": -0.35}
PROTOCOL = Protocol(
    in_plane_mm=(0.7, 1.3), thickness_mm=(1.0, 6.5), thick=0.5, axial=0.8, artefacts=0.08
)  # 3D and 2D scans alike


def uneven_white_matter(labels, generator):
    """How much brighter than usual white matter is on FLAIR without a lesion: (X, Y, Z), 0 to 0.18.

    It rises towards the ventricles and in patches. On the kit's training subjects 3 % of the white
    matter outside of lesions is more than 1.17 to 1.38 times as bright as its median within 3 mm of
    a ventricle, and 1.07 to 1.15 times deep in the hemisphere. It ends below most lesions.
    """
    coarse = torch.isin(labels, torch.tensor(VENTRICLES, device=labels.device)).float()
    coarse = avg_pool3d(coarse[None], 4, ceil_mode=True, count_include_pad=False)
    for _ in range(whole_number(generator, 1, 4)):
        coarse = avg_pool3d(coarse, 3, 1, 1, count_include_pad=False)
    near = (2 * resize(coarse, labels.shape)[0]).clamp(max=1)
    nodes = whole_number(generator, 8, 26)
    patches = smooth_noise(labels.shape, nodes, generator)[0].clamp(min=0)
    bright = uniform(generator, 0, 0.14) * near + uniform(generator, 0, 0.06) * patches
    white = torch.isin(labels, torch.tensor(WHITE, device=labels.device))
    return (bright * white).clamp(max=0.18)


def paint_all(names, labels, share, damage, bright, generator) -> dict:
    """Images by contrast from a label map (long) without lesions, and the share of lesions.

    ``damage`` is that of tissue_damage, ``bright`` that of uneven_white_matter. Bright rims of the
    ventricles, as in many healthy people, a bright septum between them and bright flow of CSF are
    painted but are no lesions.
    """
    ventricles = torch.isin(labels, torch.tensor(VENTRICLES, device=labels.device))
    rim = grow(ventricles, whole_number(generator, 1, 4)) & ~ventricles
    rim_strength = uniform(generator, 0, 0.5) if chance(generator, 0.6) else 0.0
    septum = septum_pellucidum(labels) * uniform(generator, 0, 0.9)
    caps, plexus = horn_caps(labels, generator), _bright_plexus(labels, generator)
    labels = with_claustrum(labels, generator)
    grey = torch.isin(labels, torch.tensor(CORTEX, device=labels.device))
    lobes = grey * smooth_noise(labels.shape, 6, generator)[0] * uniform(generator, 0, 0.1)
    images = {}
    for name in names:
        image, white = _paint(labels, generator, name)
        if name == "FLAIR":  # limbic and insular cortex are the brightest
            image = image + white * lobes
        cortex = image[grey].mean() / white if grey.any() else torch.ones(())
        lesion = white * lesion_ratio(name, damage, generator, cortex.item())
        rim_level = white * slight_ratio(name, generator, cortex.item())
        image = image + white * UNEVEN[name] * bright
        if name != "T1w":
            image = image + rim_strength * rim * (rim_level - image).clamp(min=0)
            image = image + caps * (rim_level - image).clamp(min=0)
        if name == "FLAIR":
            image = image * (1 + plexus)
            image = image + septum * (rim_level - image).clamp(min=0)
        if name == "FLAIR" and chance(generator, 0.3):
            flow = smooth_noise(labels.shape, 8, generator)[0].clamp(min=0)
            image = image + (ventricles | (labels == 24)) * flow * uniform(generator, 0, 0.5)
        images[name] = (image + share * (lesion - image)).clamp(min=0)
    return images


def septum_pellucidum(labels):
    """Where both lateral ventricles are within 2 mm: septum and fornix (X, Y, Z, bool).

    Teachers call it white matter or ventricle; on FLAIR it is often as bright as a lesion.
    """
    left, right = (grow(labels == number, 2) for number in LATERAL)
    return left & right & ~torch.isin(labels, torch.tensor(LATERAL, device=labels.device))


def with_claustrum(labels, generator):
    """Labels (X, Y, Z, long) with cortex in a sheet between putamen and insula, most of the time.

    The claustrum is in no teacher's labels; on FLAIR it is as bright as cortex.
    """
    if chance(generator, 0.2):
        return labels
    cortex, putamen, white = (
        torch.isin(labels, torch.tensor(names, device=labels.device))
        for names in (CORTEX, PUTAMEN, (2, 41))
    )
    steps = whole_number(generator, 2, 5)
    sheet = grow(putamen, steps) & grow(cortex, steps) & white
    return torch.where(sheet, torch.full_like(labels, CORTEX[0]), labels)


def _paint(labels, generator, name: str):
    """One contrast, and the intensity of its white matter."""
    image = contrasts.paint(labels, generator, name)
    white = image[(labels == 2) | (labels == 41)]
    return image, white.mean() if white.numel() else image.max()


def implant(images: dict, share, damage, bright, generator, cortex: float = CORTEX_RATIO) -> dict:
    """Real images by contrast with lesions painted in: their own texture, brighter or darker.

    ``damage`` is that of tissue_damage; ``bright`` makes their white matter more uneven; see
    uneven_white_matter. ``cortex`` is the brightness of cortex on FLAIR over that of white matter,
    which the lesions exceed.
    """
    implanted = {}
    for name, image in images.items():
        lesion = 1 + share * (lesion_ratio(name, damage, generator, cortex) - 1)
        implanted[name] = image * (1 + UNEVEN[name] * bright) * lesion.clamp(min=0)
    return implanted


def vary_tissues(images: dict, labels, lesions, generator):
    """Real images by contrast as other protocols might show the head, and its cortex on FLAIR.

    Grey matter becomes brighter or darker against white matter, on FLAIR by lobes too, and now and
    then the ventricles get bright rims that are no lesions. ``lesions`` (X, Y, Z, bool), drawn or
    suspected, keep their brightness, but are raised where cortex would outshine them. The one
    real head with drawn lesions has cortex hardly brighter than white matter; from it a network
    learns that whatever is brighter is a lesion, and finds cortex in others. Second returned:
    median brightness of cortex on FLAIR over that of white matter.
    """
    white = torch.isin(labels, torch.tensor(WHITE[:2], device=labels.device)) & ~lesions
    cortical = torch.isin(labels, torch.tensor(CORTEX, device=labels.device)) & ~lesions
    deep = torch.isin(labels, torch.tensor(DEEP_GREY, device=labels.device)) & ~lesions
    soft = [blurred(group.float()) for group in (cortical, deep)]
    lobes = soft[0] * smooth_noise(labels.shape, 6, generator)[0] * uniform(generator, 0, 0.1)
    rim = torch.maximum(_bright_rim(labels, generator), horn_caps(labels, generator)) * ~lesions
    plexus = _bright_plexus(labels, generator) * ~lesions
    varied, ratio = {}, CORTEX_RATIO
    for name, scanned in images.items():
        gains = [uniform(generator, *span) for span in TISSUE_SPANS[name]]
        image = scanned * (1 + gains[0] * soft[0] + gains[1] * soft[1])
        if name != "T1w":
            level = scanned[white].median()
        if name == "FLAIR":
            image = image * (1 + lobes) * (1 + plexus)
            ratio = (image[cortical].median() / level).item() if cortical.any() else ratio
            image = image * _raised(image, level, lesions, least_lesion_ratio(ratio, generator))
        if name != "T1w":
            bright = level * slight_ratio(name, generator, ratio)
            image = image + rim * (bright - image).clamp(min=0)
        varied[name] = image
    return varied, ratio


def _raised(image, level, lesions, least: float):
    """Factor (X, Y, Z) that makes lesions ``least`` times as bright as ``level``, if fainter."""
    if not lesions.any():
        return 1.0
    factor = (least * level / image[lesions].median()).clamp(min=1)
    return 1 + (factor - 1) * blurred(lesions.float())


def _bright_rim(labels, generator):
    """How bright a rim of the ventricles is, where there is one: 0 to 0.6 of a lesion."""
    if not chance(generator, 0.4):
        return torch.zeros(labels.shape, device=labels.device)
    ventricles = torch.isin(labels, torch.tensor(VENTRICLES, device=labels.device))
    rim = grow(ventricles, whole_number(generator, 1, 4)) & ~ventricles
    return blurred(rim.float()) * uniform(generator, 0, 0.6)


def horn_caps(labels, generator):
    """Bright caps on the tips of the lateral ventricles' horns: share (0 to 0.8) of a lesion.

    Most adults have them, on both sides alike; raters do not draw them (X, Y, Z).
    """
    caps = torch.zeros(labels.shape, device=labels.device)
    if not chance(generator, 0.5):
        return caps
    white = torch.isin(labels, torch.tensor(WHITE[:2], device=labels.device))
    forward = torch.arange(labels.shape[1], device=labels.device)[None, :, None]
    depth, steps = whole_number(generator, 3, 11), whole_number(generator, 2, 6)
    front, back = uniform(generator, 0, 0.8), uniform(generator, 0, 0.5)
    fore, aft = torch.zeros_like(white), torch.zeros_like(white)
    for ventricle in (labels == number for number in LATERAL):
        if not ventricle.any():
            continue
        along = ventricle.nonzero()[:, 1].float()
        first, last = (along.quantile(q) for q in BACK_AND_FRONT_OF_VENTRICLE)
        fore |= ventricle & (forward > last - depth)
        aft |= ventricle & (forward < first + depth)
    for tips, strength in ((fore, front), (aft, back)):
        caps = torch.maximum(caps, strength * (grow(tips, steps) & white))
    return blurred(blurred(caps))


def _bright_plexus(labels, generator):
    """By how much choroid plexus is brighter on FLAIR than painted or scanned: 0 to 0.8."""
    plexus = torch.isin(labels, torch.tensor(PLEXUS, device=labels.device)).float()
    return blurred(plexus) * uniform(generator, 0, 0.8) * chance(generator, 0.5)


def scan(image, generator, *, real: bool):
    """What a scanner makes of an image on a 1 mm grid."""
    if not real:  # the labels' edges are sharper than any scanner's
        image = torch.lerp(image, blurred(image), uniform(generator, 0.0, 0.8))
    image = disturb(image, generator, PROTOCOL.artefacts)
    image = acquire(image, 1.0, generator, PROTOCOL, real=real)
    return shade(image, generator)


def strip(labels, generator):
    """A brain mask (X, Y, Z, bool) as extraction tools make it: brain and a margin of CSF."""
    brain = is_brain(labels)
    closed = ~grow(~grow(brain, 4), 4)  # sulci belong to a brain mask
    return closed | grow(brain, 1 + whole_number(generator, 0, 3))


def grow(mask, steps: int):
    """A mask (X, Y, Z, bool) dilated by a cube of 2 * ``steps`` + 1 voxels."""
    for axis in range(3):
        for _ in range(steps):
            n, grown = mask.shape[axis], mask.clone()
            grown.narrow(axis, 1, n - 1).logical_or_(mask.narrow(axis, 0, n - 1))
            grown.narrow(axis, 0, n - 1).logical_or_(mask.narrow(axis, 1, n - 1))
            mask = grown
    return mask
