"""``msmorph-norms`` and ``--norms``: volumes of the thalamus against those of controls."""

from __future__ import annotations

CONTRASTS = ("t1w", "flair")
TIV = "tiv_ml"
SLICE_THICKNESS = "qc_flair_slice_thickness_mm"
#: Volumes that can have a norm -> start of the names of the columns that compare with it.
VOLUMES = {
    f"thalamus_{contrast}{side}_ml": f"thalamus_{contrast}{side}_norm"
    for contrast in CONTRASTS
    for side in ("", "_left", "_right")
}
#: SD in mL of one head's volume in 30 simulated scanners: docs/benchmarks.md, "One head through 30
#: simulated scanners", rows "T1w, mask" and "FLAIR, mask". One side alone was not measured.
INTER_SCANNER_SD_ML = {"thalamus_t1w_ml": 0.165, "thalamus_flair_ml": 0.667}
#: Networks that the volumes of a contrast come from; another network's need another norm.
NETWORKS = {"t1w": ("opfer-thalamus",), "flair": ("deepgrai-stage1", "deepgrai-stage2")}
#: That of the intracranial volume.
TIV_NETWORKS = ("opfer-thalamus",)


def contrast_of(volume: str) -> str:
    """Return ``t1w`` or ``flair`` for a name of ``VOLUMES``."""
    return volume.split("_")[1]


def networks_of(volume: str, with_tiv: bool) -> tuple[str, ...]:
    """Return the networks on which the comparison of a volume depends."""
    names = NETWORKS[contrast_of(volume)] + (TIV_NETWORKS if with_tiv else ())
    return tuple(dict.fromkeys(names))
