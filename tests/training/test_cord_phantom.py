"""Cord phantoms: what is asked for is what is in the image and in its labels."""

import math
import os
from pathlib import Path

import pytest
import torch

from training.acquisition import Protocol
from training.cord_contrast import CONTRASTS, tissue_intensities
from training.cord_phantom import draw_anatomy, draw_phantom, scan
from training.cord_shape import CordVariety
from training.cord_template import read_template
from training.randomness import seeded

PAM50 = (
    Path(os.environ.get("MSMORPH_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
    / "priors" / "pam50"
)  # fmt: skip
SHAPE = (80, 80, 64)
VOXEL_MM = 0.5
AXIAL_3_MM = Protocol(in_plane_mm=(0.5, 0.6), thickness_mm=(3, 3), thick=1, axial=1, artefacts=0)


@pytest.fixture(scope="module")
def template(pam50_folder):
    return read_template(pam50_folder)


def slice_areas_mm2(phantom):
    """Areas of the cord mask in whole slices, corrected for the cord's angle, and the true ones."""
    points = phantom.centreline
    found, true = [], []
    for index in range(4, len(points) - 4):
        step = points[index + 3] - points[index - 3]
        cosine = step[2] / torch.linalg.norm(step)
        z = round(points[index, 2].item())
        found.append(phantom.cord[:, :, z].sum() * VOXEL_MM**2 * cosine)
        true.append(phantom.area_mm2[index])
    return torch.stack(found), torch.stack(true)


def test_the_template_is_measured_as_it_was_drawn(template):
    middle = template.cord_mm[60]
    area = 0.5 * (middle**2).sum().item() * 2 * math.pi / len(middle)
    assert area == pytest.approx(math.pi * 5 * 4, rel=0.03)
    assert template.canal_mm[60].max().item() == pytest.approx(7.5, abs=0.3)
    assert template.slice_of_level(2.0) == 24 * 4 + 10
    places = torch.tensor([template.slice_of_level(level) for level in (0.5, 1.0, 2.25, 4.9, 6.5)])
    assert torch.allclose(
        template.level_of_slice(places), torch.tensor([0.5, 1.0, 2.25, 4.9, 6.5]), atol=1e-3
    )
    bone, disc = template.spine
    front = bone.shape[1] // 2 + 14
    assert (bone[22, front] + disc[22, front])[6:60].min() > 0.7  # discs fill the gaps
    assert disc[:, : bone.shape[1] // 2].max() == 0  # and lie in front


def test_maps_that_are_not_pam50_s_are_refused(tmp_path, write_pam50):
    with pytest.raises(FileNotFoundError):
        read_template(tmp_path)
    write_pam50(tmp_path, voxel_mm=1.0)
    with pytest.raises(ValueError, match=r"0\.5 mm"):
        read_template(tmp_path)
    write_pam50(tmp_path, levels=1)
    with pytest.raises(ValueError, match="levels"):
        read_template(tmp_path)


@pytest.mark.parametrize("asked_mm2", [40.0, 75.0, 110.0])
@pytest.mark.parametrize("tilt_deg", [0.0, 30.0])
def test_the_area_is_the_one_asked_for(template, asked_mm2, tilt_deg):
    variety = CordVariety(
        area_mm2=(asked_mm2,) * 2, tilt_deg=(tilt_deg,) * 2, level=(3.0, 3.5), compressed=0
    )
    phantom = draw_anatomy(template, (112, 112, 48), "T2w", seeded(1, int(asked_mm2)), variety)
    found, true = slice_areas_mm2(phantom)
    assert true.max().item() == pytest.approx(asked_mm2, rel=0.03)
    assert (found / true - 1).abs().max() < 0.03
    step = phantom.centreline[-1] - phantom.centreline[0]
    tilt = math.degrees(math.acos(step[2] / torch.linalg.norm(step)))
    assert tilt == pytest.approx(tilt_deg, abs=4)


def test_no_cord_leaves_the_ranges(template):
    for index in range(12):
        phantom = draw_anatomy(template, SHAPE, None, seeded(2, index), CordVariety())
        assert phantom.image.shape == phantom.cord.shape == phantom.lesion.shape == SHAPE
        assert torch.isfinite(phantom.image).all()
        assert phantom.image.min() >= 0
        assert 0 <= phantom.cord.min() <= phantom.cord.max() <= 1
        assert phantom.area_mm2.max() <= 118.1
        steps = phantom.centreline.diff(dim=0)
        angles = torch.acos(steps[:, 2] / torch.linalg.norm(steps, dim=-1)).rad2deg()
        assert angles.median() < 31


def test_the_centreline_runs_in_the_middle_of_the_cord(template):
    for index in range(6):
        phantom = draw_anatomy(template, SHAPE, "T2w", seeded(3, index), CordVariety(level=(2, 4)))
        assert len(phantom.centreline) > 20
        for point in phantom.centreline[3:-3:5]:
            voxel = point.round().long()
            assert phantom.cord[tuple(voxel)] > 0.9
            places = (phantom.cord[:, :, voxel[2]] > 0.5).nonzero().float()
            margin = (places.min(0).values > 0).all() and (places.max(0).values < 79).all()
            if margin:  # a slice that the field of view cuts has another middle
                assert torch.linalg.norm(places.mean(0) - point[:2]) < 1.6


def test_levels_follow_the_one_asked_for(template):
    phantom = draw_anatomy(template, SHAPE, "T2w", seeded(4, 0), CordVariety(level=(3.0, 3.0)))
    middle = (phantom.centreline[:, 2] - 31.5).abs().argmin()
    assert phantom.level[middle].item() == pytest.approx(3.0, abs=0.1)
    assert (phantom.level.diff() < 0).all()  # upwards towards C1


def test_the_brain_stem_above_is_no_cord(template):
    phantom = draw_anatomy(template, SHAPE, "T2w", seeded(5, 1), CordVariety(level=(0.4, 0.4)))
    top = round(phantom.centreline[:, 2].max().item())
    assert 0 < top < 50
    assert phantom.cord[:, :, top + 8 :].sum() == 0
    assert phantom.cord[:, :, : top - 8].sum() > 0


def test_lesions_lie_inside_the_cord_and_many_cords_have_none(template):
    with_lesions = 0
    for index in range(16):
        phantom = draw_anatomy(template, SHAPE, "T2w", seeded(6, index), CordVariety())
        assert not (phantom.lesion & (phantom.cord < 0.5)).any()
        with_lesions += bool(phantom.lesion.any())
    assert 3 <= with_lesions <= 13
    healthy = CordVariety(lesions=0)
    assert not draw_anatomy(template, SHAPE, "T2w", seeded(6, 0), healthy).lesion.any()


@pytest.mark.parametrize(("contrast", "sign"), [("T2w", 1), ("T2starw", 1), ("T1w", -1)])
def test_lesion_and_csf_differ_from_the_cord_as_the_contrast_says(template, contrast, sign):
    variety = CordVariety(level=(2.5, 3.5), lesions=1.0, csf=(1.2, 1.5), compressed=0)
    seen = 0
    for index in range(8):
        phantom = draw_anatomy(template, SHAPE, contrast, seeded(7, index), variety)
        inside = (phantom.cord > 0.99) & ~phantom.lesion
        cord = phantom.image[inside].median()
        grown = torch.nn.functional.max_pool3d(phantom.cord[None], 5, 1, 2)[0]
        ring = (grown > 0.9) & (phantom.cord == 0)
        assert sign * (phantom.image[ring].median() - cord) > 0.1
        if phantom.lesion.sum() > 60:
            seen += 1
            assert sign * (phantom.image[phantom.lesion].mean() - cord) > 0.01
    assert seen >= 3


def test_intensities_keep_the_order_of_the_contrast():
    for index in range(50):
        generator = seeded(8, index)
        t2w, t1w = (tissue_intensities(generator, name) for name in ("T2w", "T1w"))
        t2star, any_kind = (tissue_intensities(generator, name) for name in ("T2starw", None))
        assert t2w["csf"] > 1.29
        assert t2w["lesion"] > 1.14
        assert t1w["csf"] < t1w["lesion"] < 1 or t1w["csf"] < 0.71
        assert t2star["lesion"] > 1.14
        assert abs(any_kind["csf"] - 1) > 0.29
        assert min(any_kind.values()) >= 0
    assert CONTRASTS["T2starw"]["grey"][0] > CONTRASTS["T2w"]["grey"][0] > 1
    with pytest.raises(KeyError):
        tissue_intensities(seeded(8, 0), "FLAIR")


def test_a_phantom_is_its_seed_s(template):
    first, again, other = (
        draw_phantom(template, SHAPE, "T2starw", seeded(9, index)) for index in (0, 0, 1)
    )
    for name in ("image", "cord", "lesion", "centreline", "area_mm2", "level"):
        assert torch.equal(getattr(first, name), getattr(again, name))
    assert not torch.equal(first.image, other.image)


def test_scanning_changes_the_image_alone(template):
    generator = seeded(10, 3)
    phantom = draw_anatomy(template, SHAPE, "T2w", generator, CordVariety(level=(3, 3)))
    before = phantom.image.clone()
    thick = scan(phantom.image, AXIAL_3_MM, generator)
    assert torch.equal(phantom.image, before)
    assert thick.shape == SHAPE
    assert torch.isfinite(thick).all()
    # Slices of 3 mm, back on the grid, bend in few places along z: mostly straight in between.
    second = thick.diff(n=2, dim=2).abs().mean()
    assert second < 0.5 * before.div(before.max()).diff(n=2, dim=2).abs().mean() + 0.01


@pytest.mark.parametrize("contrast", ["T1w", "T2w", "T2starw", None])
def test_every_scan_is_a_finite_image(template, contrast):
    for index in range(4):
        phantom = draw_phantom(template, (48, 64, 40), contrast, seeded(11, index))
        assert phantom.image.dtype == torch.float32
        assert torch.isfinite(phantom.image).all()
        assert phantom.image.min() >= 0
        assert phantom.image.std() > 0


@pytest.mark.data
@pytest.mark.slow
def test_pam50_itself_makes_phantoms():
    if not PAM50.is_dir():
        pytest.skip(f"no PAM50 at {PAM50} (set MSMORPH_TEST_DATA)")
    template = read_template(PAM50)
    assert len(template.tops) == 21
    row = round(template.slice_of_level(3.5))
    area = 0.5 * (template.cord_mm[row] ** 2).sum().item() * 2 * math.pi / 96
    assert 55 < area < 80  # the cervical cord
    for level in (0.8, 3.0, 12.0, 20.0):
        variety = CordVariety(area_mm2=(70, 70), level=(level, level), compressed=0)
        phantom = draw_anatomy(template, (96, 96, 48), "T2w", seeded(12, 0), variety)
        found, true = slice_areas_mm2(phantom)
        assert phantom.area_mm2.max().item() == pytest.approx(70, rel=0.01)
        assert (found.sum() / true.sum()).item() == pytest.approx(1, abs=0.03)
