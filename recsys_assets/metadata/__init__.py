"""The metadata of each asset in the UI: one module per stage, as in `assets`.

Each module picks the tables, numbers and pictures of a stage that are worth seeing; core computes the figures. `tables`
turns schemas and lineage into Dagster's types, and `pictures` holds the palette. Metadata is not stored in an artifact
and does not count for its version, so values that differ from run to run, such as durations, belong here.

The UI plots a number at the top level of the metadata (int or float, under a constant name) over time.
"""
