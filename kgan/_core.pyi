"""Types of the native extension (csrc/bindings.cpp)."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Buffer

__version__: Final[str]
MAX_IDX_HEADER_SIZE: Final[int]

class IdxHeader:
    @property
    def typestr(self) -> str: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def offset(self) -> int: ...
    @property
    def payload_size(self) -> int: ...

def parse_idx_header(data: Buffer) -> IdxHeader: ...
def check_idx_size(header: IdxHeader, file_size: int) -> None: ...

class Levels:
    def __init__(
        self, low: float, high: float, dtype: str = "float32", count: int = 256
    ) -> None: ...
    @staticmethod
    def integers(count: int = 256) -> Levels: ...

MIN_LEVELS: Final[int]
MAX_LEVELS: Final[int]
MAX_STACK: Final[int]
MAX_WINDOW_CHANNELS: Final[int]

def instruction_sets() -> list[str]: ...
def gather(
    images: NDArray[np.uint8],
    indices: NDArray[np.int64],
    levels: Levels,
    *,
    pad_to: tuple[int, int] | None = None,
    binarize: str | None = None,
    key: int = 0,
    crop: tuple[int, int] | None = None,
    random_crop: bool = False,
    random_flip: bool = False,
    window_key: int = 0,
    instruction_set: str = "auto",
    threads: int = 0,
) -> NDArray[Any]: ...
def gather_stacked(
    images: NDArray[np.uint8],
    indices: NDArray[np.int64],
    levels: Levels,
    *,
    pad_to: tuple[int, int] | None = None,
    binarize: str | None = None,
    key: int = 0,
    crop: tuple[int, int] | None = None,
    random_crop: bool = False,
    random_flip: bool = False,
    window_key: int = 0,
    instruction_set: str = "auto",
    threads: int = 0,
) -> NDArray[Any]: ...
