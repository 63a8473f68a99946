"""The page's colours can be read on both grounds, and told apart by those who see fewer of them."""

import itertools
import re
from importlib.resources import files

import pytest

from modelyard.api.report.colors import COLORS, DASHES
from modelyard.api.report.html.matrix import _LIGHT_SHADES

STYLE = files("modelyard.api.report.html").joinpath("page.css").read_text()
LIGHT, DARK, PRINT = (
    dict(re.findall(r"(--\w+): (#[0-9a-f]{3,6});", block)) for block in re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)
)
THEMES = {"light": LIGHT, "dark": DARK, "print": PRINT}
# Machado, Oliveira and Fernandes (2009), severity 1.0; on linear RGB.
DEUTERANOPIA = ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881))
PROTANOPIA = ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998))


def full(color):
    return color[1:] if len(color) == 7 else "".join(2 * letter for letter in color[1:])


def linear(color):
    text = full(color)
    values = [int(text[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    return [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in values]


def luminance(color):
    red, green, blue = linear(color)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def lab(rgb):
    """Return CIE L*a*b* (D65) of linear RGB."""
    rows = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))
    white = (0.9505, 1.0, 1.089)
    scaled = [sum(a * b for a, b in zip(row, rgb, strict=True)) / w for row, w in zip(rows, white, strict=True)]
    x, y, z = (value ** (1 / 3) if value > 0.008856 else 7.787 * value + 16 / 116 for value in scaled)
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def seen_by(matrix, rgb):
    return [min(1.0, max(0.0, sum(a * b for a, b in zip(row, rgb, strict=True)))) for row in matrix]


@pytest.mark.parametrize("theme", THEMES)
def test_text_and_lines_stand_out_from_the_ground(theme):
    colors = THEMES[theme]
    for name in ("--ink", "--quiet", "--accent", "--good", "--bad", "--warn"):
        assert contrast(colors[name], colors["--paper"]) >= 4.5, name
        assert contrast(colors[name], colors["--sheet"]) >= 4.5, name
    for place in range(COLORS):
        assert contrast(colors[f"--c{place}"], colors["--paper"]) >= 3, place
    assert f"--c{COLORS}" not in colors


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("matrix", [None, DEUTERANOPIA, PROTANOPIA], ids=["all", "deuteranopia", "protanopia"])
def test_lines_that_look_alike_in_colour_differ_in_dash(theme, matrix):
    """Neighbours in a sweep have different dashes, unless they are a multiple of four apart."""
    rgb = [linear(THEMES[theme][f"--c{place}"]) for place in range(COLORS)]
    seen = [lab(one if matrix is None else seen_by(matrix, one)) for one in rgb]
    for one, other in itertools.combinations(range(COLORS), 2):
        distance = sum((a - b) ** 2 for a, b in zip(seen[one], seen[other], strict=True)) ** 0.5
        if (one - other) % DASHES == 0:
            assert distance >= 20, (one, other, distance)
        elif matrix is None:
            assert distance >= 15, (one, other, distance)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("kind", ["--right", "--wrong"])
def test_numbers_on_every_shade_of_a_matrix_can_be_read(theme, kind):
    block = re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)[list(THEMES).index(theme)]
    shade = [int(part) for part in re.search(rf"{kind}: (\d+), (\d+), (\d+)", block).groups()]
    ground = [int(part, 16) for part in re.findall("..", full(THEMES[theme]["--paper"]))]
    for number, opacity in re.findall(r"\.h(\d) \{ fill-opacity: ([\d.]+); \}", STYLE):
        mixed = [round(float(opacity) * a + (1 - float(opacity)) * b) for a, b in zip(shade, ground, strict=True)]
        text = THEMES[theme]["--paper" if int(number) > _LIGHT_SHADES else "--ink"]
        assert contrast(text, "#" + "".join(f"{value:02x}" for value in mixed)) >= 4.3, number


def test_every_colour_and_dash_is_in_the_style():
    for place in range(COLORS):
        assert f".k{place} {{ color: var(--c{place}); }}" in STYLE
    for place in range(1, DASHES):
        assert f".d{place} .line" in STYLE
