"""MovieLens in every layout in which GroupLens has published it: download, check, read, and account for every line."""
