"""Stage 3, features: what was known at a moment -> explicit numbers about items, users and pairs of both.

Each feature is declared once, above the one function that computes it for offline batches and online requests alike.
A value at time t rests on events strictly before t.
"""
