"""Nipype interface of the spinal cord's networks (Gros 2019)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nipype.interfaces.base import File, TraitedSpec, traits

from interfaces.segmentation import ModelInputSpec, ModelInterface, describe_models

THRESHOLD = 0.5


class _CordInputSpec(ModelInputSpec):
    in_file = File(exists=True, mandatory=True, desc="raw image that shows the cord")
    disc_labels = File(exists=True, desc="image of single voxels with PAM50's disc numbers")
    brain_t1w = traits.Bool(False, usedefault=True, desc="it is a T1w of the brain")


class _CordOutputSpec(TraitedSpec):
    out_mask = File(desc="cord, uint8, grid of the image; this and the images below where found")
    out_probseg = File(desc="share of cord in every voxel, float32")
    out_lesions = File(desc="lesions, uint8, inside the cord, of a contrast that shows them")
    out_centreline = File(desc="voxels of the centreline, uint8, one a section")
    out_points = File(desc="CSV of the centreline's points in world mm, upwards")
    measures = traits.Dict(desc="columns of the session's morph table")
    rows = traits.List(desc="one dict a section of the cord")
    lesion_rows = traits.List(desc="one dict a lesion")
    level_rows = traits.List(desc="one dict a vertebral level")
    meta = traits.Dict(desc="sidecar: models, device, threshold")


class CordSegmentation(ModelInterface):
    """Centreline, cord and lesions of one image of any orientation, and their measures.

    Measures are those of :mod:`measures.cord`, over the sections across the axis of the image that
    runs most nearly from feet to head. Where no cord is found there are no images, no rows, and
    measures that are None but for the flag.
    """

    input_spec = _CordInputSpec
    output_spec = _CordOutputSpec

    def _run_interface(self, runtime):
        from pathlib import Path

        from networks.cord import names_used
        from networks.weights import load_network

        device = self._prepare()
        scan = _Scan.read(self.inputs.in_file)
        folder = self.inputs.model_dir
        suffix = Path(self.inputs.in_file).name.split(".")[0].rsplit("_", 1)[-1]
        names = names_used(folder, suffix)
        networks = {name: load_network(name, folder, device) for name in names}
        found = _find(scan, networks, device)
        levels, level_flag = self._levels(found)
        measured = _measure(scan, found, (levels, level_flag), self.inputs.brain_t1w)
        self._save_images(runtime, scan, found, measured)
        self._results["measures"] = measured.columns
        self._results["rows"] = measured.rows
        self._results["lesion_rows"] = measured.lesion_rows
        self._results["level_rows"] = measured.level_rows
        self._results["meta"] = {
            "Device": device,
            "Models": describe_models({name: own[1] for name, own in networks.items()}),
            "Threshold": THRESHOLD,
            "VertebralLevels": measured.level_source or "not known",
        }
        return runtime

    def _levels(self, found):
        """Vertebral level of every point of the centreline, or None, and 'ok' or why not."""
        from nipype.interfaces.base import isdefined

        from measures.cord import levels_from_discs

        if found is None or not isdefined(self.inputs.disc_labels):
            return None, "ok"
        try:
            discs = _disc_points_mm(self.inputs.disc_labels)
            return levels_from_discs(discs, found.centreline_mm), "ok"
        except ValueError as error:
            return None, f"no vertebral levels are known: {error}"

    def _save_images(self, runtime, scan, found, measured) -> None:
        """Images on the grid of the input, and the points of the centreline."""
        from pathlib import Path

        import numpy as np

        if found is None:
            return
        arrays = {
            "out_mask": found.mask.astype(np.uint8),
            "out_probseg": found.cord,
            "out_centreline": found.line_mask(),
        }
        if measured.lesions is not None:
            arrays["out_lesions"] = (measured.lesions > 0).astype(np.uint8)
        for trait, array in arrays.items():
            self._save(runtime, trait, scan.as_given(array), scan.given_affine)
        path = Path(runtime.cwd) / "points.csv"
        lines = ["x_mm,y_mm,z_mm"]
        lines += [",".join(f"{mm:.3f}" for mm in point) for point in found.centreline_mm]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        self._results["out_points"] = str(path)


@dataclass
class _Scan:
    """An image (X, Y, Z) in RAS voxel order, its affine (4x4, mm), and how it was given."""

    data: Any
    affine: Any
    given_affine: Any
    given_order: Any

    @classmethod
    def read(cls, path) -> _Scan:
        """Read and check a raw image; raises ImageError."""
        import nibabel as nib

        from interfaces.images import read_checked

        data, affine, _ = read_checked(path, brain=False)
        canonical = nib.as_closest_canonical(nib.Nifti1Image(data, affine))
        return cls(canonical.get_fdata(dtype="float32"), canonical.affine, affine,
                   nib.io_orientation(affine))  # fmt: skip

    @property
    def voxel_mm(self):
        """Edges (3,) of a voxel."""
        import numpy as np

        return np.linalg.norm(self.affine[:3, :3], axis=0)

    def as_given(self, array):
        """An array (X, Y, Z) in the voxel order of the file."""
        from nibabel import orientations

        to_given = orientations.ornt_transform(orientations.axcodes2ornt("RAS"), self.given_order)
        return orientations.apply_orientation(array, to_given)


@dataclass
class _Found:
    """The cord of an image: soft maps and mask (X, Y, Z), centreline (n, 3) in voxels and mm.

    ``lesion`` is None where lesions were not looked for.
    """

    cord: Any
    lesion: Any
    mask: Any
    centreline: Any
    centreline_mm: Any

    def line_mask(self):
        """Voxels of the centreline (uint8)."""
        import numpy as np

        drawn = np.zeros(self.mask.shape, np.uint8)
        highest = np.array(drawn.shape) - 1
        drawn[tuple(np.clip(np.rint(self.centreline), 0, highest).astype(int).T)] = 1
        return drawn


def _find(scan: _Scan, networks: dict, device) -> _Found | None:
    """The cord, or None. ``networks`` are pairs of network and card by name."""
    import numpy as np
    from nibabel.affines import apply_affine

    from measures.centreline import components_at, reference_centreline
    from measures.cord import cord_mask
    from networks.cord import (
        LESIONS,
        NAMES,
        CordImage,
        extended,
        segment_along,
        window_centres,
    )

    image = CordImage(scan.data, scan.affine)
    line_mm = _trace(image, networks[NAMES[0]][0], device)
    if not len(line_mm):
        return None
    soft, *maps = segment_along(image, line_mm, networks[NAMES[1]], networks.get(LESIONS), device)
    first_line = extended(apply_affine(np.linalg.inv(scan.affine), line_mm), scan.voxel_mm[2])
    centres, first = window_centres(first_line, scan.data.shape[2])
    points = np.column_stack([centres, first + np.arange(len(centres))])
    # The middles of the segmented cord are closer to it than the line that CNN1 saw.
    seen = components_at(soft > THRESHOLD, points, scan.voxel_mm)
    centreline = reference_centreline(np.where(seen, soft, 0), scan.voxel_mm)
    mask = cord_mask(soft, centreline, scan.voxel_mm)
    if not mask.any():
        return None
    lesions = maps[0] if maps else None
    return _Found(soft, lesions, mask, centreline, apply_affine(scan.affine, centreline))


def _trace(image, network, device):
    """Centreline (n, 3) in world mm, upwards, in what CNN1 takes for cord; (0, 3) without any."""
    import numpy as np
    from nibabel.affines import apply_affine

    from measures.centreline import trace_centreline
    from networks.cord_detection import Detection

    detection = Detection(image, network, device)
    confidence, placed = detection.search()
    line = trace_centreline(confidence, np.linalg.norm(placed[:3, :3], axis=0))
    if detection.wide and len(line):
        confidence, placed = detection.along(apply_affine(placed, line))
        line = trace_centreline(confidence, np.linalg.norm(placed[:3, :3], axis=0))
    return apply_affine(placed, line)


def _disc_points_mm(path) -> dict:
    """Disc number -> world point (mm) of an image of single voxels."""
    import nibabel as nib
    import numpy as np
    from nibabel.affines import apply_affine

    image = nib.load(path)
    data = np.rint(np.asarray(image.dataobj)).astype(int)
    return {
        int(n): apply_affine(image.affine, np.argwhere(data == n).mean(0))
        for n in np.unique(data[data > 0])
    }


@dataclass
class _Measured:
    """Numbered lesions (X, Y, Z) or None, rows of sections, lesions and levels, columns, and where
    levels come from, None where there are none."""

    lesions: Any
    rows: list
    lesion_rows: list
    level_rows: list
    columns: dict
    level_source: str | None


def _measure(scan: _Scan, found: _Found | None, levels, brain_t1w: bool) -> _Measured:
    """All measures of a cord; without a result no rows, and columns that are None.

    ``levels`` are the level of every point by discs, None where there are no labels, and 'ok' or
    why they are of no use. Without labels those of a head scan are told by the distance from the
    top of the cord.
    """
    import numpy as np

    from measures.cord import (
        find_cord_lesions,
        measure_cord_lesions,
        measure_levels,
        measure_slices,
        summarise_cord,
    )
    from measures.cord_checks import NO_RESULT, cord_flag
    from measures.cord_levels import FROM_DISCS, FROM_TOP, levels_from_top

    lesions, rows, lesion_rows = None, [], None
    mask = np.zeros((1, 1, 1), bool) if found is None else found.mask
    (of_points, note), source = levels, FROM_DISCS
    if found is not None:
        if found.lesion is not None:
            lesions = find_cord_lesions(found.lesion > THRESHOLD, mask, scan.voxel_mm)
        rows = measure_slices(found.cord, found.centreline, scan.voxel_mm, lesions, of_points)
        if of_points is None and note == "ok" and brain_t1w:
            source = FROM_TOP
            of_rows, note = levels_from_top(rows, mask.shape[2], scan.voxel_mm[2])
            for index, level in enumerate(of_rows or []):
                rows[index]["level"] = level
        if lesions is not None:
            lesion_rows = measure_cord_lesions(lesions, rows, scan.voxel_mm)
    flag = cord_flag(rows, mask, scan.voxel_mm, brain_t1w)
    if flag.startswith(NO_RESULT):
        rows, lesion_rows = [], None
    columns = summarise_cord(rows, lesion_rows) | {"qc_cord_flag": flag}
    if not rows:
        columns["qc_cord_c2c3_flag"] = "no cord"
    elif note != "ok":
        columns["qc_cord_c2c3_flag"] = note
    elif source == FROM_TOP and columns["cord_csa_c2c3_mm2"] is not None:
        columns["qc_cord_c2c3_flag"] = f"C2 and C3 were placed by the {source}, not by disc labels"
    tables = (rows, lesion_rows or [], measure_levels(rows))
    told = source if tables[2] else None
    return _Measured(lesions, *(_with_source(table, source) for table in tables), columns, told)


def _with_source(rows, source: str) -> list:
    """Rows that say where their level comes from."""
    return [row | {"level_source": None if row["level"] is None else source} for row in rows]
