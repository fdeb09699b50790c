"""Our recommender beside its peers: the project's baselines, and models of other libraries, all on the same terms.

The same number of settings tried for each, chosen by the same metric on the same tuning data, then fitted again on all
that lies before the targets and judged once, by the same formulas. Two peers come from libraries of the `peers` extra,
which nothing else needs: `als` and `vae`. What a folder of data holds is in `folders`, how one is made in `protocols`.
"""
