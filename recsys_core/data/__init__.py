"""Stage 1, data: bytes from outside -> clean tables of movies and ratings, split by time.

What arrives is checked at this boundary and nowhere else: files are read as text, cast without coercion, and each bad
row is set aside with its file, line, column and reason.
"""
