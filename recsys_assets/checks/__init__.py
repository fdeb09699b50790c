"""What must hold of the artifacts, one module per stage; a check blocks where a later stage would act on a lie."""

from recsys_assets.checks import data, evaluation, ranking, retrieval

STAGE_MODULES = (data, retrieval, ranking, evaluation)
