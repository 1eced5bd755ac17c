"""One session: its images on one grid, and candidates of enhancement in them."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

#: What is written of a session, by its name in the arrays; all of it on the FLAIR's grid.
IMAGES = {
    "t1w": "space-FLAIR_desc-preproc_T1w", "t2w": "space-FLAIR_desc-preproc_T2w",
    "flair": "desc-preproc_FLAIR", "ce": "ce-gadolinium_space-FLAIR_desc-aligned_T1w",
    "brain": "space-FLAIR_desc-brain_mask", "lesions": "space-FLAIR_label-L_mask",
    "candidates": "space-FLAIR_label-enhancing_desc-candidate_dseg",
}  # fmt: skip
_WANTED = {  # what MSMorph's derivatives must have, by its pattern after the session's prefix
    "t1w": "desc-preproc_T1w.nii.gz", "t2w": "desc-preproc_T2w.nii.gz",
    "flair": "desc-preproc_FLAIR.nii.gz", "t1w_mask": "space-T1w_desc-brain_mask.nii.gz",
    "brain": "space-FLAIR_desc-brain_mask.nii.gz",
    "flair_xfm": "from-FLAIR_to-T1w_mode-image_xfm.txt",
    "t2w_xfm": "from-T2w_to-T1w_mode-image_xfm.txt",
}  # fmt: skip
#: Image that a picture shows -> its place in time.
PICTURES = {"ce": "after", "t1w": "before"}
_LESIONS = "space-FLAIR_label-L*_mask.nii.gz"


class NotUsableError(ValueError):
    """A session cannot be used; the message says why in one sentence."""


@dataclass(frozen=True)
class Session:
    """A session with contrast agent: its folder below the dataset, prefix and files."""

    folder: Path
    prefix: str
    files: dict[str, Path]


def find_enhanced(bids_dir: Path) -> list[Path]:
    """Every T1w with contrast agent (``ce-`` in its name), sorted."""
    return sorted(bids_dir.glob("sub-*/**/anat/*_ce-*_T1w.nii.gz"))


def collect(ce: Path, bids_dir: Path, derivatives: Path, lesions: Path) -> Session:
    """All files of the session of a scan; raises NotUsableError where one is missing or double."""
    folder = ce.parent.relative_to(bids_dir)
    prefix = "_".join(part for part in folder.parts if part.startswith(("sub-", "ses-")))
    others = [path.name for path in find_enhanced(bids_dir) if path.parent == ce.parent]
    if len(others) > 1:
        raise NotUsableError(f"there are several scans with contrast agent ({', '.join(others)})")
    files = {"ce": ce, "lesions": _only(lesions / folder, prefix, _LESIONS)}
    for name, pattern in _WANTED.items():
        files[name] = _only(derivatives / folder, prefix, pattern)
    return Session(folder, prefix, files)


def _only(folder: Path, prefix: str, pattern: str) -> Path:
    found = sorted({*folder.glob(f"{prefix}_{pattern}"), *folder.glob(f"{prefix}_*_{pattern}")})
    if len(found) != 1:
        what = "no" if not found else "more than one"
        raise NotUsableError(
            f"{folder} has {what} {prefix}_*{pattern}; run msmorph with --tasks lesions, or give"
            " drawn masks with --lesions"
        )
    return found[0]


def align(session: Session, seed: int = 1) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Images and masks on the FLAIR's grid, its axes nearest to R, A, S: (arrays by name, affine).

    The scan with contrast agent is registered rigidly to the T1w without. Raises NotUsableError
    where that is not to be believed.
    """
    import nibabel as nib

    from interfaces.images import read_checked
    from interfaces.registration import read_itk
    from networks.enhancement import LEAST_SHARE, onto_grid
    from networks.geometry import InputGrid, resample_to_grid

    files = session.files
    flair = nib.as_closest_canonical(nib.load(files["flair"]))
    affine = np.asarray(flair.affine, float)
    grid = InputGrid(flair.shape, tuple(np.linalg.norm(affine[:3, :3], axis=0)))
    to_t1w = np.linalg.inv(read_itk(files["flair_xfm"]))  # from the FLAIR's world
    matrices = {
        "flair": np.eye(4), "t1w": to_t1w, "t2w": read_itk(files["t2w_xfm"]) @ to_t1w,
        "ce": _register(session, seed) @ to_t1w,
    }  # fmt: skip
    arrays = {}
    for name, matrix in matrices.items():
        data, own, _ = read_checked(files[name])
        arrays[name] = resample_to_grid(data, np.linalg.inv(matrix) @ own, grid, affine).numpy()
    for name in ("brain", "lesions"):
        image = nib.load(files[name])
        share = onto_grid(np.asarray(image.dataobj) > 0, image.affine, grid, affine)
        arrays[name] = share >= (0.5 if name == "brain" else LEAST_SHARE)
    return arrays, affine


def _register(session: Session, seed: int) -> np.ndarray:
    """Matrix from the T1w's world to that of the scan with contrast agent."""
    from interfaces.brain import BrainMask
    from interfaces.registration import RigidRegistration, read_itk

    with tempfile.TemporaryDirectory() as folder:
        ce = str(session.files["ce"])
        mask = BrainMask(in_file=ce, skull_strip="auto").run(cwd=folder).outputs.out_mask
        found = RigidRegistration(
            fixed=str(session.files["t1w"]), fixed_mask=str(session.files["t1w_mask"]),
            moving=ce, moving_mask=mask, fixed_name="T1w", moving_name="ceT1w", random_seed=seed,
        ).run(cwd=folder).outputs  # fmt: skip
        if found.flag != "ok":
            raise NotUsableError(f"{session.files['ce'].name} could not be aligned: {found.flag}")
        return read_itk(found.out_itk)


def write_session(session: Session, out_dir: Path, seed: int = 1) -> list:
    """Align a session, find its candidates, and write images and figure; returns the candidates."""
    from interfaces.images import save_nifti
    from measures.enhancement import find_candidates

    arrays, affine = align(session, seed)
    try:
        labels, candidates = find_candidates(
            arrays["t1w"], arrays["ce"], arrays["brain"], arrays["lesions"], affine
        )
    except ValueError as error:
        raise NotUsableError(str(error)) from None
    arrays["candidates"] = labels.astype(np.uint16)
    folder = out_dir / session.folder
    folder.mkdir(parents=True, exist_ok=True)
    paths = {}
    for name, ending in IMAGES.items():
        data = arrays[name].astype(np.uint8) if arrays[name].dtype == bool else arrays[name]
        paths[name] = save_nifti(data, affine, folder / f"{session.prefix}_{ending}.nii.gz")
    _draw(out_dir, session.prefix, paths, paths["candidates"] if candidates else paths["brain"])
    return candidates


def _draw(out_dir: Path, prefix: str, paths: dict[str, str], zoom: str) -> None:
    """The same slices before and after contrast agent, with lesions and candidates outlined."""
    from interfaces.figures import Contour, mosaic

    outlines = [
        Contour(paths["lesions"], "#35c4ff", "lesions"),
        Contour(paths["candidates"], "#ff4d4d", "candidates of enhancement"),
    ]
    for name, when in PICTURES.items():
        figure = figure_path(out_dir, prefix, when)
        figure.parent.mkdir(parents=True, exist_ok=True)
        title = f"{prefix}: T1w {when} contrast agent, on the FLAIR's grid"
        mosaic(paths[name], outlines, figure, title, zoom_mask=zoom, margin_mm=25.0, axial=15)


def figure_path(out_dir: Path, prefix: str, when: str) -> Path:
    """Where the picture of a session's candidates is; ``when`` is one of PICTURES."""
    return out_dir / prefix.split("_")[0] / "figures" / f"{prefix}_desc-{when}_T1w.svg"
