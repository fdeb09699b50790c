"""Pictures of nothing, of much, and the palette."""

import base64
import io

import numpy as np
import pytest
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from recsys_assets.metadata.pictures import (
    ACCENT,
    ALARM,
    DPI,
    HEIGHT,
    INK,
    SERIES,
    WIDTH,
    Draw,
    bars,
    intervals,
    picture,
    stacked,
)
from tests.assets.metadata.ink import DARK, LEAST_CONTRAST, WHITE, contrast, ink_on

NAN = float("nan")


def image_bytes(*draws: Draw) -> bytes:
    text = picture(*draws).value or ""
    return base64.b64decode(text.partition(";base64,")[2].removesuffix(")"))


def decoded(*draws: Draw) -> Image.Image:
    return Image.open(io.BytesIO(image_bytes(*draws)))


@pytest.mark.parametrize("colour", [INK, ACCENT, ALARM, *SERIES])
def test_a_colour_stands_out_from_white_and_from_dark(colour: str) -> None:
    parts = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)], dtype=np.float64)
    # 4.2 is the most that one colour can have against both.
    assert contrast(parts, WHITE) >= 3.7 > LEAST_CONTRAST
    assert contrast(parts, DARK) >= 3.7


def test_a_drawing_in_black_would_be_noticed() -> None:
    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color="black", linewidth=9)

    assert contrast(ink_on(decoded(draw), DARK), DARK).min() < 1.5


def test_few_colours_more_than_halve_the_bytes() -> None:
    def draw(axes: Axes) -> None:
        for at, mark in enumerate("os^D"):
            axes.plot(range(20), np.random.default_rng(at).random(20), marker=mark)

    figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
    draw(figure.add_subplot())
    plain = io.BytesIO()
    figure.savefig(plain, format="png", dpi=DPI, transparent=True)
    assert 2 * len(image_bytes(draw)) < len(plain.getvalue())


def test_every_plot_adds_its_height() -> None:
    one, two = decoded(bars(["a"], [1.0], "x")), decoded(bars(["a"], [1.0], "x"), bars(["b"], [2.0], "x"))
    assert (two.width, two.height) == (one.width, 2 * one.height)


@pytest.mark.parametrize(
    "draw",
    [
        bars([], [], "x"),
        bars(["a"], [0.0], "x", texts=["none"]),
        bars(["a", "b"], [NAN, 1.0], "x"),
        intervals([], [], [], "x"),
        intervals(["a", "b"], [NAN, 0.5], [(NAN, NAN), (0.4, 0.7)], "x"),
        intervals(["a"], [NAN], [(NAN, NAN)], "x"),
        lambda axes: stacked(axes, [], [("a", []), ("b", [])], width=0.8),
    ],
)
def test_nothing_and_the_undefined_can_be_drawn(draw: Draw) -> None:
    assert decoded(draw).format == "PNG"


def test_the_style_does_not_outlive_the_picture() -> None:
    before = rcParams["text.color"]
    decoded(bars(["a"], [1.0], "x"))
    assert rcParams["text.color"] == before
