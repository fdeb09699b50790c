"""`python -m recsys_assets.cli` is `recsys`, for places where the command is not installed."""

from recsys_assets.cli import main

if __name__ == "__main__":
    main()
