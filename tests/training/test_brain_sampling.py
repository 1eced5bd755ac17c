"""Samples of the lesion networks: contrasts and classes of one head, drawn and supplied in turn."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from networks.brain_classes import CLASSES, LESION
from training import brain_sampling
from training.brain_sampling import (
    CUTS,
    IGNORED,
    POOL,
    PRESENT,
    BrainRecipe,
    BrainSampler,
    class_table,
    draw_brain,
)
from training.deformation import View
from training.joint_contrasts import grow
from training.placement import can_hold_lesions
from training.randomness import seeded, whole_number
from training.sources import Volume, label_source

pytestmark = pytest.mark.usefixtures("small_canvas")
T1W, T2W, FLAIR = range(3)
NOTHING = BrainRecipe([])
DRAWN = (slice(9, 15), slice(30, 38), slice(10, 18))  # in the white matter
UNSURE = (slice(30, 36), slice(30, 38), slice(30, 36))


@pytest.fixture(scope="module")
def map_source(head_file):
    return label_source(head_file, None)


@pytest.fixture
def real_source(head_file, head_labels):
    """A head with a FLAIR and a T1w, a drawn lesion and what may be one."""
    source = label_source(head_file, None)
    labels, affine = head_labels
    inverse = np.linalg.inv(affine)
    brain = np.float32((labels > 0) & (labels < 165))
    masks = np.zeros((2, *labels.shape), np.float32)
    masks[0][DRAWN], masks[1][UNSURE] = 1, 1
    flair, t1w = brain * (1 + masks[0]), brain * (1 - 0.5 * masks[0])
    source.images = {"FLAIR": Volume(flair, inverse), "T1w": Volume(t1w, inverse)}
    source.lesions, source.unknown = (Volume(mask, inverse) for mask in masks)
    return source


def straight(monkeypatch):
    """No lesions but the drawn ones, and a head that is neither moved nor changed."""
    still = View(
        (0.0,) * 3, warp_mm=0.0, rotation_deg=0.0, scaling=0.0, shear=0.0, stretch=(0.0, 0.0)
    )
    monkeypatch.setattr(brain_sampling, "VIEW", still)
    monkeypatch.setattr(
        brain_sampling, "_new_lesions", lambda labels, *_: torch.zeros_like(labels, dtype=bool)
    )


def draws(source, count=8):
    """Samples of one source."""
    return [draw_brain(source, NOTHING, seeded(5, n)) for n in range(count)]


def test_every_label_has_its_class():
    table = class_table()
    for number, (_, labels) in enumerate(CLASSES):
        assert all(table[label] == number for label in labels)
    assert not table[[0, 24, 30, 85, 165, 515]].any()
    assert table.dtype == torch.long


def test_kept_contrasts_are_a_choice_of_all():
    assert sum(share for _, share in PRESENT) == pytest.approx(1)
    assert all("FLAIR" in names for names, _ in PRESENT)  # as CARD says of the networks


def test_a_label_map_becomes_contrasts_and_classes(map_source, small_canvas, monkeypatch):
    kept, scans = set(), []
    normalise = brain_sampling.normalise
    monkeypatch.setattr(
        brain_sampling, "normalise", lambda scan: scans.append(scan) or normalise(scan)
    )
    for seed in range(16):
        contrasts, classes = draw_brain(map_source, NOTHING, seeded(seed, 0))
        assert contrasts.shape == (3, *small_canvas)
        assert contrasts.dtype == torch.float32
        assert torch.isfinite(contrasts).all()
        assert classes.shape == small_canvas
        assert classes.dtype == torch.long
        assert classes[classes != IGNORED].max() < len(CLASSES)
        there = [bool(one.any()) for one in contrasts]
        kept.add(tuple(there))
        far = ~grow(classes > 0, 5)
        assert far.any()
        assert not contrasts[:, far].any()  # the skull is gone, and shifted no scale
        assert not scans[-1][far].any()
        for one in contrasts[there]:
            assert one[classes > 1].std() > 0.1
            assert one.abs().max() <= 4
    assert len(kept) > 2


def test_new_lesions_are_bright_and_a_class_of_their_own(map_source, monkeypatch):
    monkeypatch.setattr(brain_sampling, "PRESENT", ((("T1w", "FLAIR"), 1.0),))
    volumes, contrast = [], []
    for contrasts, classes in draws(map_source, 16):
        lesion, white = classes == LESION, classes == 3
        volumes.append(int(lesion.sum()))
        if lesion.sum() > 100:
            contrast.append([float(c[lesion].mean() - c[white].mean()) for c in contrasts])
    assert max(volumes) > 500
    assert min(volumes) == 0  # a healthy head now and then
    contrast = np.array(contrast)
    assert (contrast[:, FLAIR] > 0).mean() > 0.7
    assert (contrast[:, T1W] < 0).mean() > 0.7
    assert (contrast[:, T2W] == 0).all()


def test_lesions_of_people_are_implanted_in_most_heads(map_source, monkeypatch):
    def place(labels, *_):
        box = torch.zeros(labels.shape, dtype=torch.bool)
        box[15:20, 20:25, 15:20] = True
        return box

    monkeypatch.setattr(brain_sampling, "place_lesions", place)
    drawn = [draw_brain(map_source, BrainRecipe(["someone"]), seeded(5, n)) for n in range(20)]
    seen = [bool((classes[16:19, 21:24, 16:19] == LESION).all()) for _, classes in drawn]
    assert 0.5 < np.mean(seen) < 1


def test_lesions_nobody_could_see_are_neither_learnt_nor_held_against_the_network(
    map_source, monkeypatch
):
    """The faint edge of a lesion is left out of the loss."""
    box = (slice(12, 20), slice(12, 20), slice(12, 20))

    def new(labels, *_):
        lesions = torch.zeros(labels.shape, dtype=torch.bool)
        lesions[box] = True
        return lesions & can_hold_lesions(labels)

    fade = torch.linspace(0, 1, 8)[:, None, None]
    monkeypatch.setattr(brain_sampling, "_new_lesions", new)

    def soft(lesions, _):
        share = lesions.float()
        share[box] *= fade
        return share

    monkeypatch.setattr(brain_sampling, "soft_lesions", soft)
    monkeypatch.setattr(brain_sampling, "scan", lambda image, _, real: image)
    for _, classes in draws(map_source, 3):
        found = classes[box]
        assert (found[5:] == LESION).any()
        assert not (found[:3] == LESION).any()
        assert (found[:3] == IGNORED).any()
        assert not (found[7] == IGNORED).any()
        assert (found[5:7] == IGNORED).sum() < 0.25 * (found[5:7] == LESION).sum()


def test_lesions_as_faint_as_cortex_are_left_out_but_for_dark_centres():
    classes = torch.full((20, 20, 20), 3)
    classes[:4] = 2
    classes[6:16, 6:16, 6:16] = LESION
    contrasts = torch.zeros((3, 20, 20, 20))
    contrasts[FLAIR][:4] = torch.linspace(0.5, 1.5, 1600).reshape(4, 20, 20)
    contrasts[FLAIR][classes == LESION] = 1.2
    contrasts[FLAIR][6] = 0.9  # one side is fainter than cortex usually is
    contrasts[FLAIR][10:12, 10:12, 10:12] = 0.2  # free water
    left_out = brain_sampling._no_brighter_than_cortex(contrasts, classes)
    faint = torch.zeros_like(left_out)
    faint[6, 6:16, 6:16] = True
    assert torch.equal(left_out, faint)
    assert not brain_sampling._no_brighter_than_cortex(contrasts, classes.clamp(min=3)).any()


def test_single_lesions_stay_where_lesions_can_be(map_source, monkeypatch):
    everywhere = lambda labels, *_, **__: torch.full_like(labels, 25)  # noqa: E731
    monkeypatch.setattr(brain_sampling, "implant_lesions", everywhere)
    all_over = [classes for _, classes in draws(map_source) if (classes == LESION).sum() > 1000]
    assert all_over
    for classes in all_over:
        assert not (classes == 3).any()  # white matter
        for number in (2, 4, 7, 8, 15):  # cortex, ventricle, thalamus, caudate, plexus
            assert (classes == number).sum() > 50, CLASSES[number]


def test_lesions_of_a_label_map_become_white_matter(map_source, monkeypatch):
    """They are neither painted nor learnt: a teacher's lesions are not trusted."""
    source = replace(map_source)
    data = map_source.labels.data.copy()
    for start, label in ((7, 25), (10, 57), (13, 77)):
        data[start : start + 3, 30:38, 10:18] = label
    source.labels = Volume(data, map_source.labels.world_to_voxel)
    straight(monkeypatch)
    painted = []
    real_paint = brain_sampling.paint_all
    monkeypatch.setattr(
        brain_sampling, "paint_all", lambda *words: painted.append(words[1]) or real_paint(*words)
    )
    _, classes = draw_brain(source, NOTHING, seeded(1, 0))
    assert not torch.isin(painted[0], torch.tensor([25, 57, 77])).any()
    assert not (classes == LESION).any()


def test_drawn_lesions_are_the_target_and_doubt_is_left_out(real_source, monkeypatch):
    straight(monkeypatch)
    for _, classes in draws(real_source, 3):
        # the box of the brain is about its middle; sides are exchanged now and then
        found = {n: int((classes == n).sum()) for n in (LESION, IGNORED)}
        for n, box in ((LESION, DRAWN), (IGNORED, UNSURE)):
            size = np.prod([s.stop - s.start for s in box])
            assert found[n] == pytest.approx(size, rel=0.35), n
        places = {n: (classes == n).nonzero().float().mean(0) for n in (LESION, IGNORED)}
        assert places[IGNORED][2] - places[LESION][2] == pytest.approx(19, abs=1.5)
        assert places[IGNORED][1] == pytest.approx(float(places[LESION][1]), abs=1.5)
        assert abs(places[IGNORED][0] - places[LESION][0]) == pytest.approx(21, abs=2)


def test_real_images_are_seen_where_their_labels_are(real_source, monkeypatch):
    straight(monkeypatch)
    monkeypatch.setattr(brain_sampling, "scan", lambda image, _, real: image)
    monkeypatch.setattr(brain_sampling, "PRESENT", ((("T1w", "T2w", "FLAIR"), 1.0),))
    for contrasts, classes in draws(real_source, 3):
        lesion, white = classes == LESION, classes == 3
        assert contrasts[FLAIR][lesion].mean() > contrasts[FLAIR][white].mean() + 1
        assert contrasts[T1W][lesion].mean() < contrasts[T1W][white].mean() - 1
        assert not contrasts[T2W].any()  # the head has none


def test_real_heads_get_new_lesions_too(real_source, monkeypatch):
    """Mostly where few or none are drawn: many are to be learnt as they are."""
    straight(monkeypatch)
    box = (slice(12, 17), slice(12, 17), slice(12, 17))

    def new(labels, *_):
        lesions = torch.zeros(labels.shape, dtype=torch.bool)
        lesions[box] = True
        return lesions

    monkeypatch.setattr(brain_sampling, "_new_lesions", new)
    monkeypatch.setattr(brain_sampling, "scan", lambda image, _, real: image)
    monkeypatch.setattr(brain_sampling, "PRESENT", ((("T1w", "FLAIR"), 1.0),))
    core = (slice(13, 16),) * 3
    few = np.mean([bool((c[core] == LESION).all()) for _, c in draws(real_source, 8)])
    monkeypatch.setattr(brain_sampling, "MANY", 100)
    many = np.mean([bool((c[core] == LESION).all()) for _, c in draws(real_source, 24)])
    assert 0.05 < many < 0.5 < 0.9 < few
    real_source.lesions = None
    for contrasts, classes in draws(real_source, 4):
        assert (classes[core] == LESION).all()
        white = classes == 3
        assert contrasts[FLAIR][box].mean() > contrasts[FLAIR][white].mean()
        assert contrasts[T1W][box].mean() < contrasts[T1W][white].mean()


def test_a_filled_head_stands_for_one_without_lesions(real_source, monkeypatch):
    """Its lesions are white matter; only their rim in other tissue is left out."""
    straight(monkeypatch)
    monkeypatch.setattr(brain_sampling, "scan", lambda image, _, real: image)
    monkeypatch.setattr(brain_sampling, "PRESENT", ((("FLAIR",), 1.0),))
    before = [int((classes == LESION).sum()) for _, classes in draws(real_source, 4)]
    real_source.filled = {
        name: replace(image, data=np.ones_like(image.data))
        for name, image in real_source.images.items()
    }
    monkeypatch.setattr(brain_sampling, "VARIED", 0.0)
    monkeypatch.setattr(brain_sampling, "HEALED", 0.0)
    drawn = [classes == LESION for _, classes in draws(real_source, 4)]
    monkeypatch.setattr(brain_sampling, "HEALED", 1.0)
    for size, lesion, (contrasts, classes) in zip(
        before, drawn, draws(real_source, 4), strict=True
    ):
        assert (classes[lesion] == 3).all()
        assert size > 300
        assert not (classes == LESION).any()
        unknown = classes == IGNORED
        assert 0.8 * 36 * 7 < unknown.sum() < 36 * 7 + size  # what was unsure is so still
        assert contrasts[FLAIR][unknown].max() < contrasts[FLAIR][classes == 3].max() + 0.1
    monkeypatch.setattr(brain_sampling, "HEALED", 0.5)
    filled = [not (classes == LESION).any() for _, classes in draws(real_source, 24)]
    assert 0.25 < np.mean(filled) < 0.75


def test_heads_with_drawn_lesions_come_thrice(real_source):
    other = replace(real_source, name="other", lesions=None)
    assert [s.name for s in sampler([real_source, other]).real].count("other") == 1
    assert len(sampler([real_source, other]).real) == 4


def test_a_head_without_the_wanted_contrast_shows_its_flair(real_source, monkeypatch):
    monkeypatch.setattr(brain_sampling, "PRESENT", ((("T2w",), 1.0),))
    contrasts, _ = draw_brain(real_source, NOTHING, seeded(0, 0))
    assert [bool(one.any()) for one in contrasts] == [False, False, True]


def whole_brain(contrasts, classes, _generator):
    return contrasts, classes


def sampler(sources, cut=whole_brain, **settings):
    return BrainSampler(sources, NOTHING, 3, 6, cut=cut, **settings)


def test_a_sample_depends_on_its_index_only(map_source):
    whole, resumed = sampler([map_source]), sampler([map_source], start=3 * CUTS)
    assert len(whole) == 6
    for n in (0, 1, CUTS):
        for one, same in zip(whole[3 * CUTS + n], resumed[n], strict=True):
            assert torch.equal(one, same)
    assert not torch.equal(whole[3 * CUTS][0], whole[4 * CUTS][0])


def test_a_few_brains_are_cut_in_turn_each_time_elsewhere(map_source, monkeypatch):
    drawn = []

    def draw(*_):
        drawn.append(len(drawn))
        return drawn[-1], None

    def chosen(brain, _classes, generator):
        return brain, whole_number(generator, 0, 10**6)

    monkeypatch.setattr(brain_sampling, "draw_brain", draw)
    samples = sampler([map_source], cut=chosen)
    found = [samples[n] for n in range(20 * CUTS)]
    assert len(drawn) == 20  # each is drawn once
    brains = [brain for brain, _ in found]
    assert brains[:CUTS] == [0] * CUTS
    assert set(brains[8 * CUTS : 9 * CUTS]) == set(range(9 - POOL, 9))
    assert all(brains.count(n) == CUTS for n in range(4, 17))
    assert len({place for _, place in found}) > 19 * CUTS


@pytest.mark.parametrize("batch", [1, 2])
def test_workers_draw_no_brain_twice(map_source, monkeypatch, batch):
    """Batches go to the workers in turn, as a DataLoader gives them."""
    seeds = []
    monkeypatch.setattr(brain_sampling, "draw_brain", lambda *given: (given[2].initial_seed(), 0))
    lanes = 3
    workers = [sampler([map_source], lanes=lanes, batch=batch) for _ in range(lanes)]
    for place in range(lanes * CUTS * 8):
        seeds.append(workers[place // batch % lanes][place][0])
    assert len(set(seeds)) == lanes * 8
    assert np.median([seeds.count(seed) for seed in set(seeds)]) == CUTS
    single = sampler([map_source], lanes=lanes, batch=batch)
    assert [single[place][0] for place in range(len(seeds))] == seeds


def test_samples_a_spread_apart_are_of_different_brains(map_source, monkeypatch):
    monkeypatch.setattr(
        brain_sampling, "draw_brain", lambda *given: (whole_number(given[2], 0, 10**6), None)
    )
    samples = sampler([map_source])
    assert len({samples[n * samples.spread][0] for n in range(6)}) == 6


@pytest.mark.parametrize(("fraction", "wanted"), [(0.0, {True}), (1.0, {False}), (0.5, {0, 1})])
def test_the_share_of_real_heads(map_source, real_source, fraction, wanted, monkeypatch):
    monkeypatch.setattr(brain_sampling, "draw_brain", lambda source, *_: (source, None))
    both = sampler([map_source, real_source], real_fraction=fraction)
    assert {both[n * CUTS][0] is map_source for n in range(12)} == wanted
    alone = sampler([map_source], real_fraction=1.0)
    assert alone[0][0] is map_source
    alone = sampler([real_source], real_fraction=0.0)
    assert alone[0][0] is real_source
