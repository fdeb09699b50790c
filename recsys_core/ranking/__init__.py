"""Stage 5, ranking: a few hundred candidates and their features -> an ordered list."""
