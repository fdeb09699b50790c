"""Stage 2, feedback: the log of what users did with what they were shown -> new interactions for stage 1.

The loop closes through time: what was logged yesterday is training data today. This stage reads a day's log and makes a
table of interactions.
"""
