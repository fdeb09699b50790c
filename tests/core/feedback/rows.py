"""Rows of the log by hand: one of each kind, any value of which a test may change."""

from typing import Any

import numpy as np

from recsys_core.feedback.records import Event, Impression, RequestRecord, pack_features

DAY = "2017-07-14"
START = 1_499_990_400
"""The first second of that day, UTC."""


def event(number: int = 1, **changes: Any) -> Event:
    """A rating on the day."""
    values: dict[str, Any] = {
        "event_id": f"e{number}",
        "user_id": 1 + number % 3,
        "item_id": 10 + number,
        "kind": "rating",
        "value": 4.0,
        "timestamp": START + number,
        "received_at": START + number + 5,
    }
    return Event(**values | changes)


def request(number: int = 1, **changes: Any) -> RequestRecord:
    """A request on the day."""
    values: dict[str, Any] = {
        "request_id": f"r{number}",
        "user_id": 7,
        "history": None,
        "k": 2,
        "requested_at": START + number,
        "served_at": (START + number) * 1_000_000 + 250_000,
        "release": "v1",
    }
    return RequestRecord(**values | changes)


def impression(number: int = 1, position: int = 1, **changes: Any) -> Impression:
    """A slot of the answer to that request."""
    values: dict[str, Any] = {
        "request_id": f"r{number}",
        "user_id": 7,
        "item_id": 100 + position,
        "position": position,
        "release": "v1",
        "policy": "greedy",
        "propensity": 0.9,
        "score": 1.25,
        "retrieval_score": 0.1,
        "retrieval_rank": 3,
        "probability": None,
        "feature_set": "f1",
        "features": pack_features(np.array([0.1, np.nan, -2.5], dtype=np.float32)),
        "feature_states": bytes([0, 1, 2]),
        "requested_at": START + number,
        "served_at": (START + number) * 1_000_000 + 250_000,
    }
    return Impression(**values | changes)
