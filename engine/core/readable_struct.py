"""A struct that pydantic reads too, where it has to say what is wrong with a value."""

from msgspec import Struct, structs
from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema


class ReadableStruct(Struct, frozen=True, gc=False):
    """Frozen; without reference cycles, as it isn't looked at for garbage."""

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: type["ReadableStruct"], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """What makes pydantic read one from an object with its fields."""
        fields = {
            each.name: core_schema.typed_dict_field(
                handler.generate_schema(each.type), required=each.required
            )
            for each in structs.fields(cls)
        }
        return core_schema.no_info_after_validator_function(
            lambda known: cls(**known), core_schema.typed_dict_schema(fields)
        )
