"""Stage 2, feedback: the log of requests, impressions and events -> new interactions for stage 1.

The loop closes through time: yesterday's log is today's training data. This stage stores the log, and makes a table of
interactions of each day.
"""
