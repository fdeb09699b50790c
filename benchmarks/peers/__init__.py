"""Our recommender compared with its peers: the project's baselines, and models of other libraries, on equal terms.

Every peer gets the same number of trials, is chosen by the same metric on the same tuning data, is fitted again on
everything before the targets, and is judged once by the same formulas. Two peers come from libraries of the extra
`peers`, which nothing else needs: `als` and `vae`. `folders` describes the files of a comparison, and `protocols` makes
them.
"""
