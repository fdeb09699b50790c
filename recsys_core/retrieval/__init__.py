"""Stage 4, retrieval: the whole catalogue -> a few hundred candidates per user."""
