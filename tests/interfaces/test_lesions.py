"""The lesion interface with a stand-in network, in a brain of boxes with known answers."""

import nibabel as nib
import numpy as np
import pytest
import torch
from nipype.interfaces.base import isdefined

from interfaces.lesions import LesionSegmentation, _structure_columns
from interfaces.registration import write_itk
from networks import deepscan, lesions
from networks.brain_classes import CLASSES
from networks.geometry import InputGrid

SHAPE = (40, 40, 40)
CARD = {
    "architecture": {"kind": "deepscan", "classes": len(CLASSES)}, "threshold": 0.5,
    "sha256": "abc", "trained_on": ["nothing"], "input": {"shape": [16, 16, 16]},
}  # fmt: skip
SPOTS = {  # from the largest on: 48, 27 and 27 voxels
    "periventricular": (slice(14, 18), slice(15, 18), slice(26, 30)),
    "deep": (slice(28, 31), slice(24, 27), slice(26, 29)),
    "infratentorial": (slice(10, 13), slice(20, 23), slice(5, 8)),
}
PLEXUS = (slice(14, 18), slice(20, 24), slice(20, 22))
CRUMB = (slice(30, 32), slice(10, 11), slice(30, 31))  # 2 mm3
T1W_OF = {0: 0, 2: 70, 3: 100, 4: 20, 5: 20, 6: 85, 13: 95, 15: 40}  # class -> T1w intensity
FROM_FIRST = np.array([[0, -1, 0, 12], [1, 0, 0, -30], [0, 0, 1, 7], [0, 0, 0, 1]], float)
AFFINE = np.array([[-1, 0, 0, 60], [0, 1, 0, -10], [0, 0, 1, 5], [0, 0, 0, 1]], float)  # LAS


@pytest.fixture(autouse=True)
def any_volume_is_plausible(monkeypatch, request):
    """The brain of boxes is that of no adult."""
    if "implausible" not in request.node.name:
        monkeypatch.setattr("measures.structures.PLAUSIBLE_ML", {})


class ByIntensity(torch.nn.Module):
    """Reads FLAIR or else T2w: whole numbers are classes, and a quarter more is lesion."""

    def __init__(self, kind):
        super().__init__()
        self.kind = kind

    def forward(self, image):
        """Logits as DeepSCAN's for stacks or as the U-Net's for patches."""
        image = image[:, :, 2] if self.kind == "deepscan" else image
        seen = image[:, 2] if image[:, 2].any() else image[:, 1]
        label = torch.stack([-8 * (seen.round() - n).abs() for n in range(len(CLASSES))], 1)
        label[:, 1] = torch.where(seen - seen.round() > 0.1, 4.0, -20.0)
        return torch.stack([label, label * 0 - 2], 1) if self.kind == "deepscan" else label


@pytest.fixture(autouse=True)
def network(monkeypatch):
    """The stand-in on a small canvas; yields the model card and the names that were asked for."""
    card, names = dict(CARD), []

    def load(name, model_dir=None, device="cpu"):
        names.append(name)
        return ByIntensity(card["architecture"]["kind"]), card

    monkeypatch.setattr("networks.weights.load_network", load)
    monkeypatch.setattr(lesions, "CANVAS", InputGrid((48, 48, 48), (1.0, 1.0, 1.0)))
    monkeypatch.setattr(deepscan, "PLANE", (48, 48))
    monkeypatch.setattr(lesions, "normalise", lambda volume: volume)
    return card, names


@pytest.fixture
def classes():
    """Classes (40, 40, 40) without lesions: brain from voxel 2 to 37."""
    found = np.zeros(SHAPE, np.int16)
    found[2:38, 2:38, 2:38] = 2
    found[4:36, 4:36, 4:36] = 3
    found[14:18, 12:28, 20:26] = found[22:26, 12:28, 20:26] = 4
    found[14:18, 12:28, 20:22] = 15
    found[19:21, 16:22, 16:20] = 5
    found[2:38, 2:14, 2:12], found[2:38, 14:38, 2:12] = 6, 13
    return found


def spots(*boxes):
    mask = np.zeros(SHAPE, bool)
    for box in boxes:
        mask[box] = True
    return mask


REAL = spots(*SPOTS.values())


def save(path, data, affine):
    nib.Nifti1Image(data, affine).to_filename(path)
    return str(path)


@pytest.fixture
def scan(tmp_path, classes):
    """Run the interface on FLAIR (or T2w) and what else is asked for; returns its outputs."""
    drawn = REAL | spots(PLEXUS, CRUMB)
    mask = save(tmp_path / "mask.nii.gz", np.uint8(classes > 0), AFFINE)

    def run(*contrasts, drawn=drawn, **inputs):
        image = np.float32(classes + 0.25 * drawn)
        t1w = np.vectorize(T1W_OF.get)(classes).astype(np.float32)
        t1w += np.random.default_rng(0).normal(0, 2, SHAPE) * (classes > 0)
        t1w[drawn] = 55
        for contrast in contrasts:
            path = tmp_path / f"{contrast}.nii.gz"
            if contrast == "t1w" and "flair_to_ref_itk" in inputs:
                inputs[contrast] = save(path, np.pad(t1w, PADDING), t1w_affine())
            else:
                inputs[contrast] = save(path, t1w if contrast == "t1w" else image, AFFINE)
        for name, value in inputs.items():
            if isinstance(value, np.ndarray):
                inputs[name] = write_itk(value, tmp_path / f"{name}.txt")
        folder = tmp_path / "node"
        folder.mkdir(exist_ok=True)
        inputs = {"lesion_model": "deepscan"} | inputs
        return LesionSegmentation(brain_mask=mask, **inputs).run(cwd=str(folder)).outputs

    return run


PADDING = ((3, 0), (1, 2), (4, 4))


def t1w_affine():
    """Of the T1w's grid, which is padded: its head has turned by 90 degrees and moved."""
    grid = AFFINE.copy()
    grid[:3, 3] -= AFFINE[:3, :3] @ [before for before, _ in PADDING]
    return FROM_FIRST @ grid


def read(path):
    return np.asarray(nib.load(path).dataobj)


def check_consistent(outputs):
    """Mask, numbers, map of classes, rows and columns tell the same lesions."""
    mask, numbers, dseg = (
        read(path) for path in (outputs.out_mask, outputs.out_instances, outputs.out_dseg)
    )
    assert np.array_equal(mask > 0, numbers > 0)
    assert np.array_equal(mask > 0, dseg == 1)
    sizes = np.bincount(numbers.ravel())[1:]
    assert sizes.tolist() == sorted(sizes, reverse=True)
    assert [row["lesion_id"] for row in outputs.rows] == list(range(1, len(sizes) + 1))
    assert [row["lesion_mm3"] for row in outputs.rows] == pytest.approx(sizes.tolist())
    assert outputs.measures["lesion_count"] == len(sizes)
    assert outputs.measures["lesion_ml"] == pytest.approx(mask.sum() / 1000)
    assert (read(outputs.out_probseg)[mask > 0] > 0.5).all()


def test_implausible_structures_are_withheld_and_lesions_are_kept(scan):
    measures = scan("flair").measures
    assert "mL is implausible" in measures["qc_structures_flag"]
    assert measures["brain_ml"] is None and measures["structure_thalamus_ml"] is None
    assert measures["lesion_periventricular_count"] is None
    assert measures["lesion_count"] == 3


@pytest.mark.parametrize(("contrast", "name"), [("flair", "FLAIR"), ("t2w", "T2w")])
def test_one_contrast(scan, classes, contrast, name):
    outputs = scan(contrast)
    check_consistent(outputs)
    assert np.array_equal(read(outputs.out_mask) > 0, REAL)
    assert np.array_equal(read(outputs.out_dseg), np.where(REAL, 1, classes))
    regions = [row["region"] for row in outputs.rows]
    assert sorted(regions) == ["deep_white_matter", "infratentorial", "periventricular"]
    assert regions[0] == "periventricular"
    measures = outputs.measures
    assert measures["lesion_dissemination_count"] == 2
    assert measures["qc_lesion_contrasts"] == name
    assert measures["qc_lesion_flag"] == measures["qc_lesion_regions_flag"] == "ok"
    assert measures["qc_lesion_t1w_flag"] == "no T1w"
    assert measures["brain_ml"] == pytest.approx((~np.isin(classes, (0, 4, 5, 15))).sum() / 1000)
    assert measures["structure_cerebral_white_matter_ml"] == pytest.approx(
        (classes == 3).sum() / 1000
    )
    assert measures["structure_other_ventricles_ml"] == pytest.approx(0.048)
    for absent in ("out_t1w_mask", "out_t1w_probseg", "out_filled"):
        assert not isdefined(getattr(outputs, absent))


def test_images_have_the_first_contrast_s_grid(scan):
    outputs = scan("flair")
    types = {
        "out_mask": np.uint8, "out_instances": np.uint16, "out_probseg": np.float32,
        "out_uncertainty": np.float32, "out_dseg": np.uint8,
    }  # fmt: skip
    for name, kind in types.items():
        image = nib.load(getattr(outputs, name))
        assert image.shape == SHAPE, name
        assert np.allclose(image.affine, AFFINE), name
        assert image.get_data_dtype() == kind, name


def test_probability_and_uncertainty_are_the_network_s(scan, classes):
    outputs = scan("flair")
    probability, uncertainty = read(outputs.out_probseg), read(outputs.out_uncertainty)
    assert np.allclose(probability[REAL], 1 / (1 + np.exp(-4)), atol=1e-3)
    assert probability[~REAL].max() < 0.01  # the plexus's are gone with their lesion
    assert np.allclose(uncertainty[classes > 0], 1 / (1 + np.exp(2)), atol=1e-3)
    assert not uncertainty[classes == 0].any()
    for row in outputs.rows:
        assert row["mean_probability"] == pytest.approx(0.982, abs=0.001)
        assert row["mean_uncertainty"] == pytest.approx(0.119, abs=0.001)


def test_columns_and_rows_are_those_of_the_dictionaries(scan):
    from bids_app import dictionary

    outputs = scan("flair", "t1w")
    assert set(outputs.measures) <= set(dictionary.columns())
    own = set(dictionary.columns(dictionary.LESIONS)) - {"participant_id", "session_id"}
    assert all(set(row) == own for row in outputs.rows)
    measured = {n for n in dictionary.columns() if n.startswith(("lesion_", "qc_lesion_"))}
    assert measured <= set(outputs.measures)


def test_the_sidecar_names_model_threshold_and_contrasts(scan):
    meta = scan("flair", "t2w").meta
    assert meta["Models"] == [{"Name": "deepscan", "SHA256": "abc", "TrainedOn": ["nothing"]}]
    assert (meta["Threshold"], meta["Device"]) == (0.5, "cpu")
    assert meta["Contrasts"] == ["T2w", "FLAIR"]


def test_lesions_are_carried_to_a_t1w_of_another_grid(scan, classes):
    outputs = scan("flair", "t1w", flair_to_ref_itk=np.linalg.inv(FROM_FIRST), fill_t1w=True)
    check_consistent(outputs)
    mask = nib.load(outputs.out_t1w_mask)
    assert np.allclose(mask.affine, t1w_affine(), atol=1e-5)
    assert np.array_equal(np.asarray(mask.dataobj) > 0, np.pad(REAL, PADDING))
    probability = read(outputs.out_t1w_probseg)
    assert np.allclose(probability, np.pad(read(outputs.out_probseg), PADDING), atol=1e-3)
    measures = outputs.measures
    assert measures["qc_lesion_contrasts"] == "T1w+FLAIR"
    assert measures["qc_lesion_t1w_flag"] == "ok"
    assert measures["lesion_t1w_hypointense_ml"] == pytest.approx(REAL.sum() / 1000)
    filled, given = read(outputs.out_filled), nib.load(outputs.out_filled).affine
    t1w = np.pad(np.vectorize(T1W_OF.get)(classes), PADDING)
    inside = np.asarray(mask.dataobj) > 0
    assert np.allclose(given, t1w_affine(), atol=1e-5)
    assert filled[inside].mean() == pytest.approx(100, abs=2)
    dropped = np.pad(spots(PLEXUS, CRUMB), PADDING)
    assert np.allclose(filled[~inside & ~dropped], t1w[~inside & ~dropped], atol=12)
    assert np.allclose(filled[dropped], 55)


def test_nothing_is_filled_unless_asked_for(scan):
    outputs = scan("flair", "t1w")
    assert outputs.out_t1w_mask
    assert not isdefined(outputs.out_filled)


def test_a_t1w_without_white_matter_stays_as_it_is(scan, classes):
    classes[classes == 3] = 2
    outputs = scan("flair", "t1w", fill_t1w=True)
    assert np.allclose(read(outputs.out_filled)[REAL], 55)


def test_a_misaligned_t1w_is_left_out(scan):
    whole = scan("flair")
    outputs = scan(
        "flair", "t2w", "t1w", flair_to_ref_itk=FROM_FIRST, t2w_to_ref_itk=np.eye(4),
        flair_coreg_flag="the images do not match",
    )  # fmt: skip
    assert outputs.measures["qc_lesion_contrasts"] == "FLAIR"
    assert outputs.rows == whole.rows
    assert not isdefined(outputs.out_t1w_mask)


def test_a_misaligned_t2w_does_not_cost_the_t1w(scan):
    outputs = scan(
        "flair", "t2w", "t1w", flair_to_ref_itk=np.linalg.inv(FROM_FIRST),
        t2w_to_ref_itk=np.eye(4), t2w_coreg_flag="the images do not match",
    )  # fmt: skip
    assert outputs.measures["qc_lesion_contrasts"] == "T1w+FLAIR"
    assert np.array_equal(read(outputs.out_t1w_mask) > 0, np.pad(REAL, PADDING))


def to_template(shift):
    """ITK's direction: points of the template to those of the reference."""
    matrix = np.eye(4)
    matrix[:3, 3] = shift
    return matrix


def centroids(outputs, prefix):
    return np.array([[row[f"{prefix}{axis}_mm"] for axis in "xyz"] for row in outputs.rows])


def test_centroids_are_given_in_the_template_too(scan):
    outputs = scan("flair", ref_to_mni_itk=to_template((2, -30, 8)))
    native = centroids(outputs, "centroid_")
    first = AFFINE @ [15.5, 16, 27.5, 1]
    assert np.allclose(native[0], first[:3])
    assert np.allclose(centroids(outputs, "centroid_mni_"), native - (2, -30, 8))


def test_the_template_is_reached_through_the_reference(scan):
    outputs = scan(
        "flair", "t1w", flair_to_ref_itk=np.linalg.inv(FROM_FIRST),
        ref_to_mni_itk=to_template((2, -30, 8)),
    )  # fmt: skip
    native = centroids(outputs, "centroid_")
    on_t1w = native @ FROM_FIRST[:3, :3].T + FROM_FIRST[:3, 3]
    assert np.allclose(centroids(outputs, "centroid_mni_"), on_t1w - (2, -30, 8))


@pytest.mark.parametrize(
    "flags",
    [
        {"ref_to_mni_flag": "no match"},
        {"flair_coreg_flag": "no match", "flair_to_ref_itk": FROM_FIRST, "t1w": None},
    ],
)
def test_without_a_good_registration_there_is_no_place_in_the_template(scan, flags):
    flags = dict(flags)
    contrasts = ("flair", "t1w") if "t1w" in flags else ("flair",)
    flags.pop("t1w", None)
    outputs = scan(*contrasts, ref_to_mni_itk=to_template((2, -30, 8)), **flags)
    assert all(row["centroid_mni_x_mm"] is None for row in outputs.rows)


def test_no_lesion_is_an_empty_result_that_wants_a_look(scan, classes):
    outputs = scan("flair", "t1w", drawn=np.zeros(SHAPE, bool), fill_t1w=True)
    check_consistent(outputs)
    assert outputs.rows == []
    assert not read(outputs.out_mask).any()
    assert not read(outputs.out_t1w_mask).any()
    assert np.array_equal(read(outputs.out_dseg), classes)
    assert outputs.measures["lesion_count"] == outputs.measures["lesion_ml"] == 0
    assert outputs.measures["qc_lesion_flag"].startswith("no lesion was found")


def test_the_u_net_has_no_uncertainty(scan, network):
    card, names = network
    card["architecture"] = {"kind": "dynunet", "classes": len(CLASSES)}
    outputs = scan("flair", lesion_model="unet")
    assert names == ["lesion-unet"]
    assert np.array_equal(read(outputs.out_mask) > 0, REAL)
    assert not isdefined(outputs.out_uncertainty)
    assert all(row["mean_uncertainty"] is None for row in outputs.rows)


@pytest.mark.parametrize(("threshold", "count"), [(0.99, 0), (0.97, 3), (None, 3)])
def test_the_card_says_the_threshold(scan, network, threshold, count):
    """One half where it does not: the cards that msmorph-train writes."""
    card = network[0]
    card.pop("threshold")
    if threshold:
        card["threshold"] = threshold
    outputs = scan("flair")
    assert outputs.measures["lesion_count"] == count
    assert outputs.meta["Threshold"] == (threshold or 0.5)


def test_the_card_says_how_few_lesions_want_a_look(scan, network):
    network[0]["few_lesions_ml"] = 5
    outputs = scan("flair")
    assert outputs.measures["lesion_count"] == 3
    assert "below 5 mL much" in outputs.measures["qc_lesion_flag"]


def test_the_card_says_which_structures_are_not_learnt(scan, network):
    assert scan("flair").measures["structure_brain_stem_ml"] > 0
    network[0]["unlearnt_structures"] = ["brain_stem"]
    measures = scan("flair").measures
    assert measures["structure_brain_stem_ml"] is None
    assert measures["structure_cortex_ml"] > 0


def test_lesions_are_white_matter_whatever_deep_structure_they_look_like():
    structures = np.full((10, 10, 10), 2, np.int16)
    structures[:2], structures[2:4] = 11, 16  # caudate, brain stem
    lesions = np.zeros(structures.shape, int)
    lesions[1:3] = 1
    volumes = _structure_columns(structures, 1.0, lesions)
    assert volumes["structure_caudate_ml"] == 0.1
    assert volumes["structure_brain_stem_ml"] == 0.2
    assert volumes["structure_cerebral_white_matter_ml"] == 0.7


def test_a_brain_larger_than_the_canvas_is_flagged(scan, monkeypatch):
    monkeypatch.setattr(lesions, "CANVAS", InputGrid((32, 48, 48), (1.0, 1.0, 1.0)))
    outputs = scan("flair")
    assert outputs.measures["qc_lesion_flag"].startswith("11% of the brain mask lies outside")
