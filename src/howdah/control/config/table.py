"""What a table of settings is made of: the model all tables share, and how one setting is declared."""

from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Reload(StrEnum):
    """When a change takes effect."""

    RELOAD = "reload"
    RESTART = "restart"


def setting(default: Any, doc: str, *, restart: bool = False, shown: str = "") -> Any:
    """One setting; `shown` describes a default that is worked out at start."""
    extra = {"reload": (Reload.RESTART if restart else Reload.RELOAD).value, "shown": shown}
    if callable(default):
        return Field(default_factory=default, description=doc, json_schema_extra={**extra})
    return Field(default=default, description=doc, json_schema_extra={**extra})


class Table(BaseModel):
    """What the tables have in common: unknown keys are errors, nothing changes after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)
