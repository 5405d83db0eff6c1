"""The one-step crop, against torchvision's own resize and centre crop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps
from torchvision.transforms import functional

from models.catalogue import load_catalogue
from models.engines.reference import preprocessing_of, recipe_of
from pictures.display import DisplayPicture
from pictures.preprocessing import crop, upright_size

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

ORIENTATION_TAG = 0x0112
ORIENTATIONS = range(1, 9)
UPRIGHT = 1

#: Bilinear and bicubic, which overshoots; and a crop as large as what it is cut from, which leaves no margin.
ARCHITECTURES = ("resnet18", "efficientnet_b0", "efficientnet_v2_s")
RECIPES = [recipe_of(architecture, "IMAGENET1K_V1") for architecture in ARCHITECTURES]
for_each_recipe = pytest.mark.parametrize("recipe", RECIPES, ids=ARCHITECTURES)

#: Levels that rounding may cost a picture made to cost the most. A picture is rounded between its two passes; bicubic
#: weights, which go beyond 1, can carry the difference to the next level. On the photos they never do.
LEVELS = {"bilinear": 1, "bicubic": 2}

#: Pixels of a side that, cut up into `crop_size` and put together again, come out a rounding error too large.
UNEVEN_SIDES = {224: 29, 384: 45, 456: 59, 480: 31, 518: 331, 600: 21}


def torchvision_crop(picture: Image.Image, recipe: Any) -> NDArray[np.int16]:
    """What `weights.transforms()` does before it makes floats, with its own arguments."""
    transforms = recipe.transforms()
    resized = functional.resize(
        picture, transforms.resize_size, interpolation=transforms.interpolation, antialias=transforms.antialias
    )
    return np.asarray(functional.center_crop(resized, transforms.crop_size), dtype=np.int16)


def farthest_pixel(picture: Image.Image, recipe: Any, orientation: int = UPRIGHT) -> int:
    """Return the largest difference, in 8-bit levels, between our view and torchvision's of the upright picture."""
    ours = crop(DisplayPicture(picture), orientation, preprocessing_of(recipe)).astype(np.int16)
    return int(np.abs(ours - torchvision_crop(turned_by_pillow(picture, orientation), recipe)).max())


def turned_by_pillow(picture: Image.Image, orientation: int) -> Image.Image:
    tagged = picture.copy()
    tagged.getexif()[ORIENTATION_TAG] = orientation
    return ImageOps.exif_transpose(tagged)


def noise_on_a_slope(size: tuple[int, int], seed: int) -> Image.Image:
    """A picture with hard edges everywhere, often down to black and up to white, darkest on the upper left."""
    width, height = size
    noise = np.random.default_rng(seed).integers(-64, 256, (height, width, 3))
    slope = np.linspace(0, 64, width)[None, :, None] + np.linspace(0, 64, height)[:, None, None]
    return Image.fromarray(np.clip(noise + slope, 0, 255).astype(np.uint8))


@st.composite
def sizes(draw: st.DrawFn) -> tuple[int, int]:
    """1 to 700 pixels a side. At most 1 : 30, since torchvision blows the long side up: 1 × 700 takes it 138 MB."""
    short = draw(st.integers(1, 700))
    long = draw(st.integers(short, min(700, short * 30)))
    return (short, long) if draw(st.booleans()) else (long, short)


@for_each_recipe
def test_the_crop_of_every_photo_is_torchvisions(recipe: Any, photos: Path) -> None:
    """Each value of each pixel of all 125 is within one level."""
    off = {}
    for path in sorted(photos.glob("*.jpg")):
        with Image.open(path) as picture:
            difference = farthest_pixel(picture.convert("RGB"), recipe)
        if difference > 1:
            off[path.name] = difference

    assert off == {}


@for_each_recipe
@settings(max_examples=40, deadline=None)
@example(size=(1, 1), seed=0)
@example(size=(700, 1), seed=0)
@example(size=(1, 700), seed=0)
@example(size=(256, 256), seed=0)
@example(size=(224, 700), seed=0)
@given(size=sizes(), seed=st.integers(0, 2**32 - 1))
def test_the_crop_of_a_picture_of_any_size_is_torchvisions(recipe: Any, size: tuple[int, int], seed: int) -> None:
    """Within one level; within two where bicubic weights meet noise."""
    assert farthest_pixel(noise_on_a_slope(size, seed), recipe) <= LEVELS[preprocessing_of(recipe).interpolation]


@for_each_recipe
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_turning_the_view_is_turning_the_picture_first(recipe: Any, orientation: int, photo: Image.Image) -> None:
    """Each orientation gives what torchvision makes of the upright picture, within one level.

    One, since a picture that lies on its side is resized in the other order, and rounded between the two.
    """
    assert farthest_pixel(photo, recipe, orientation) <= 1


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_an_orientation_moves_no_pixel_by_even_one(orientation: int) -> None:
    """A picture that needs no resizing comes out exactly as Pillow turns it: no row or column is off by one."""
    recipe = recipe_of("resnet18", "IMAGENET1K_V1")
    size = (256, 301) if upright_size((256, 301), orientation) == (256, 301) else (301, 256)

    assert farthest_pixel(noise_on_a_slope(size, seed=1), recipe, orientation) == 0


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize(("architecture", "size"), [("maxvit_t", 224), ("efficientnet_b5", 456), ("vit_h_14", 518)])
def test_a_crop_that_reaches_every_edge_stays_inside_the_picture(
    architecture: str, size: int, orientation: int
) -> None:
    """Models that cut nothing off have no margin for rounding errors; an odd side has them."""
    recipe = next(recipe for recipe in recipes_of(architecture) if recipe.transforms().crop_size == [size])
    picture = noise_on_a_slope((UNEVEN_SIDES[size], UNEVEN_SIDES[size]), seed=1)

    assert crop(DisplayPicture(picture), orientation, preprocessing_of(recipe)).shape == (size, size, 3)


def recipes_of(architecture: str) -> list[Any]:
    from torchvision.models import get_model_weights

    return list(get_model_weights(architecture))


def test_every_models_crop_is_torchvisions(cache_dir: Path, photo: Image.Image) -> None:
    """Each of the 23 geometries in the catalogue, within one level, or two where it is bicubic."""
    geometries = {
        (entry.preprocessing.resize_size, entry.preprocessing.crop_size, entry.preprocessing.interpolation): entry
        for entry in load_catalogue(cache_dir).values()
    }

    off = {
        entry.name: difference
        for entry in geometries.values()
        if (difference := farthest_pixel(photo, recipe_of(entry.architecture, entry.recipe)))
        > LEVELS[entry.preprocessing.interpolation]
    }

    assert off == {}


def test_the_view_has_the_models_size_type_and_channels(photo: Image.Image) -> None:
    view = crop(DisplayPicture(photo), UPRIGHT, preprocessing_of(RECIPES[0]))

    assert (view.shape, view.dtype.name) == ((224, 224, 3), "uint8")


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_the_upright_size_is_that_of_pillows_upright_picture(orientation: int) -> None:
    picture = Image.new("RGB", (3, 5))

    assert upright_size(picture.size, orientation) == turned_by_pillow(picture, orientation).size
