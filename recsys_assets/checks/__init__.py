"""What must hold of the artifacts, one module per stage; a check blocks where a later stage would act on a lie."""

from recsys_assets.checks import data, evaluation, features, monitoring, ranking, retrieval

STAGE_MODULES = (data, features, retrieval, ranking, evaluation, monitoring)
