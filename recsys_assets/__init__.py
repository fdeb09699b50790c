"""The recommender's artifacts as Dagster assets: what is stored, when it is made, and what must hold of it.

No logic lives here. Each asset reads its inputs from the lake, calls `recsys_core`, and publishes the result.
"""

import os

# Before numpy, torch or faiss load: sums of floats depend on the number of threads, and an artifact must not change its
# bytes, and with them its version, because another machine has more cores. Where threads are worth it, a stage has a
# setting for them.
for _library in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"):
    os.environ[_library] = "1"
