"""The words and metadata of the demo dataset: descriptions, sidecars, column dictionaries."""

from __future__ import annotations

DATASET_NAME = "MSMorph demo (simulated)"
_LICENSE = (
    "The anatomy derives from the ICBM 2009a symmetric template, Copyright (C) 1993-2009 "
    "Louis Collins, McConnell Brain Imaging Centre, Montreal Neurological Institute, McGill "
    "University: permission to use, copy, modify and distribute is granted with this notice."
)
RAW_DESCRIPTION = {
    "Name": DATASET_NAME,
    "BIDSVersion": "1.10.0",
    "DatasetType": "raw",
    "License": _LICENSE,
    "Authors": ["MSMorph developers"],
    "Acknowledgements": "Made from the MNI152 template that ships with nilearn.",
    "ReferencesAndLinks": ["https://doi.org/10.1016/j.neuroimage.2010.07.033"],
    "GeneratedBy": [{"Name": "msmorph-demo"}],
}
DERIVATIVE_DESCRIPTION = {
    "Name": "Truth of the MSMorph demo",
    "BIDSVersion": "1.10.0",
    "DatasetType": "derivative",
    "License": _LICENSE,
    "GeneratedBy": [{"Name": "msmorph-demo"}],
    "SourceDatasets": [{"URL": "../.."}],
    "DatasetLinks": {"raw": "../.."},
}
README = """MSMorph demo dataset
====================

Simulated MRI of two heads with multiple sclerosis, each seen twice a year apart: T1w (3D,
1 mm), FLAIR and T2w (2D, 3 mm axial slices, each with its own head position). Nobody was
scanned. The brain is the MNI152 (ICBM 2009a symmetric) template bundled with nilearn, warped
into two different heads; skull, scalp and neck are drawn round it. The thalami shrink from
ses-01 to ses-02 by a known amount and a new lesion appears. In sub-01, ses-01, there is also
a T2w of the upper spinal cord (3D, 0.8 mm) with one lesion, drawn from formulas.

derivatives/truth holds what is known: thalamus labels (1 left, 2 right) on the grid of each
image, lesion masks on the T1w, and truth.tsv with volumes summed from partial-volume maps, those
of the lesions also by the region that each was planned in. Of the cord: masks of it and of its
lesion, single voxels at the discs (n is the upper border of the nth cervical vertebra), and a
table of its area in every slice.

Made by `msmorph-demo`. Good for testing that software runs and measures; not for claims about
accuracy on patients.
"""

_SCANNER = {
    "Modality": "MR",
    "Manufacturer": "simulated",
    "ManufacturersModelName": "msmorph-demo",
    "MagneticFieldStrength": 3,
    "BodyPart": "BRAIN",
}
SIDECARS = {
    "T1w": {
        **_SCANNER,
        "MRAcquisitionType": "3D",
        "ScanningSequence": "GR",
        "RepetitionTime": 2.3,
        "EchoTime": 0.00298,
        "InversionTime": 0.9,
        "FlipAngle": 9,
        "SliceThickness": 1.0,
    },
    "FLAIR": {
        **_SCANNER,
        "MRAcquisitionType": "2D",
        "ScanningSequence": "SE",
        "RepetitionTime": 9.0,
        "EchoTime": 0.09,
        "InversionTime": 2.5,
        "FlipAngle": 150,
        "SliceThickness": 3.0,
        "SpacingBetweenSlices": 3.0,
    },
    "T2w": {
        **_SCANNER,
        "MRAcquisitionType": "2D",
        "ScanningSequence": "SE",
        "RepetitionTime": 4.5,
        "EchoTime": 0.1,
        "FlipAngle": 150,
        "SliceThickness": 3.0,
        "SpacingBetweenSlices": 3.0,
    },
}
CORD_SIDECAR = {
    **_SCANNER,
    "BodyPart": "CSPINE",
    "MRAcquisitionType": "3D",
    "ScanningSequence": "SE",
    "RepetitionTime": 1.5,
    "EchoTime": 0.12,
    "FlipAngle": 120,
    "SliceThickness": 0.8,
}
PARTICIPANT_COLUMNS = {
    "age": {"Description": "Invented age at ses-01", "Units": "year"},
    "sex": {"Description": "Invented sex", "Levels": {"F": "female", "M": "male"}},
    "group": {"Description": "Group", "Levels": {"RRMS": "relapsing-remitting MS"}},
    "edss": {"Description": "Invented Expanded Disability Status Scale at ses-01, 0 to 10"},
}
SESSION_DAYS = {"ses-01": 0, "ses-02": 365}
TRUTH_COLUMNS = {
    "participant_id": {"Description": "Participant"},
    "session_id": {"Description": "Session"},
    "thalamus_left_ml": {"Description": "True volume of the left thalamus", "Units": "mL"},
    "thalamus_right_ml": {"Description": "True volume of the right thalamus", "Units": "mL"},
    "thalamus_ml": {"Description": "True volume of both thalami", "Units": "mL"},
    "lesion_ml": {"Description": "True volume of all lesions", "Units": "mL"},
    "lesion_count": {"Description": "Number of lesions (26-connected, on the T1w grid)"},
}
for _region, _name in (
    ("periventricular", "at the lateral ventricles"),
    ("juxtacortical", "at the cortex"),
    ("infratentorial", "in the cerebellum or brain stem"),
    ("deep_white_matter", "in the white matter away from ventricles and cortex"),
):
    TRUTH_COLUMNS |= {
        f"lesion_{_region}_ml": {
            "Description": f"True volume of the lesions planned {_name}",
            "Units": "mL",
        },
        f"lesion_{_region}_count": {"Description": f"Number of lesions planned {_name}"},
    }
_CORD = "True cross-sectional area of the spinal cord, at right angles to it, mean over "
TRUTH_COLUMNS |= {
    "cord_csa_mean_mm2": {"Description": f"{_CORD}all slices", "Units": "mm2"},
    "cord_csa_c2c3_mm2": {"Description": f"{_CORD}the slices at C2 and C3", "Units": "mm2"},
    "cord_lesion_count": {"Description": "Number of lesions in the spinal cord"},
    "cord_lesion_mm3": {"Description": "True volume of those lesions", "Units": "mm3"},
}
SLICE_COLUMNS = {
    "slice": {"Description": "Number of the axial slice, from 0 at the lowest"},
    "level": {"Description": "Vertebra of that level: 2 is C2; n/a beyond the outermost discs"},
    "angle_deg": {
        "Description": "True angle between the cord and the slice's normal",
        "Units": "deg",
    },
    "area_mm2": {
        "Description": "True area of the cord at right angles to it, in the slice's middle plane",
        "Units": "mm2",
    },
}
THALAMUS_LUT = [
    {"index": 1, "name": "Left thalamus", "abbreviation": "L", "color": "#00760E"},
    {"index": 2, "name": "Right thalamus", "abbreviation": "R", "color": "#007EFF"},
]
