"""Classes of the two lesion networks, and the FreeSurfer labels they are learnt from."""

from __future__ import annotations

from pathlib import Path

from networks.weights import has_card, read_card

LESION = 1
#: Class number: name and FreeSurfer's labels of both sides (McKinley 2021, "Study design"). No
#: teacher of ours knows the corpus callosum, black holes or non-lesion hyperintensity; the
#: ventricles are parted, as McDonald's regions need the lateral ones.
CLASSES = (
    ("background", ()),
    ("lesion", (99,)),
    ("cortex", (3, 42)),
    ("cerebral_white_matter", (2, 41, 25, 57, 77, 78, 79, 251, 252, 253, 254, 255)),
    ("lateral_ventricle", (4, 5, 43, 44)),
    ("other_ventricles", (14, 15, 72)),
    ("cerebellum", (7, 8, 46, 47)),
    ("thalamus", (10, 49)),
    ("caudate", (11, 50)),
    ("putamen", (12, 51)),
    ("pallidum", (13, 52)),
    ("hippocampus", (17, 53)),
    ("amygdala", (18, 54)),
    ("brain_stem", (16,)),
    ("ventral_diencephalon", (28, 60)),
    ("choroid_plexus", (31, 63, 136, 137, 163, 164)),
    ("accumbens", (26, 58)),
)
#: Class name: number.
NUMBERS = {name: number for number, (name, _) in enumerate(CLASSES)}
CONTRASTS = ("T1w", "T2w", "FLAIR")
WEIGHTS = {"deepscan": "deepscan", "unet": "lesion-unet"}  # --lesion-model -> weight file
LESION_CONTRASTS = ("FLAIR", "T2w")  # that lesions can be drawn on, the first there is


def lesion_contrasts(model: str, model_dir: Path | None = None) -> tuple[str, ...]:
    """Contrasts that a lesion model can draw lesions on: its card's ``lesion_contrasts``, or all.

    A network that was never shown a head without FLAIR must not be asked about one.
    """
    name = WEIGHTS[model]
    if not has_card(name, model_dir):
        return LESION_CONTRASTS
    return tuple(read_card(name, model_dir).get("lesion_contrasts", LESION_CONTRASTS))
