"""Stage 8, monitoring: what was served -> is it still like what the models learned from?

One short file each: `sample` says which rows hang together, `binning` turns values into bins that never move,
`reference` keeps what a model learned from in those bins, `distances` says how far a period is from it, `significance`
whether chance alone could do that, and `drift` puts both into a report.
"""
