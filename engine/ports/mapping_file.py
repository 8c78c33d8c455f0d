"""A mapping in the settings of a source: named by its file, checked when the settings are read."""

from typing import Annotated

from pydantic import BeforeValidator, InstanceOf, ValidationInfo

from engine.core.alert_mapping import AlertMapping


def _read(value: object, info: ValidationInfo) -> object:
    if isinstance(value, AlertMapping):
        return value
    if not isinstance(value, str):
        raise ValueError("the name of a mapping's file must be here")
    if info.context is None:
        raise ValueError("a mapping's file is named in quell.yaml alone")
    return info.context["read_mapping"](info.context["folder"] / value)


MappingFile = Annotated[InstanceOf[AlertMapping], BeforeValidator(_read)]
"""A relative path counts from the folder of the file that names it."""
