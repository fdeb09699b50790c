"""The lake: immutable, content-addressed, atomic storage of every artifact. Knows nothing of recommenders."""
