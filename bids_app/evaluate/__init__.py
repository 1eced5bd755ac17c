"""``msmorph-evaluate``: agreement of masks and volumes with a reference."""

from __future__ import annotations

#: Measures of two masks, in the order of the table's columns, with the words for the help.
MASK_MEASURES = {
    "dice": "overlap, 2 |A and B| / (|A| + |B|)",
    "true_positive_rate": "share of REF found in PRED",
    "false_positive_rate": "share of what is outside REF that is in PRED",
    "hausdorff_mm": "greatest distance between the borders",
    "hausdorff95_mm": "95th percentile of the distance between the borders",
    "surface_distance_mm": "mean symmetric distance between the borders",
    "volume_difference_ml": "PRED less REF",
    "volume_difference_percent": "PRED less REF, in percent of REF",
}
#: Those that need no more than the volumes.
VOLUME_MEASURES = ("volume_difference_ml", "volume_difference_percent")
#: Columns that say what was compared, before the volumes and the measures.
KEY_COLUMNS = (
    "participant_id", "session_id", "acq", "run", "space", "mask", "pred_labels", "ref_labels",
)  # fmt: skip
#: Rows that agree in these are of one structure: they share a summary and a panel of the plot.
STRUCTURE_COLUMNS = ("space", "mask", "pred_labels", "ref_labels")
VOLUME_COLUMNS = ("pred_volume_ml", "ref_volume_ml")
