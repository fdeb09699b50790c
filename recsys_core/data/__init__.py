"""Stage 1, data: external files -> clean tables of movies and ratings, split by time.

Only this stage validates external data: files are read as text and cast without coercion, and each invalid row is
rejected with its file, line, column and reason. The readers of MovieLens are in `movielens`.
"""
