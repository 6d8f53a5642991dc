"""What every section of the configuration has in common, and secrets that may lie in files."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, SecretStr, model_validator


class Section(BaseModel):
    """Unknown settings are errors; nothing changes after loading; values are never echoed."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
        validate_default=False,
    )

    @model_validator(mode="before")
    @classmethod
    def _empty_section(cls, value: object) -> object:
        """A section whose settings are all commented out reads as null in YAML."""
        return {} if value is None else value


def secret_of(value: SecretStr | None, file: str | None) -> str | None:
    """The secret itself: given in place, or the content of `file` without its last line break.

    Raises:
        OSError, UnicodeDecodeError: the file has gone or changed since the configuration was
            checked.
    """
    if value is not None:
        return value.get_secret_value()
    if file is not None:
        return Path(file).read_text(encoding="utf-8").rstrip("\r\n")
    return None
