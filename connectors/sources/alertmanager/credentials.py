"""Secrets and pairs of user and password, as the settings spell them."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, SecretStr

# An empty one, say from a variable that isn't set, would let everybody in.
Secret = Annotated[SecretStr, Field(min_length=1)]


class Section(BaseModel):
    """Root of this source's settings: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class BasicCredentials(Section):
    """One user of Alertmanager's or Prometheus's `basic_auth`."""

    user: str = Field(pattern=r"^[^:]+$")
    password: Secret
