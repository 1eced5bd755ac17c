"""What lesions look like on T1w, T2w and FLAIR: how bright, how sharp, how destroyed inside."""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage
from torch.nn.functional import avg_pool3d

from measures.components import bounding_box
from training import contrast as contrasts
from training.deformation import smooth_noise
from training.randomness import randn, uniform

CORTEX_RATIO = 1.17  # usual brightness of cortex on FLAIR over that of white matter
SMALL, LARGE = 50, 1000  # voxels of a lesion
# A lesion's intensity over that of white matter where all tissue is lost; it grows in proportion.
DESTROYED = {"T1w": (0.15, 0.40), "T2w": (2.4, 3.3)}
# By how many times as much as cortex a lesion exceeds white matter on FLAIR at least.
EXCESS = (1.8, 3.0)
# Damage from which on FLAIR darkens again, as the lesion's water becomes as free as CSF.
FREE_WATER = 0.45
# Damage of what is bright without being a lesion, as the rims of the ventricles are.
SLIGHT = 0.2


def tissue_damage(lesions, generator):
    """Share of the tissue that is lost in lesions: (X, Y, Z), 0 to 1, more with depth.

    The kit's training subject with drawn lesions has on T1w 0.76, 0.61, 0.50, 0.44 and 0.30 of
    white matter's intensity in the first, second, third, fourth and deeper millimetre of a lesion,
    on T2w 1.8, 2.2, 2.4, 2.5 and 2.7 times it, on FLAIR 1.37, 1.52, 1.47, 1.42 and 1.36 times
    (medians; T1w and T2w correlate by -0.88). Lesions of up to 30 voxels are faint: 0.91, 1.36 and
    1.31. Were all painted as dark on T1w and as bright on T2w as a middling one, real ones
    that are small would be missed and large ones taken for cortex or CSF. Others have less severe
    ones, and fewer black holes.
    """
    severity = uniform(generator, 0.2, 1.2)
    reach_mm = uniform(generator, 1.0, 5.0)
    uneven = uniform(generator, 0.1, 0.5) * smooth_noise(lesions.shape, 14, generator)[0]
    kept = torch.exp(-(_depth(lesions) + 0.7) / reach_mm)
    lost = severity * (1 + uneven).clamp(0.2, 1.8) * (1 - kept)
    return lost.clamp(0, 1)


def _depth(lesions):
    """Distance in voxels of a mask's voxels (X, Y, Z, bool) from its border, sought in its box."""
    depth = torch.zeros(lesions.shape)
    if lesions.any():
        mask = lesions.numpy()
        box = tuple(slice(max(0, s.start - 1), s.stop + 1) for s in bounding_box(mask))
        found = ndimage.distance_transform_edt(mask[box]).astype(np.float32)
        depth[box] = torch.from_numpy(found)
    return depth


def soft_lesions(lesions, generator):
    """Lesion mask (X, Y, Z, bool) to a share (0 to 1.6) with a blurred edge and uneven inside.

    Large lesions fade to half in places, as confluent ones do; a small one that faint nobody draws.
    """
    mask = lesions.float()
    share = torch.lerp(mask, blurred(mask), uniform(generator, 0.2, 0.8))
    uneven = 1 + uniform(generator, 0.1, 0.35) * smooth_noise(lesions.shape, 28, generator)[0]
    fade = uniform(generator, 0, 0.5) * smooth_noise(lesions.shape, 14, generator)[0].clamp(0, 1)
    return share * uneven.clamp(0.55, 1.5) * (1 - fade * _largeness(lesions))


def _largeness(lesions):
    """0 in lesions of up to 50 voxels, rising with the logarithm to 1 from 1000 on: (X, Y, Z)."""
    numbered, count = ndimage.label(lesions.numpy(), np.ones((3, 3, 3)))
    sizes = np.bincount(numbered.ravel(), minlength=count + 1).clip(min=1)
    large = (np.log(sizes / SMALL) / np.log(LARGE / SMALL)).clip(0, 1)
    return torch.from_numpy(large.astype(np.float32)[numbered])


def least_lesion_ratio(cortex: float, generator) -> float:
    """How bright on FLAIR a lesion is at least over white matter, where ``cortex`` is how bright.

    Drawn lesions of the kit's training subject exceed white matter by 2.6 times as much as its
    cortex does (median), small ones too; nineteen in twenty voxels exceed the cortex's median.
    """
    return 1 + uniform(generator, *EXCESS) * (cortex - 1)


def lesion_ratio(name: str, damage, generator, cortex: float = CORTEX_RATIO):
    """A lesion's intensity over white matter's, tensor like ``damage`` (see tissue_damage).

    On FLAIR well brighter than ``cortex`` but where most tissue is lost. Drawn lesions of the kit's
    training subject have 1.28 to 1.49 there (quartiles, edges included), a tenth of their voxels
    less than 1.18. Were they painted as faint as cortex, every blade of cortex between two gyri
    would be found as one.
    """
    if name in DESTROYED:
        return 1 + damage * (uniform(generator, *DESTROYED[name]) - 1)
    mean, deviation = contrasts.CONTRASTS[name]["lesion"]
    value = mean + deviation * randn((), generator).item()
    bright = max(value, 1.28, least_lesion_ratio(cortex, generator)) - 1
    free = ((damage - FREE_WATER) / (1 - FREE_WATER)).clamp(min=0)
    return 1 + bright * (1 - uniform(generator, 0, 0.6) * free)


def slight_ratio(name: str, generator, cortex: float = CORTEX_RATIO):
    """The same of what is bright without being a lesion, as rims and caps are: a 0-d tensor."""
    return lesion_ratio(name, torch.tensor(SLIGHT), generator, cortex)


def blurred(image):
    """An image (X, Y, Z), each voxel the mean of its 27 neighbours."""
    return avg_pool3d(image[None, None], 3, 1, 1, count_include_pad=False)[0, 0]
