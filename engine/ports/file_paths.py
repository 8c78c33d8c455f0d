"""Paths in the settings of connectors."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, ValidationInfo


def _beside(path: Path, info: ValidationInfo) -> Path:
    return path if info.context is None else info.context["folder"] / path


def _is_there(path: Path) -> Path:
    if not path.is_file():
        raise ValueError("names a file that isn't there")
    return path


BesideFile = Annotated[Path, AfterValidator(_beside)]
"""A relative path counts from the folder of the file that names it, where there is one."""

PresentFile = Annotated[BesideFile, AfterValidator(_is_there)]
"""The same; the file has to be there when the settings are read."""
