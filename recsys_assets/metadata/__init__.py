"""What the UI shows of each asset beside its files: one module per stage, as in `assets`.

Each module says which tables, numbers and pictures of a stage are worth seeing; the figures themselves come from core.
`tables` turns schemas and lineage into Dagster's words, `pictures` holds the palette, `pages` the links to the
documentation. Nothing here is stored in an artifact or counts for its version: so this is also the place for what
differs from run to run, such as times.

A number at the top level of the metadata (int or float, under a name that stays) is plotted over time by the UI.
"""
