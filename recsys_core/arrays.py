"""Arrays: their types, and one numpy array per file, without pickle, so that reading a file cannot run code.

Docstrings name the shapes.
"""

from pathlib import Path
from tokenize import TokenError
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from recsys_core.errors import REBUILD, ArtifactError

Float32s = npt.NDArray[np.float32]
Float64s = npt.NDArray[np.float64]
Int64s = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

Number = TypeVar("Number", bound=np.generic)


def write_array(array: npt.NDArray[Number], path: Path) -> None:
    """Store an array as npy."""
    np.save(path, array, allow_pickle=False)


def read_array(path: Path, dtype: type[Number], ndim: int) -> npt.NDArray[Number]:
    """The array stored at `path`.

    Raises:
        ArtifactError: the file is missing or damaged, or holds another type of number or another number of axes.
    """
    try:
        array: npt.NDArray[Number] = np.load(path, allow_pickle=False)
    # numpy parses the header as Python: a flipped bit there shows as any of these.
    except (OSError, ValueError, EOFError, MemoryError, TokenError) as fault:
        raise ArtifactError(f"{path} is missing or damaged: {REBUILD}") from fault
    if array.dtype != dtype or array.ndim != ndim:
        raise ArtifactError(
            f"{path} holds {array.dtype} with {array.ndim} axes, expected {np.dtype(dtype)} with {ndim}: {REBUILD}"
        )
    return array
