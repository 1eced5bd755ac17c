"""Training of DeepGRAI's two stages (Dwyer 2021, sections 2.1 and 2.2)."""

from __future__ import annotations

from networks.geometry import InputGrid, sample_volume
from training.deformation import View, resize
from training.sampling import Recipe, positions

STAGES = {
    1: {
        "architecture": {"channels": [16, 32, 64, 128, 256], "residual_units": 0},
        "input": {"shape": [128, 128, 64], "voxel_mm": [2.0, 2.0, 2.0]},
    },
    2: {
        "architecture": {"channels": [32, 64, 128, 256, 512], "residual_units": 0},
        "input": {"shape": [128, 128, 64], "voxel_mm": [0.5, 0.5, 0.5]},
    },
}
# Paper 2.2.1: the crop's place is random by about 1.5 cm in each direction. In stage 2, z has half
# the field of view, where so large a shift would cut the thalamus away.
VIEWS = {
    1: View(jitter_mm=(20.0, 20.0, 20.0), warp_mm=3.0),
    2: View(jitter_mm=(8.0, 8.0, 5.0), warp_mm=2.5),
}


def recipe(stage: int, lesions=None) -> Recipe:
    """The samples of a stage: FLAIR-like images of the whole head or around the thalami."""
    grid = InputGrid.from_card(STAGES[stage])

    def target(source, points):
        # The teachers' labels have 1 mm voxels or more: every other point is enough.
        half = [n // 2 for n in grid.shape]
        coarse = sample_volume(*positions(source.thalamus, points, half))
        return resize(coarse[None], grid.shape).round()

    def centre(source):
        return source.thalamus_centre_mm if stage == 2 else source.brain_centre_mm

    return Recipe(grid, VIEWS[stage], centre, target, contrast="FLAIR", lesions=lesions)


def soft_dice_loss(logits, target):
    """Soft Dice (paper, 2.2.2), as intersection over the sum of the two volumes, by sample."""
    from monai.losses import DiceLoss

    return DiceLoss(sigmoid=True, smooth_nr=1.0, smooth_dr=1.0)(logits, target)
