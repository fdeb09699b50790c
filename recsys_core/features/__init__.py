"""Stage 3, features: what was known at a moment -> explicit numbers about items, users and pairs of both.

Each feature is declared once, in `contract`, and computed by one function that serves the offline batch and the online
request alike. A value at time t rests on events strictly before t.
"""
