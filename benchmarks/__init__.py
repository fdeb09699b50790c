"""One command per question: how fast, how large, how steady; and the parts of the README that are made from results.

Nothing here is imported by the product. What a benchmark measures is in its docstring; the last figures are in
`README.md` beside it.
"""

from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
"""The folder of the repository."""
