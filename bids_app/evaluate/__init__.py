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
#: Measures of lesion masks, given only when named. First those of voxels,
VOXEL_MEASURES = {
    "sensitivity": "MSSEG's name of true_positive_rate",
    "positive_predictive_value": "share of PRED that is in REF",
}
#: then those of whole lesions, which size bins split.
LESION_MEASURES = {
    "lesion_f1": "harmonic mean of the next two",
    "lesion_sensitivity": "share of REF's lesions that PRED detects",
    "lesion_ppv": "share of PRED's lesions that REF detects",
    "pred_lesion_count": "lesions of PRED",
    "ref_lesion_count": "lesions of REF",
}
#: Names that stand for several measures.
MEASURE_GROUPS = {
    "msseg": ("dice", "surface_distance_mm", *VOXEL_MEASURES, *LESION_MEASURES),
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
