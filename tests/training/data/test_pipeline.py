"""Batches hold what they should, and augmentation moves pixels without changing any."""

import hashlib
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("tensorflow")

from training.data.augment import Augmentation, blend
from training.data.pipeline import batches, epoch_order
from training.optim.build import TriangularSchedule

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (50, 16, 16, 3), dtype=np.uint8)
TARGETS = RNG.integers(0, 3, 50)


def _all(dataset: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    items, labels = zip(*dataset.as_numpy_iterator(), strict=True)
    return np.concatenate(items), np.concatenate(labels)


def _augmented(augmentation: Augmentation, epoch: int = 0) -> NDArray[np.float32]:
    """float32 (50, 16, 16, 3): all images, as the epoch sees them."""
    params = augmentation.draw(epoch, IMAGES.shape, np.arange(len(IMAGES)))
    return np.asarray(params.apply(IMAGES, params.places))


def test_order_is_a_permutation_by_seed_and_epoch() -> None:
    indices = np.arange(100, 200)
    first = epoch_order(indices, 1, 0)
    assert sorted(first) == list(indices)
    np.testing.assert_array_equal(first, epoch_order(indices, 1, 0))
    assert not np.array_equal(first, epoch_order(indices, 1, 1))
    assert not np.array_equal(first, epoch_order(indices, 2, 0))


def test_batches_are_the_scaled_images_in_order() -> None:
    order = RNG.permutation(50)[:33]
    dataset = batches(IMAGES, TARGETS, order, 8)
    assert [len(labels) for _, labels in dataset.as_numpy_iterator()] == [8, 8, 8, 8, 1]
    pixels, labels = _all(dataset)
    np.testing.assert_allclose(pixels, IMAGES[order] / np.float32(255), rtol=1e-6)
    np.testing.assert_array_equal(labels, TARGETS[order])


def test_features_are_not_scaled() -> None:
    features = RNG.normal(size=(50, 1, 1, 4)).astype(np.float32)
    items, _ = _all(batches(features, TARGETS, np.arange(50), 16))
    np.testing.assert_array_equal(items, features)


def test_augmentation_shifts_and_mirrors_and_nothing_else() -> None:
    """Each result is found among all crops of the mirrored-edge image, as it is or flipped."""
    results = _augmented(Augmentation(0))
    seen_flips: set[bool] = set()
    seen_places: set[tuple[int, int]] = set()
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


def test_cutout_greys_one_square_and_nothing_else() -> None:
    whole, results = _augmented(Augmentation(0)), _augmented(Augmentation(0, cutout=0.25))
    places = set()
    for image, result in zip(whole, results, strict=True):
        rows, columns = np.nonzero((image != result).any(axis=-1))
        box = result[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        assert (box == 128).all()
        assert max(box.shape[:2]) == 4
        places.add((rows.min(), columns.min()))
    assert len(places) > 10


def test_augmentation_follows_seed_and_epoch() -> None:
    first, same, other, later = (
        _augmented(Augmentation(seed), epoch) for seed, epoch in ((1, 2), (1, 2), (3, 2), (1, 3))
    )
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other)
    assert not np.array_equal(first, later)


def test_what_happens_to_an_image_does_not_depend_on_the_order() -> None:
    params = Augmentation(0, cutout=0.25).draw(4, IMAGES.shape, np.arange(len(IMAGES)))
    order = RNG.permutation(50)
    in_place, _ = _all(batches(IMAGES, TARGETS, np.arange(50), 16, params=params))
    shuffled, _ = _all(batches(IMAGES, TARGETS, order, 7, params=params))
    np.testing.assert_array_equal(shuffled, in_place[order])


def test_alternate_flips_mirror_each_image_in_every_second_epoch() -> None:
    augmentation = Augmentation(0, alternate_flips=True)
    mirrored = [
        augmentation.draw(epoch, IMAGES.shape, np.arange(len(IMAGES))).places[:, 2]
        for epoch in range(4)
    ]
    assert 10 < mirrored[0].sum() < 40
    np.testing.assert_array_equal(mirrored[1], 1 - mirrored[0])
    np.testing.assert_array_equal(mirrored[2], mirrored[0])
    np.testing.assert_array_equal(mirrored[3], mirrored[1])


def test_without_flips_an_image_is_shifted_and_erased_as_with_them() -> None:
    plain, unflipped = (
        Augmentation(0, cutout=0.25, flip=flip).draw(0, IMAGES.shape, np.arange(len(IMAGES)))
        for flip in (True, False)
    )
    assert plain.places[:, 2].any()
    assert not unflipped.places[:, 2].any()
    others = [0, 1, 3, 4]
    np.testing.assert_array_equal(unflipped.places[:, others], plain.places[:, others])


def test_mirrored_parameters_give_the_mirrored_pixels() -> None:
    params = Augmentation(0, cutout=0.25).draw(0, IMAGES.shape, np.arange(len(IMAGES)))
    pixels = np.asarray(params.apply(IMAGES, params.places))
    mirrored = params.mirrored(IMAGES.shape[2])
    np.testing.assert_array_equal(mirrored.apply(IMAGES, mirrored.places), pixels[:, :, ::-1])


def test_triangle_rises_for_a_fifth_and_falls_to_zero() -> None:
    rate = TriangularSchedule(0.5, 100)
    values = [float(rate(step)) for step in range(101)]
    assert max(values) == pytest.approx(0.5)
    assert np.argmax(values) in (19, 20)
    assert values[0] == pytest.approx(0.025)
    assert values[100] == pytest.approx(0)
    assert values[60] == pytest.approx(0.25)


def test_mixup_is_the_weighted_sum_of_two_training_images() -> None:
    train = np.arange(0, 50, 2)
    params = Augmentation(0, mixup=0.5).draw(3, IMAGES.shape, train)
    mixup = params.mixup
    assert mixup is not None
    assert set(mixup.indices) <= set(train)
    alone = mixup.lambdas == 1
    assert 0.2 < alone.mean() < 0.8
    assert mixup.lambdas.min() >= 0.5
    blended = blend(IMAGES, IMAGES[mixup.indices], mixup.lambdas).numpy()
    lambdas = mixup.lambdas[:, None, None, None]
    expected = np.round(lambdas * IMAGES + (1 - lambdas) * IMAGES[mixup.indices])
    assert np.abs(blended - expected).max() <= 1  # rounded in float32
    np.testing.assert_array_equal(blended[alone], IMAGES[alone])
    # A batch is blended first, then cropped and flipped.
    order = RNG.permutation(50)
    pixels, labels = _all(batches(IMAGES, TARGETS, order, 8, params=params))
    np.testing.assert_array_equal(labels, TARGETS[order])
    moved = params.apply(blended[order], params.places[order]).numpy()
    np.testing.assert_allclose(pixels, moved / np.float32(255), atol=1e-6)


def test_mixup_leaves_the_other_parameters_unchanged() -> None:
    plain = Augmentation(0, cutout=0.25).draw(4, IMAGES.shape, np.arange(50))
    mixed = Augmentation(0, cutout=0.25, mixup=0.5).draw(4, IMAGES.shape, np.arange(50))
    np.testing.assert_array_equal(plain.places, mixed.places)
    assert plain.mixup is None


@pytest.mark.parametrize(
    ("augmentation", "hashes"),
    [
        (
            Augmentation(7),
            {
                "places": "8e8b4dbef6a0eef57b0e901dbeed38b1792cc2ad2be9a78604cb485eafa6f31b",
                "pixels": "5fa538bf17b679e89157d9d855a3118790314afce1832c42155858f0d0b6cb44",
            },
        ),
        (
            Augmentation(7, cutout=0.25, alternate_flips=True, mixup=0.5),
            {
                "places": "3b33254d3d730537cf68a508a85f40c3489cc179ba3e30e8ed9b6e591d164814",
                "pixels": "d177571edba86bfd3ca2dc883c344041777f025a6cc4a1cb6bf278ada8c25950",
                "indices": "b58eb86a71135177467a4fad167ea8ca769bc41c1d6fb3e1fbdf0e2f39731595",
                "lambdas": "c37b90c81cf6b18e74dca23270decb0e8c2e69caf930a1ea1817daf4073972b7",
            },
        ),
    ],
    ids=["plain", "all"],
)
def test_the_augmentation_of_a_seed_never_changes(
    augmentation: Augmentation, hashes: dict[str, str]
) -> None:
    """Recorded runs and cached teacher logits depend on it."""
    images = np.random.default_rng(0).integers(0, 256, (200, 32, 32, 3), dtype=np.uint8)
    params = augmentation.draw(3, images.shape, np.arange(0, 200, 2))
    arrays: dict[str, NDArray[Any]] = {"places": params.places}
    if params.mixup is not None:
        arrays |= {"indices": params.mixup.indices, "lambdas": params.mixup.lambdas}
        images = blend(images, images[params.mixup.indices], params.mixup.lambdas)
    arrays["pixels"] = np.asarray(params.apply(images, params.places)).astype(np.uint8)
    assert {
        name: hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
        for name, array in arrays.items()
    } == hashes


def test_the_order_of_an_epoch_never_changes() -> None:
    order = epoch_order(np.arange(0, 200, 2), 7, 3)
    digest = hashlib.sha256(order.tobytes()).hexdigest()
    assert digest == "ef55902afb55bf6dd8b4a6f8cb92ca31e15ebdb03e1917299a1317d01d7298c2"
