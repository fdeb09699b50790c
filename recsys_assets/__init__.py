"""The recommender's artifacts as Dagster assets: what is stored, when it is built, and which checks it must pass.

No logic lives here. Each asset reads its inputs from the lake, calls `recsys_core`, and publishes the result.
"""

import os

# Set before numpy, torch and faiss are imported. Sums of floats depend on the number of threads, and an artifact must
# not change its bytes, and with them its version, because a machine has more cores. Stages that profit from threads
# have a setting for them.
for _library in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"):
    os.environ[_library] = "1"
