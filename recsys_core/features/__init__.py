"""Stage 3, features: events before a time -> features of items, users and user-item pairs.

Each feature is declared once, above the one function that computes it for offline batches and online requests alike.
A value at time t depends only on events strictly before t.
"""
