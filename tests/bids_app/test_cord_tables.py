"""Which image of the cord fills the session's row, and the tables of each."""

import json

import pytest

from bids_app import participant
from bids_app.config import Config
from bids_app.dictionary import CORD_LESIONS, CORD_LEVELS, SLICES
from bids_app.measure_files import cord_measures_file, cord_rows_file
from bids_app.query import SessionInputs
from bids_app.tables import read_morph_row, read_tsv

MEASURES = {"cord_csa_mean_mm2": 80.0, "qc_cord_flag": "ok"}
NOTHING = {"cord_csa_mean_mm2": None, "qc_cord_flag": "no result: no cord was found"}
SLICE = {"slice": 3, "area_mm2": 78.5, "level": None}


@pytest.fixture
def config(tmp_path):
    return Config(
        tmp_path / "bids", tmp_path / "out", "participant", work_dir=tmp_path / "work",
        tasks=["cord"],
    )  # fmt: skip


def session(config, *names, t1w=None):
    """A session with these cord images (without ``sub-01_``)."""
    folder = config.bids_dir / "sub-01" / "anat"
    cord = tuple(folder / f"sub-01_{name}.nii.gz" for name in sorted(names))
    t1w = folder / f"sub-01_{t1w}.nii.gz" if t1w else None
    return SessionInputs("01", None, t1w=t1w, flair=None, t2w=None, cord=cord, notes=())


def leave(config, images, name, measures, rows=(), lesions=(), levels=()):
    """Write what the branch of an image leaves."""
    contents = {
        cord_measures_file(config, images, name): measures,
        cord_rows_file(config, images, SLICES, name): list(rows),
        cord_rows_file(config, images, CORD_LESIONS, name): list(lesions),
        cord_rows_file(config, images, CORD_LEVELS, name): list(levels),
    }
    for path, content in contents.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))


def written(config, images):
    """The session's row and the names of the tables in its folder."""
    participant._write_tables(config, [images])
    folder = config.output_dir / "sub-01" / "anat"
    return read_morph_row(folder / "sub-01_morph.tsv"), {p.name for p in folder.glob("*.tsv")}


@pytest.mark.parametrize(
    ("t2w", "t2starw", "image", "area_mm2"),
    [
        (MEASURES, MEASURES | {"cord_csa_mean_mm2": 70.0}, "acq-c_T2w", 80.0),
        (NOTHING, MEASURES | {"cord_csa_mean_mm2": 70.0}, "acq-c_T2starw", 70.0),
        (NOTHING, NOTHING, "acq-c_T2w", None),
        (None, MEASURES | {"cord_csa_mean_mm2": 70.0}, "acq-c_T2starw", 70.0),
        (None, None, None, None),
    ],
)
def test_the_best_image_with_a_result_fills_the_row(config, t2w, t2starw, image, area_mm2):
    images = session(config, "acq-c_T2w", "acq-c_T2starw")
    for name, measures in (("acqc_T2w", t2w), ("acqc_T2starw", t2starw)):
        if measures is not None:
            leave(config, images, name, measures)
    row, _ = written(config, images)
    assert (row["qc_cord_image"], row["cord_csa_mean_mm2"]) == (image, area_mm2)
    flag = None if image is None else (NOTHING if area_mm2 is None else MEASURES)["qc_cord_flag"]
    assert row["qc_cord_flag"] == flag


def test_every_image_has_its_own_tables(config):
    images = session(config, "acq-c_T2w", "acq-c_T2starw")
    leave(config, images, "acqc_T2w", MEASURES, [SLICE, SLICE | {"slice": 4}], [{"lesion_id": 1}])
    leave(config, images, "acqc_T2starw", NOTHING)
    _, names = written(config, images)
    prefix = "sub-01_acq-c_space"
    assert names == {
        "sub-01_morph.tsv",
        f"{prefix}-T2w_desc-slices_morph.tsv", f"{prefix}-T2starw_desc-slices_morph.tsv",
        f"{prefix}-T2w_desc-cordlesions_morph.tsv", f"{prefix}-T2starw_desc-cordlesions_morph.tsv",
        f"{prefix}-T2w_desc-cordlevels_morph.tsv", f"{prefix}-T2starw_desc-cordlevels_morph.tsv",
    }  # fmt: skip
    folder = config.output_dir / "sub-01" / "anat"
    _, rows = read_tsv(folder / f"{prefix}-T2w_desc-slices_morph.tsv")
    assert [(r["participant_id"], r["cord_image"], r["slice"], r["level"]) for r in rows] == [
        ("sub-01", "acq-c_T2w", "3", "n/a"), ("sub-01", "acq-c_T2w", "4", "n/a"),
    ]  # fmt: skip
    columns, rows = read_tsv(folder / f"{prefix}-T2starw_desc-slices_morph.tsv")
    assert rows == []
    sidecar = json.loads((folder / f"{prefix}-T2w_desc-slices_morph.json").read_text())
    assert list(sidecar) == columns


def test_a_head_scan_stands_in(config):
    images = session(config, t1w="acq-3d_T1w")
    leave(config, images, "t1w", MEASURES, [SLICE])
    row, names = written(config, images)
    assert row["qc_cord_image"] == "acq-3d_T1w"
    assert "sub-01_acq-3d_space-T1w_desc-slices_morph.tsv" in names


def test_nothing_of_an_image_that_is_gone_stays(config):
    images = session(config, "acq-c_T2w")
    leave(config, images, "acqc_T2w", MEASURES, [SLICE])
    written(config, images)
    folder = config.output_dir / "sub-01" / "anat"
    assert len(list(folder.iterdir())) == 8
    participant._process(config, [session(config)], [])
    assert not list(folder.iterdir())
    assert not list((config.work_dir / "measures").rglob("*.json"))
