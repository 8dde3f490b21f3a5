"""GDAL without a voice of its own: what fails is for the caller to say."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from osgeo import gdal


@contextmanager
def quiet() -> Iterator[None]:
    """Keep GDAL in this thread from printing errors, and from warning of exceptions to come."""
    has_choice = hasattr(gdal, "ExceptionMgr")  # from 3.7
    gdal.PushErrorHandler("CPLQuietErrorHandler")
    gdal.ErrorReset()
    try:
        with gdal.ExceptionMgr(useExceptions=False) if has_choice else nullcontext():
            yield
    finally:
        gdal.PopErrorHandler()
