"""Stage 2, feedback: the log of what users did with what they were shown -> new interactions for stage 1.

The loop closes through time: what was logged yesterday is training data today. Here a day's log is read; a table of
interactions leaves.
"""
