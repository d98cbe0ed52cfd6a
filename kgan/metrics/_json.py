"""Numbers as JSON takes them."""

from typing import Any

import numpy as np


def plain(value: Any) -> Any:
    """Returns numbers, arrays and containers of them as JSON takes them.

    JSON has no infinity and no NaN: they become null.
    """
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list | np.ndarray):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not np.isfinite(value) else value
