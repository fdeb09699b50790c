"""How well ink stands out from a page."""

import numpy as np
import numpy.typing as npt
from PIL import Image

WHITE, DARK = (255, 255, 255), (15, 23, 42)  # the second is #0f172a
OPAQUE = 240
"""Of 255. Where a picture has few colours, the inside of a line may share one with its rim."""

LEAST_CONTRAST = 3.0
"""WCAG 2.2 asks for 3 : 1 of graphics and large text."""


def luminance(colours: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """WCAG's relative luminance of sRGB colours, (..., 3) from 0 to 255."""
    part = colours / 255
    linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
    weighted: npt.NDArray[np.float64] = linear @ np.array([0.2126, 0.7152, 0.0722])
    return weighted


def contrast(colours: npt.NDArray[np.float64], page: tuple[int, int, int]) -> npt.NDArray[np.float64]:
    one, two = luminance(colours) + 0.05, luminance(np.array(page, dtype=np.float64)) + 0.05
    return np.maximum(one, two) / np.minimum(one, two)


def ink_on(image: Image.Image, page: tuple[int, int, int]) -> npt.NDArray[np.float64]:
    """(n, 3) the colours of what is opaque, as they look on a page; the soft rims of lines are left out."""
    pixels = np.asarray(image.convert("RGBA")).reshape(-1, 4).astype(np.float64)
    opaque = pixels[pixels[:, 3] >= OPAQUE]
    share = opaque[:, 3:] / 255
    shown: npt.NDArray[np.float64] = opaque[:, :3] * share + np.array(page) * (1 - share)
    return shown
