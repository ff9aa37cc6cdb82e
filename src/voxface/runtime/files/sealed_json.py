"""JSON documents that hold their own SHA-256, so that one that was damaged or edited is not taken for the one written."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

SEAL: Final = "seal"


def sealed(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document with its digest under `seal`, as the last key.

    Raises:
        TypeError: a value is none of JSON's.
    """
    return {**{key: value for key, value in document.items() if key != SEAL}, SEAL: _digest(document)}


def is_intact(document: Mapping[str, Any]) -> bool:
    """Whether a document is the one that was sealed; one without `seal`, of a version that wrote none, passes."""
    return SEAL not in document or document[SEAL] == _digest(document)


def _digest(document: Mapping[str, Any]) -> str:
    """SHA-256 of all but the seal, whatever the order and the spacing."""
    plain = {key: value for key, value in document.items() if key != SEAL}
    return hashlib.sha256(json.dumps(json.loads(json.dumps(plain)), sort_keys=True).encode()).hexdigest()
