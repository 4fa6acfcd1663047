"""Batches hold what they should, and augmentation moves pixels without changing any."""

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from training.data.augment import Augmentation
from training.data.pipeline import batches, epoch_order
from training.optim.build import TriangularSchedule

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (50, 16, 16, 3), dtype=np.uint8)
TARGETS = RNG.integers(0, 3, 50)


def _all(dataset):
    items, labels = zip(*dataset.as_numpy_iterator(), strict=True)
    return np.concatenate(items), np.concatenate(labels)


def _augmented(augmentation, epoch=0):
    """uint8 (50, 16, 16, 3): all images, as the epoch sees them."""
    params = augmentation.draw(epoch, IMAGES.shape, np.arange(len(IMAGES)))
    return params.apply(IMAGES, params.places).numpy()


def test_order_is_a_permutation_by_seed_and_epoch():
    indices = np.arange(100, 200)
    first = epoch_order(indices, 1, 0)
    assert sorted(first) == list(indices)
    np.testing.assert_array_equal(first, epoch_order(indices, 1, 0))
    assert not np.array_equal(first, epoch_order(indices, 1, 1))
    assert not np.array_equal(first, epoch_order(indices, 2, 0))


def test_batches_are_the_scaled_images_in_order():
    order = RNG.permutation(50)[:33]
    dataset = batches(IMAGES, TARGETS, order, 8)
    assert [len(labels) for _, labels in dataset.as_numpy_iterator()] == [8, 8, 8, 8, 1]
    pixels, labels = _all(dataset)
    np.testing.assert_allclose(pixels, IMAGES[order] / np.float32(255), rtol=1e-6)
    np.testing.assert_array_equal(labels, TARGETS[order])


def test_features_are_not_scaled():
    features = RNG.normal(size=(50, 1, 1, 4)).astype(np.float32)
    got, _ = _all(batches(features, TARGETS, np.arange(50), 16))
    np.testing.assert_array_equal(got, features)


def test_small_images_average_the_large():
    flat = np.full((4, 16, 16, 3), 200, np.uint8)
    pixels, _ = _all(batches(flat, TARGETS, np.arange(4), 4, size=(12, 12)))
    assert pixels.shape == (4, 12, 12, 3)
    np.testing.assert_allclose(pixels, 200 / 255, rtol=1e-5)


def test_augmentation_shifts_and_mirrors_and_nothing_else():
    """Each result is found among all crops of the mirrored-edge image, as it is or flipped."""
    results = _augmented(Augmentation(0))
    seen_flips, seen_places = set(), set()
    for image, result in zip(IMAGES, results, strict=True):
        padded = np.pad(image, ((2, 2), (2, 2), (0, 0)), mode="reflect")
        places = [
            (top, left, flip)
            for top in range(5)
            for left in range(5)
            for flip in (False, True)
            if np.array_equal(
                padded[top : top + 16, left : left + 16][:, :: -1 if flip else 1], result
            )
        ]
        assert len(places) == 1
        seen_flips.add(places[0][2])
        seen_places.add(places[0][:2])
    assert seen_flips == {False, True}
    assert len(seen_places) > 10


def test_cutout_greys_one_square_and_nothing_else():
    whole, results = _augmented(Augmentation(0)), _augmented(Augmentation(0, cutout=0.25))
    places = set()
    for image, result in zip(whole, results, strict=True):
        rows, columns = np.nonzero((image != result).any(axis=-1))
        box = result[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        assert (box == 128).all()
        assert max(box.shape[:2]) == 4
        places.add((rows.min(), columns.min()))
    assert len(places) > 10


def test_augmentation_follows_seed_and_epoch():
    first, same, other, later = (
        _augmented(Augmentation(seed), epoch) for seed, epoch in ((1, 2), (1, 2), (3, 2), (1, 3))
    )
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other)
    assert not np.array_equal(first, later)


def test_what_happens_to_an_image_does_not_depend_on_the_order():
    params = Augmentation(0, cutout=0.25).draw(4, IMAGES.shape, np.arange(len(IMAGES)))
    order = RNG.permutation(50)
    in_place, _ = _all(batches(IMAGES, TARGETS, np.arange(50), 16, params=params))
    shuffled, _ = _all(batches(IMAGES, TARGETS, order, 7, params=params))
    np.testing.assert_array_equal(shuffled, in_place[order])


def test_alternate_flips_mirror_each_image_in_every_second_epoch():
    augmentation = Augmentation(0, alternate_flips=True)
    mirrored = [
        augmentation.draw(epoch, IMAGES.shape, np.arange(len(IMAGES))).places[:, 2]
        for epoch in range(4)
    ]
    assert 10 < mirrored[0].sum() < 40
    np.testing.assert_array_equal(mirrored[1], 1 - mirrored[0])
    np.testing.assert_array_equal(mirrored[2], mirrored[0])
    np.testing.assert_array_equal(mirrored[3], mirrored[1])


def test_triangle_rises_for_a_fifth_and_falls_to_zero():
    rate = TriangularSchedule(0.5, 100)
    values = [float(rate(step)) for step in range(101)]
    assert max(values) == pytest.approx(0.5)
    assert np.argmax(values) in (19, 20)
    assert values[0] == pytest.approx(0.025)
    assert values[100] == pytest.approx(0)
    assert values[60] == pytest.approx(0.25)


def test_blended_images_are_sums_of_two_training_images():
    train = np.arange(0, 50, 2)
    params = Augmentation(0, mixup=0.5).draw(3, IMAGES.shape, train)
    blend = params.blend
    assert set(blend.indices) <= set(train)
    alone = blend.lambdas == 1
    assert 0.2 < alone.mean() < 0.8
    assert blend.lambdas.min() >= 0.5
    got = blend.apply(IMAGES, IMAGES[blend.indices], blend.lambdas).numpy()
    lambdas = blend.lambdas[:, None, None, None]
    wanted = np.round(lambdas * IMAGES + (1 - lambdas) * IMAGES[blend.indices])
    assert np.abs(got - wanted).max() <= 1  # rounded in float32
    np.testing.assert_array_equal(got[alone], IMAGES[alone])
    # A batch blends first, then crops and mirrors.
    order = RNG.permutation(50)
    pixels, labels = _all(batches(IMAGES, TARGETS, order, 8, params=params))
    np.testing.assert_array_equal(labels, TARGETS[order])
    moved = params.apply(got[order], params.places[order]).numpy()
    np.testing.assert_allclose(pixels, moved / np.float32(255), atol=1e-6)


def test_blending_leaves_all_else_as_it_was():
    plain = Augmentation(0, cutout=0.25).draw(4, IMAGES.shape, np.arange(50))
    mixup = Augmentation(0, cutout=0.25, mixup=0.5).draw(4, IMAGES.shape, np.arange(50))
    np.testing.assert_array_equal(plain.places, mixup.places)
    assert plain.blend is None
