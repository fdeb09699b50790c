"""What must hold of the artifacts, one module per stage; a check blocks where a later stage would act on a lie."""

from recsys_assets.checks import data, evaluation, features, feedback, monitoring, ranking, retrieval

STAGE_MODULES = (data, feedback, features, retrieval, ranking, evaluation, monitoring)
