"""One command per question about speed, size and spread, and commands that write the generated parts of the docs.

The product imports nothing from here. The docstring of a benchmark says what it measures; `README.md` beside it has the
latest figures.
"""

from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
"""The folder of the repository."""
