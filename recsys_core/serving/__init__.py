"""Stage 7, serving: one request -> one answer, and why each item is in it."""
