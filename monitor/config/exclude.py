"""Which records are left out of detection: red teams, load tests, health checks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, PlainSerializer, PlainValidator, WithJsonSchema

from monitor.config.problems import shown
from monitor.config.section import Section
from monitor.config.values import Kind, wrong

if TYPE_CHECKING:
    from monitor.records import Interaction


@dataclass(frozen=True, slots=True)
class Matcher:
    """Matches a whole value: an exact text or a regular expression."""

    text: str | None = None
    regex: re.Pattern[str] | None = None

    def matches(self, value: str) -> bool:
        if self.regex is not None:
            return self.regex.fullmatch(value) is not None
        return value == self.text


def parse_matcher(value: object) -> Matcher:
    """`value` itself, or the pattern of ``{regex: ...}``."""
    fix = "write the exact value in quotes, or {regex: 'pattern'}"
    if isinstance(value, str):
        return Matcher(text=value)
    if not isinstance(value, Mapping) or list(value) != ["regex"]:
        raise wrong("is neither text nor a regex", fix)
    pattern = value["regex"]
    if not isinstance(pattern, str):
        raise wrong("the regex must be text", fix)
    try:
        return Matcher(regex=re.compile(pattern))
    except (re.error, OverflowError, RecursionError) as error:
        raise wrong(f"{shown(pattern)} is not a regular expression ({error})", fix) from None


def matcher_text(matcher: Matcher) -> str | dict[str, str]:
    """The form in which `parse_matcher` reads it."""
    return str(matcher.text) if matcher.regex is None else {"regex": matcher.regex.pattern}


_REGEX_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"regex": {"type": "string"}},
    "required": ["regex"],
    "additionalProperties": False,
}
TextOrRegex = Annotated[
    Matcher,
    PlainValidator(parse_matcher),
    PlainSerializer(matcher_text, when_used="json"),
    WithJsonSchema({"anyOf": [{"type": "string"}, _REGEX_SCHEMA]}),
    Kind("text or {regex: ...}"),
]


class ExcludeRule(Section):
    """A record is excluded when every field named here matches."""

    id: TextOrRegex | None = None
    """Id of the record."""
    deployment: TextOrRegex | None = None
    """Deployment as the record names it."""
    model: TextOrRegex | None = None
    """Model as the record names it."""
    revision: TextOrRegex | None = None
    """Revision of the model."""
    replica: TextOrRegex | None = None
    """Replica that answered."""
    conversation: TextOrRegex | None = None
    """Id of the conversation."""
    user: TextOrRegex | None = None
    """Id of the user."""
    client: TextOrRegex | None = None
    """Forwarded address of the client."""
    finish_reason: TextOrRegex | None = None
    """Why the model stopped."""
    risk: TextOrRegex | None = None
    """Your own label of the prompt's risk."""
    attributes: dict[str, TextOrRegex] = Field(default_factory=dict)
    """Attributes of the record by name."""

    @property
    def empty(self) -> bool:
        """Names no field at all."""
        return not self._conditions() and not self.attributes

    def matches(self, interaction: Interaction) -> bool:
        """Whether `interaction` is to be left out."""
        return (
            not self.empty
            and all(m.matches(getattr(interaction, name)) for name, m in self._conditions())
            and all(
                name in interaction.attributes and m.matches(interaction.attributes[name])
                for name, m in self.attributes.items()
            )
        )

    def _conditions(self) -> list[tuple[str, Matcher]]:
        named = ((name, getattr(self, name)) for name in type(self).model_fields)
        return [(name, matcher) for name, matcher in named if isinstance(matcher, Matcher)]
