"""Small pictures for the UI: one palette, one size, legible on a white and on a dark page.

The UI shows a picture on the background of the user's theme and does not say which it is. So the background is
transparent, and every colour is a mid-tone of about the same luminance, with a contrast near 4 : 1 against white and
against #0f172a. No single colour can have more than 4.2 : 1 against both. The hues are those of Okabe and Ito (2008),
which people with any colour vision can tell apart, moved to that luminance.

Pictures are PNG, not SVG: Dagster accepts both, but text in a user's fonts does not look the same everywhere. The
colours are reduced to a palette of 64, which makes a file less than half as large as matplotlib's own.
"""

import base64
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import dagster as dg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Draw = Callable[["Axes"], None]

INK = "#75808f"
"""Axes and text."""

ACCENT, ALARM = "#1f7fc4", "#cf5a00"
SERIES = (ACCENT, ALARM, "#008a64", "#b8609a", "#a67200")
"""In this order; draw them with different marks as well."""

MARKS = ("o", "s", "^", "D", "v")

WIDTH, HEIGHT, DPI = 5.2, 2.6, 110  # inches, inches, dots per inch
N_COLOURS = 64


def picture(*draws: Draw, height: float = HEIGHT) -> dg.MarkdownMetadataValue:
    """A small inline picture of one or more plots, one below the other.

    Args:
        draws: a function for each plot, which fills empty axes.
        height: of each plot, in inches.
    """
    from matplotlib.figure import Figure  # not pyplot, whose global state would outlive the asset

    with _style():
        figure = Figure(figsize=(WIDTH, height * len(draws)), layout="constrained")
        for at, draw in enumerate(draws, start=1):
            draw(figure.add_subplot(len(draws), 1, at))
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=DPI, transparent=True)
    return dg.MetadataValue.md(f"![plot](data:image/png;base64,{base64.b64encode(_reduced(buffer)).decode()})")


def bars(
    names: Sequence[str],
    values: Sequence[float],
    label: str,
    colours: Sequence[str] | str = ACCENT,
    texts: Sequence[str] = (),
) -> Draw:
    """Horizontal bars, the first on top; `texts` beside them help where bars are too short to be seen."""

    def draw(axes: "Axes") -> None:
        places = range(len(names), 0, -1)
        drawn = axes.barh(places, values, color=colours)
        if texts:
            axes.bar_label(drawn, texts, padding=3, fontsize=7)
            axes.set_xlim(0, 1.15 * max(values, default=0) or 1)  # room for the texts
        axes.set_yticks(places, names, fontsize=7 if len(names) < 15 else 6)
        axes.margins(y=0.01)
        axes.set(xlabel=label)

    return draw


def intervals(names: Sequence[str], means: Sequence[float], bounds: Sequence[tuple[float, float]], label: str) -> Draw:
    """A dot with its interval for each name, the first on top; a name whose mean is NaN keeps an empty row."""

    def draw(axes: "Axes") -> None:
        places = list(range(len(names), 0, -1))
        reach = [
            [mean - low for mean, (low, _) in zip(means, bounds, strict=True)],
            [high - mean for mean, (_, high) in zip(means, bounds, strict=True)],
        ]
        axes.errorbar(means, places, xerr=reach, fmt="o", markersize=5, capsize=3, linewidth=1.5)
        axes.set_yticks(places, names, fontsize=7)
        axes.set(xlabel=label, xlim=(0, None), ylim=(0.4, len(names) + 0.6))

    return draw


def stacked(axes: "Axes", places: Sequence[float], layers: Sequence[tuple[str, Sequence[float]]], width: float) -> None:
    """Vertical bars of several named layers, with a legend above them."""
    below = [0.0] * len(places)
    for (name, heights), colour in zip(layers, SERIES, strict=False):
        axes.bar(places, heights, width=width, bottom=below, label=name, color=colour)
        below = [low + height for low, height in zip(below, heights, strict=True)]
    legend_above(axes, n_columns=len(layers))


def legend_above(axes: "Axes", n_columns: int) -> None:
    """A legend outside the plot, where it hides nothing."""
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=n_columns)


@contextmanager
def _style() -> Iterator[None]:
    """Use the project's colours and sizes within the block."""
    from cycler import cycler
    from matplotlib import rc_context

    with rc_context(
        {
            "text.color": INK,
            "axes.labelcolor": INK,
            "axes.edgecolor": INK,
            "xtick.color": INK,
            "ytick.color": INK,
            "legend.labelcolor": INK,
            "legend.fontsize": 7,
            "legend.frameon": False,
            "font.size": 8,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.prop_cycle": cycler(color=SERIES),
        }
    ):
        yield


def _reduced(png: io.BytesIO) -> bytes:
    """The same picture with a palette of few colours, each with its opacity."""
    from PIL import Image

    png.seek(0)
    few = Image.open(png).quantize(N_COLOURS, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    buffer = io.BytesIO()
    few.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()
