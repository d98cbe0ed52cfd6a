"""Features of real images, kept on disk: they are the same at every evaluation."""

import hashlib
import zipfile

import numpy as np

from kgan._files import cache_directory, written_whole
from kgan._typing import Pictures
from kgan.metrics.features import Extractor, Features


def cached_features(extractor: Extractor, images: Pictures) -> Features:
    """Takes features, or reads them where the same ones of the same images were taken before.

    They are found by the content of the images and of the extractor, so nothing has to be declared
    stale. A cache that cannot be read or written costs time, not the evaluation.

    Args:
        extractor: See `kgan.metrics.get_features`.
        images: uint8 `(N, H, W, C)`.

    Returns:
        What `extractor(images)` does.
    """
    fingerprint = extractor.fingerprint()
    if fingerprint is None:
        return extractor(images)
    digest = hashlib.sha256(repr((fingerprint, images.shape)).encode())
    digest.update(np.ascontiguousarray(images).tobytes())
    try:
        path = cache_directory("features") / f"{digest.hexdigest()}.npz"
    except OSError:  # there is no home directory
        return extractor(images)
    try:
        # Opened here: of a damaged file, NumPy forgets to close it.
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            return Features(**{name: file[name] for name in file.files})
    except (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile):
        features = extractor(images)
    there = {name: array for name, array in vars(features).items() if array is not None}
    try:
        with written_whole(path) as temporary, temporary.open("wb") as target:
            np.savez(target, **there)
    except OSError:
        pass
    return features
