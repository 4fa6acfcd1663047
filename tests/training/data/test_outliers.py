"""Pictures of no class: what they are made of, and what a model learns from them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("tensorflow")

from training import fit, load_dataset
from training.data.augment import Augmentation
from training.data.errors import DataError
from training.data.outliers import NO_CLASS, UnknownPictures, outliers, read_unknown
from training.distillation.loss import KnownAccuracy
from training.optim.build import loss
from training.recipes import Recipe
from training.tf_keras_setup import keras, tf

IMAGES = np.random.default_rng(1).integers(0, 256, (40, 32, 24, 3), dtype=np.uint8)
TRAIN = np.arange(0, 40, 2)


def test_they_follow_from_the_seed_alone() -> None:
    first, second, other = (outliers(61, IMAGES, TRAIN, seed) for seed in (0, 0, 1))
    assert first.shape == (61, 32, 24, 3)
    assert first.dtype == np.uint8
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


def test_no_other_image_than_those_of_the_training_is_in_them() -> None:
    changed = IMAGES.copy()
    changed[1::2] = 77
    assert np.array_equal(outliers(60, IMAGES, TRAIN, 0), outliers(60, changed, TRAIN, 0))


def test_half_are_drawn_from_the_given_ones() -> None:
    given = UnknownPictures(np.full((2, 32, 24, 3), 201, np.uint8))
    drawn = outliers(60, IMAGES, TRAIN, 0, given)
    assert (drawn == 201).all(axis=(1, 2, 3)).sum() == 30
    assert given.sha256 != UnknownPictures(given.images + 1).sha256


def test_a_folder_is_read_with_its_subfolders(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    for name in ("a.png", "more/b.png"):
        Image.new("RGB", (40, 50), (9, 8, 7)).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no picture")
    images = read_unknown(tmp_path, (16, 16)).images
    assert images.shape == (2, 16, 16, 3)
    assert (images == [9, 8, 7]).all()


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no picture"):
        read_unknown(tmp_path, (16, 16))
    with pytest.raises(DataError, match="is no folder"):
        read_unknown(tmp_path / "none", (16, 16))


@pytest.mark.parametrize("teacher", [None, "0" * 64])
def test_their_loss_is_least_where_every_class_is_equally_likely(teacher: str | None) -> None:
    recipe = Recipe("baseline", label_smoothing=0.1, teacher=teacher)
    row = [NO_CLASS] if teacher is None else [NO_CLASS, *[0.0] * 4]
    targets = tf.constant([row, row], tf.float32 if teacher else tf.int64)
    logits = tf.Variable([[0.5] * 4, [0.5, 0.5, 0.5, 0.6]])
    with tf.GradientTape() as tape:
        losses = loss(recipe, 4)(targets, logits)
    gradient = tape.gradient(losses, logits).numpy()
    assert losses[0] < losses[1]
    assert gradient[0] == pytest.approx(0, abs=1e-6)
    assert gradient[1, 3] > 0


def test_the_training_accuracy_leaves_them_out() -> None:
    metric = KnownAccuracy()
    logits = tf.constant([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    metric.update_state(tf.constant([0, 1, NO_CLASS]), logits)
    assert metric.result() == 0.5


def test_the_others_are_augmented_as_if_there_were_none() -> None:
    drawn = Augmentation(0, cutout=0.25, mixup=0.5).draw(3, IMAGES.shape, TRAIN)
    longer = drawn.extended(5)
    assert drawn.mixup is not None
    assert longer.mixup is not None
    assert np.array_equal(longer.places[:40], drawn.places)
    assert np.array_equal(longer.mixup.lambdas, [*drawn.mixup.lambdas, *[1] * 5])
    assert np.array_equal(longer.mixup.indices, [*drawn.mixup.indices, *range(40, 45)])


def test_a_model_is_less_sure_of_pictures_that_it_was_not_shown(tmp_path: Path) -> None:
    """Of a kind that is not among those of the training: stripes."""
    digits = load_dataset("digits")
    stripes = np.zeros((8, 32, 32, 3), np.float32)
    for i, image in enumerate(stripes):
        image[:, :: i + 2] = 1
    sure = {}
    for share in (0.0, 0.5):
        run = fit("baseline", digits, tmp_path / str(share), epochs=6, outliers=share)
        assert run.result.validation.value > 0.8
        logits = keras.models.load_model(run.model_file).predict(stripes, verbose=0)
        sure[share] = float(tf.nn.softmax(logits).numpy().max(axis=1).mean())
    assert sure[0.5] < 0.7 * sure[0.0]
