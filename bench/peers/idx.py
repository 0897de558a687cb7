"""Reads MNIST's files for the peers."""

import gzip
from pathlib import Path

import numpy as np


def read(folder, name, header):
    """Returns the bytes of an IDX file, or of its gzip form, behind a header of `header` bytes."""
    for path in (Path(folder) / name, Path(folder) / f"{name}.gz"):
        if path.exists():
            data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
            return np.frombuffer(data, np.uint8, offset=header)
    raise SystemExit(f"{folder}: expected the file {name} or {name}.gz, got neither.")
