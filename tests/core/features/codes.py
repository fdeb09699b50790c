"""What a process says of the code of its features. Imports nothing of the project, so that it can be told which."""

import json


def print_codes() -> None:
    """The version of the code of each feature, as the sources on the disk are."""
    from recsys_core.features.registry import feature_set

    print(json.dumps({name: one["code"] for name, one in feature_set().items()}))  # noqa: T201
