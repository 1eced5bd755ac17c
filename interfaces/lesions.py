"""Nipype interface of the lesion networks (McKinley 2021)."""

from __future__ import annotations

from nipype.interfaces.base import File, TraitedSpec, traits

from interfaces.segmentation import ModelInputSpec, ModelInterface, describe_models

CONTRASTS = ("flair", "t2w", "t1w")  # the first there is carries the lesions' grid
MOST_CLIPPED = 0.01


class ContrastsInputSpec(ModelInputSpec):
    """How the contrasts lie to one another, as :func:`fitting_contrasts` reads it."""

    flair_to_ref_itk = File(exists=True, desc="pulls the FLAIR onto the reference")
    t2w_to_ref_itk = File(exists=True, desc="pulls the T2w onto the reference")
    flair_coreg_flag = traits.Str("ok", usedefault=True, desc="'ok' or why it is misaligned")
    t2w_coreg_flag = traits.Str("ok", usedefault=True, desc="'ok' or why it is misaligned")


class _LesionsInputSpec(ContrastsInputSpec):
    flair = File(exists=True, desc="FLAIR as scanned")
    t2w = File(exists=True, desc="T2w as scanned")
    t1w = File(exists=True, desc="bias-corrected T1w")
    brain_mask = File(exists=True, mandatory=True, desc="brain mask of the FLAIR, else of the T2w")
    ref_to_mni_itk = File(exists=True, desc="pulls the reference onto the template")
    ref_to_mni_flag = traits.Str("ok", usedefault=True, desc="'ok' or why it is misaligned")
    lesion_model = traits.Enum("unet", "deepscan", usedefault=True, desc="as --lesion-model")
    fill_t1w = traits.Bool(False, usedefault=True, desc="also fill the lesions of the T1w")
    random_seed = traits.Int(1, usedefault=True, desc="seed of the filling's texture")


class _LesionsOutputSpec(TraitedSpec):
    out_mask = File(exists=True, desc="lesions, uint8, grid of the FLAIR, else of the T2w")
    out_instances = File(exists=True, desc="their numbers from the largest on, uint16, same grid")
    out_probseg = File(exists=True, desc="lesion probability, float32, same grid")
    out_uncertainty = File(desc="probability that the lesion label is wrong, same grid")
    out_dseg = File(exists=True, desc="classes of networks.brain_classes, uint8, same grid")
    out_t1w_mask = File(desc="lesions on the T1w's grid")
    out_t1w_probseg = File(desc="lesion probability on the T1w's grid")
    out_filled = File(desc="T1w with its lesions filled")
    measures = traits.Dict(desc="columns of the session's morph table")
    rows = traits.List(desc="one dict a lesion")
    meta = traits.Dict(desc="sidecar: models, device, threshold, contrasts")


class LesionSegmentation(ModelInterface):
    """Lesions, structures and their measures from whatever there is of FLAIR, T2w and T1w.

    FLAIR or T2w must be there. Contrasts whose registration is flagged are left out.
    """

    input_spec = _LesionsInputSpec
    output_spec = _LesionsOutputSpec

    def _run_interface(self, runtime):
        device = self._prepare()
        images = _Images(self.inputs)
        found, card = self._segment(images, device)
        self._results["meta"] = {
            "Device": device,
            "Models": describe_models({card["name"]: card}),
            "Threshold": found.threshold,
            "Contrasts": images.used,
        }
        self._save_first(runtime, images, found, card)
        self._save_t1w(runtime, images, found)
        return runtime

    def _segment(self, images, device):
        """Run the network and clean its lesion map."""
        from networks import lesions
        from networks.brain_classes import WEIGHTS
        from networks.weights import load_network

        name = WEIGHTS[self.inputs.lesion_model]
        network, card = load_network(name, self.inputs.model_dir, device)
        seen = lesions.segment_lesions(images.contrasts(), images.brain(), network, card, device)
        return _Cleaned(seen, card.get("threshold", 0.5)), {"name": name, **card}

    def _save_first(self, runtime, images, found, card) -> None:
        """Maps and measures on the grid of the FLAIR, else of the T2w."""
        import numpy as np

        from networks.brain_classes import LESION

        first = images.first
        probability, uncertainty = found.lesion_maps(first.data.shape, first.affine)
        classes = found.structures(first.data.shape, first.affine)
        structures = _freesurfer(classes)
        lesions, columns, rows = _measure(images, found, card, probability, uncertainty, structures)
        classes[lesions > 0] = LESION
        self._save(runtime, "out_mask", (lesions > 0).astype(np.uint8), first.affine)
        self._save(runtime, "out_instances", lesions.astype(np.uint16), first.affine)
        self._save(runtime, "out_probseg", probability, first.affine)
        self._save(runtime, "out_dseg", classes, first.affine)
        if uncertainty is not None:
            self._save(runtime, "out_uncertainty", uncertainty, first.affine)
        self._results["measures"] = columns
        self._results["rows"] = rows

    def _save_t1w(self, runtime, images, found) -> None:
        """Lesions on the T1w's grid, where there is one that fits."""
        import numpy as np

        from measures.components import MIN_LESION_MM3, label_components, voxel_geometry
        from measures.filling import fill_lesions

        t1w = images.t1w
        if t1w is None:
            return
        to_t1w = t1w.from_first
        probability, _ = found.lesion_maps(t1w.data.shape, t1w.affine, to_t1w)
        voxel_mm, voxel_mm3 = voxel_geometry(t1w.affine)
        mask = label_components(probability > found.threshold, voxel_mm3, MIN_LESION_MM3) > 0
        self._save(runtime, "out_t1w_mask", mask.astype(np.uint8), t1w.affine)
        self._save(runtime, "out_t1w_probseg", probability, t1w.affine)
        if self.inputs.fill_t1w:
            white = found.white_matter(t1w.data.shape, t1w.affine, to_t1w)
            generator = np.random.default_rng(self.inputs.random_seed)
            try:
                filled = fill_lesions(t1w.data, mask, white, voxel_mm, generator)
            except ValueError:  # no white matter at all: nothing can be filled
                filled = t1w.data
            self._save(runtime, "out_filled", filled, t1w.affine)


def fitting_contrasts(inputs):
    """Read the contrasts of an interface's inputs that fit together, FLAIR (else T2w) first.

    ``inputs`` has ``{c}`` and may have ``{c}_to_ref_itk`` and ``{c}_coreg_flag`` for flair, t2w
    and t1w; where a flag is not ok, that contrast is left out (all others, if the first's is not).
    Returns (list of networks.lesions.Contrast, matrix from the first's world to the reference's).
    """
    import nibabel as nib
    import numpy as np
    from nipype.interfaces.base import isdefined

    from interfaces.registration import read_itk
    from networks.brain_classes import CONTRASTS as ALL_CONTRASTS
    from networks.lesions import Contrast

    names = {name.lower(): name for name in ALL_CONTRASTS}
    there = [c for c in CONTRASTS if isdefined(getattr(inputs, c))]
    flags = {c: getattr(inputs, f"{c}_coreg_flag", "ok") for c in there}
    first = there[0]
    fitting = [c for c in there[1:] if flags[c] == "ok" == flags[first]]
    to_ref = {}
    for contrast in there:
        path = getattr(inputs, f"{contrast}_to_ref_itk", None)
        given = path is not None and isdefined(path)
        to_ref[contrast] = read_itk(path) if given else np.eye(4)
    first_to_ref = np.linalg.inv(to_ref[first])
    found = []
    for contrast in (first, *fitting):
        image = nib.load(getattr(inputs, contrast))
        data = image.get_fdata(dtype=np.float32)
        matrix = to_ref[contrast] @ first_to_ref
        found.append(Contrast(names[contrast], data, image.affine, matrix))
    return found, first_to_ref


class _Images:
    """The contrasts of a session that fit together, the first of them FLAIR or else T2w."""

    def __init__(self, inputs):
        import numpy as np
        from nipype.interfaces.base import isdefined

        from interfaces.registration import read_itk
        from networks.brain_classes import CONTRASTS as ALL_CONTRASTS

        self._found, self.first_to_ref = fitting_contrasts(inputs)
        own = {contrast.name for contrast in self._found}
        self.used = [name for name in ALL_CONTRASTS if name in own]
        self._mask_file = inputs.brain_mask
        self.to_mni = None
        first_flag = getattr(inputs, f"{self.first.name.lower()}_coreg_flag", "ok")
        aligned = first_flag == inputs.ref_to_mni_flag == "ok"
        if isdefined(inputs.ref_to_mni_itk) and aligned:
            self.to_mni = np.linalg.inv(read_itk(inputs.ref_to_mni_itk)) @ self.first_to_ref

    @property
    def first(self):
        """The contrast that carries the lesions' grid."""
        return self._found[0]

    @property
    def t1w(self):
        """The T1w, or None."""
        return next((c for c in self._found if c.name == "T1w"), None)

    def contrasts(self):
        """All contrasts, the first first."""
        return self._found

    def brain(self):
        """Brain mask of the first contrast."""
        import nibabel as nib
        import numpy as np

        return np.asarray(nib.load(self._mask_file).dataobj) > 0

    def t1w_on_first(self):
        """The T1w on the first contrast's grid (linear), or None."""
        import numpy as np

        from interfaces.images import resample

        if self.t1w is None:
            return None
        placed = np.linalg.inv(self.t1w.from_first) @ self.t1w.affine
        return resample(self.t1w.data, placed, self.first.affine, self.first.data.shape)


class _Cleaned:
    """A network's map without lesions that are none: in plexus and ventricle, or too small."""

    def __init__(self, seen, threshold: float):
        import numpy as np
        from scipy import ndimage

        from measures.lesions import find_lesions
        from networks.brain_classes import LESION

        self._seen, self.threshold, self.clipped = seen, threshold, seen.clipped
        lesion = seen.likelihood[LESION]
        structures = _freesurfer(_likeliest(seen.likelihood))
        kept = find_lesions(lesion > threshold, seen.affine, structures) > 0
        dropped = (lesion > threshold) & ~kept
        # with its blurred edge, or a coarser grid would bring some of it back
        dropped = ndimage.binary_dilation(dropped, iterations=2)
        dropped &= ~ndimage.binary_dilation(kept, iterations=2)
        self._lesion = np.where(dropped, np.float32(0), lesion)

    def lesion_maps(self, shape, affine, to_image=None):
        """Lesion probability, and flip or None, on an image's grid (mean over its voxels)."""
        import numpy as np

        from networks.geometry import mean_over_voxels

        maps = [self._lesion] if self._seen.flip is None else [self._lesion, self._seen.flip]
        found = mean_over_voxels(np.stack(maps), self._affine(to_image), shape, affine)
        return found[0], (found[1] if len(maps) > 1 else None)

    def structures(self, shape, affine):
        """Class (uint8) of the likeliest structure in every voxel of an image's grid."""
        from networks.geometry import mean_over_voxels

        return _likeliest(
            mean_over_voxels(part[None], self._seen.affine, shape, affine)[0]
            for part in self._seen.likelihood
        )

    def white_matter(self, shape, affine, to_image):
        """Mask of cerebral white matter on an image's grid."""
        from networks.brain_classes import NUMBERS
        from networks.geometry import mean_over_voxels

        part = self._seen.likelihood[NUMBERS["cerebral_white_matter"], None]
        return mean_over_voxels(part, self._affine(to_image), shape, affine)[0] > 0.5

    def _affine(self, to_image):
        return self._seen.affine if to_image is None else to_image @ self._seen.affine


def _likeliest(parts):
    """Class (uint8) whose map is the highest, lesion left out; ``parts`` are the classes' maps."""
    import numpy as np

    from networks.brain_classes import LESION

    best = classes = None
    for number, part in enumerate(parts):
        if best is None:
            best, classes = part.copy(), np.zeros(part.shape, np.uint8)
        elif number != LESION:
            classes[part > best] = number
            np.maximum(best, part, out=best)
    return classes


def _freesurfer(classes):
    """FreeSurfer's numbers (int16) of classes, the left ones for both sides; background is 0."""
    import numpy as np

    from networks.brain_classes import CLASSES

    return np.array([labels[0] if labels else 0 for _, labels in CLASSES], np.int16)[classes]


def _measure(images, found, card, probability, uncertainty, structures):
    """Numbered lesions, the session's columns and a row a lesion.

    Structures of an implausible volume are not measured, and no region rests on them.
    """
    from measures import lesions as measured
    from measures.components import voxel_geometry
    from measures.structures import structures_flag

    affine = images.first.affine
    lesions = measured.find_lesions(probability > found.threshold, affine, structures)
    volumes = _structure_columns(structures, voxel_geometry(affine)[1], lesions)
    volumes |= {f"structure_{name}_ml": None for name in card.get("unlearnt_structures", ())}
    structure_flag = structures_flag(volumes)
    known = structures if structure_flag == "ok" else None
    table = measured.measure_lesions(
        lesions, affine, known, probability, uncertainty, images.t1w_on_first(), images.to_mni
    )
    columns = measured.summarise_lesions(table)
    columns |= volumes if known is not None else dict.fromkeys(volumes)
    columns["qc_structures_flag"] = structure_flag
    columns["qc_lesion_contrasts"] = "+".join(images.used)
    few_ml = card.get("few_lesions_ml", 0.0)
    flag = measured.implausibility(table, lesions, known, probability, few_ml)
    if found.clipped > MOST_CLIPPED:
        flag = f"{100 * found.clipped:.0f}% of the brain mask lies outside of what the network sees"
    columns["qc_lesion_flag"] = flag
    return lesions, columns, table.rows


def _structure_columns(structures, voxel_mm3: float, lesions) -> dict:
    """Volumes (mL) of the structures that the networks know.

    Lesions count as cerebral white matter but in cortex, brain stem and cerebellum: the likeliest
    structure of a lesion deep in white matter can be caudate (twice its volume in one patient).
    """
    import numpy as np

    from measures.structures import labels_of, structure_volumes
    from networks.brain_classes import CLASSES

    (white, *_) = labels_of("cerebral_white_matter")
    keeping = (0, *labels_of("cerebral_white_matter", "cortex", "brain_stem", "cerebellum"))
    structures = np.where((lesions > 0) & ~np.isin(structures, keeping), white, structures)
    volumes = structure_volumes(structures, voxel_mm3, lesions)
    volumes["structure_other_ventricles_ml"] = volumes["structure_third_ventricle_ml"]
    names = [f"structure_{name}_ml" for name, _ in CLASSES[2:]]
    return {name: volumes[name] for name in ("brain_ml", *names)}
