"""A cache on disk for features of real images, which every evaluation needs."""

import hashlib
import zipfile

import numpy as np

from kgan._files import cache_directory, written_whole
from kgan._progress import silent
from kgan._typing import Pictures, Say
from kgan.metrics.features import Extractor, Features, extract


def cached_features(extractor: Extractor, images: Pictures, say: Say = silent) -> Features:
    """Computes features, or reads them if they are in the cache.

    The key is a digest of the images and of the extractor, so entries cannot be out of date. If the
    cache cannot be read or written, the features are computed.

    Args:
        extractor: See `kgan.metrics.get_features`.
        images: uint8 `(N, H, W, C)`.
        say: Called with lines of text about the progress.

    Returns:
        `extractor(images)`.
    """
    fingerprint = extractor.fingerprint()
    if fingerprint is None:
        return extract(extractor, images, say)
    digest = hashlib.sha256(repr((fingerprint, images.shape)).encode())
    digest.update(np.ascontiguousarray(images).tobytes())
    try:
        path = cache_directory("features") / f"{digest.hexdigest()}.npz"
    except OSError:  # no home directory
        return extract(extractor, images, say)
    try:
        # Opened here, since NumPy does not close a damaged file.
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            return Features(**{name: file[name] for name in file.files})
    except (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile):
        features = extract(extractor, images, say)
    there = {name: array for name, array in vars(features).items() if array is not None}
    try:
        with written_whole(path) as temporary, temporary.open("wb") as target:
            np.savez(target, **there)
    except OSError:
        pass
    return features
