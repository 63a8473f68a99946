import io

import numpy as np
import pytest
from PIL import Image

from modelyard.domain.errors import ConfigError, DataError
from modelyard.tasks.preprocessing import Preprocessing, load_image


def wanted(size=4, channels=3):
    return Preprocessing(image_size=size, channels=channels, mean=(0.5,) * channels, std=(0.5,) * channels)


def load(image, preprocessing, file_format="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    buffer.seek(0)
    return load_image(buffer, preprocessing)


def test_json_round_trip():
    preprocessing = Preprocessing(image_size=28, channels=3, mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
    assert preprocessing.to_json() == {
        "image_size": 28,
        "channels": 3,
        "mean": [0.1, 0.2, 0.3],
        "std": [0.4, 0.5, 0.6],
    }
    assert Preprocessing.from_json(preprocessing.to_json()) == preprocessing


def test_lengths_must_fit_the_channels():
    with pytest.raises(ConfigError, match=r"data.std: 1 value\(s\) for 3 channel\(s\)"):
        Preprocessing(image_size=4, channels=3, mean=(0.5, 0.5, 0.5), std=(0.5,))


def test_rgb_pixels_stay_as_they_are():
    pixels = np.random.default_rng(0).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    loaded = load(Image.fromarray(pixels), wanted())
    assert loaded.dtype == np.uint8
    assert loaded.flags.writeable
    assert loaded.flags.c_contiguous
    assert np.array_equal(loaded, pixels.transpose(2, 0, 1))


def test_images_are_resized_to_a_square():
    left_black = np.zeros((40, 80), np.uint8)
    left_black[:, 40:] = 255
    loaded = load(Image.fromarray(left_black), wanted(8, 1))
    assert loaded.shape == (1, 8, 8)
    assert (loaded[0, :, :3] < 10).all()
    assert (loaded[0, :, 5:] > 245).all()


RED_AND_CLEAR = np.zeros((4, 4, 4), np.uint8)
RED_AND_CLEAR[:, :2] = (255, 0, 0, 255)
DEEP = np.full((4, 4), 0x8040, np.uint16)


def palette(transparency=None):
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, 10, 20, 30])
    if transparency is not None:
        image.info["transparency"] = transparency
    return image


@pytest.mark.parametrize(
    ("image", "colour"),
    [
        (Image.new("1", (4, 4), 1), (255, 255, 255)),
        (Image.new("L", (4, 4), 7), (7, 7, 7)),
        (Image.new("LA", (4, 4), (7, 255)), (7, 7, 7)),
        (Image.new("LA", (4, 4), (7, 0)), (255, 255, 255)),
        (Image.new("RGBA", (4, 4), (1, 2, 3, 255)), (1, 2, 3)),
        (Image.new("RGBA", (4, 4), (0, 0, 0, 0)), (255, 255, 255)),
        (Image.new("RGBA", (4, 4), (0, 0, 0, 51)), (204, 204, 204)),
        (palette(), (10, 20, 30)),
        (palette(transparency=1), (255, 255, 255)),
        (Image.fromarray(DEEP), (0x80, 0x80, 0x80)),
    ],
    ids=["1", "L", "LA", "LA-clear", "RGBA", "RGBA-clear", "RGBA-veil", "P", "P-clear", "I;16"],
)
def test_every_mode_becomes_rgb_with_transparency_over_white(image, colour):
    loaded = load(image, wanted())
    assert loaded[:, 0, 0].tolist() == list(colour)
    assert (loaded == loaded[:, :1, :1]).all()


@pytest.mark.parametrize(
    ("image", "grey"),
    [
        (Image.new("RGB", (4, 4), (255, 0, 0)), 76),
        (Image.fromarray(DEEP), 0x80),
        (Image.new("LA", (4, 4), (0, 0)), 255),
    ],
)
def test_one_channel_is_grey(image, grey):
    assert (load(image, wanted(channels=1)) == grey).all()


def test_a_cmyk_jpeg_becomes_rgb():
    loaded = load(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), wanted(8), "JPEG")
    assert loaded[0].min() > 200
    assert loaded[1:].max() < 60


def test_the_first_frame_of_an_animation_is_taken():
    frames = [Image.new("L", (4, 4), value) for value in (10, 200)]
    loaded = load(frames[0], wanted(channels=1), "GIF", save_all=True, append_images=frames[1:])
    assert (loaded == 10).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_exif_orientation_is_applied(orientation):
    upright = np.zeros((16, 16), np.uint8)
    upright[:8, :8], upright[:8, 8:], upright[8:, :8] = 60, 120, 180
    undo = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.T,
        6: np.rot90(upright),
        7: np.rot90(upright, 2).T,
        8: np.rot90(upright, -1),
    }
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(undo[orientation]))
    loaded = load(stored, wanted(16, 1), "JPEG", quality=95, exif=exif.tobytes())
    assert np.abs(loaded[0].astype(int) - upright).max() < 12


def test_a_large_jpeg_keeps_its_content_when_it_is_decoded_small():
    gradient = np.repeat(np.linspace(0, 255, 2000).astype(np.uint8)[None], 1500, axis=0)
    jpeg = load(Image.fromarray(gradient), wanted(32, 1), "JPEG", quality=95)
    png = load(Image.fromarray(gradient), wanted(32, 1), "PNG")
    assert np.abs(jpeg.astype(int) - png).max() <= 2


def test_pixels_without_a_fixed_range_are_refused():
    with pytest.raises(DataError, match="32-bit float pixels have no fixed range"):
        load(Image.fromarray(np.ones((4, 4), np.float32)), wanted(), "TIFF")
    with pytest.raises(DataError, match=r"integer pixels outside 0..65535"):
        load(Image.fromarray(np.full((4, 4), 70000, np.int32)), wanted(), "TIFF")


def test_an_unreadable_file_is_named(tmp_path):
    path = tmp_path / "broken.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n broken")
    with pytest.raises(DataError, match=r"broken.png: cannot read the image"):
        load_image(path, wanted())
    with pytest.raises(DataError, match=r"^upload 3: cannot read the image"):
        load_image(io.BytesIO(b"x"), wanted(), name="upload 3")
    with pytest.raises(DataError, match="no such file"):
        load_image(tmp_path / "missing.png", wanted())


def test_a_decompression_bomb_is_refused(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(DataError, match="decompression bomb"):
        load(Image.new("L", (64, 64)), wanted())
