"""What must be true of the artifacts: one module per stage, and `schemas` for the tables of all stages.

A check blocks where a later stage would compute with wrong data; the other checks warn.
"""

from recsys_assets.checks import data, evaluation, feedback, monitoring, ranking, retrieval, schemas

MODULES = (schemas, data, feedback, retrieval, ranking, evaluation, monitoring)
