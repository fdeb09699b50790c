"""Stage 1, data: bytes from outside -> clean tables of movies and ratings, split by time.

Data is checked where it enters and nowhere else: files are read as text, cast without coercion, and each bad row is set
aside with its file, line, column and reason. The readers of MovieLens are in `movielens`.
"""
