"""OpenTelemetry GenAI semantic conventions: one span or log record, or one exported batch of a
single interaction.

Understood, newest first:

- attributes ``gen_ai.input.messages``, ``gen_ai.output.messages``, ``gen_ai.system_instructions``
  (messages of parts), on a span or on the event ``gen_ai.client.inference.operation.details``
  (https://github.com/open-telemetry/semantic-conventions-genai);
- the events ``gen_ai.system.message``, ``gen_ai.user.message``, ``gen_ai.assistant.message`` and
  ``gen_ai.choice`` of conventions up to 1.36, given together (in a span's ``events``, or in one
  export); one such event alone is half an interaction;
- OpenLLMetry's ``gen_ai.prompt.0.content``, ``gen_ai.completion.0.content``.

Attributes may be OTLP/JSON lists of key and value or plain objects, also flattened into the
record. Identity that the conventions have no name for is read from ``backslide.<field>``, such
as ``backslide.deployment``, on the record or its resource.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from monitor.records._decode import decode
from monitor.records._fields import Limits, Malformed, Reason, as_object, first_scalar, missing
from monitor.records._messages import (
    Answer,
    Exchange,
    answer,
    content,
    finish_reason,
    first_choice,
    joined,
    prompt,
    text_or_empty,
)
from monitor.records._native import IDENTITY, assemble
from monitor.records.interaction import Interaction

_INPUT: Final = "gen_ai.input.messages"
_OUTPUT: Final = "gen_ai.output.messages"
_SYSTEM: Final = "gen_ai.system_instructions"
_TEXTS: Final = frozenset({_INPUT, _OUTPUT, _SYSTEM, "gen_ai.tool.definitions", "body"})
_MESSAGE_EVENT: Final = re.compile(r"gen_ai\.(system|user|assistant|tool)\.message")
_CHOICE_EVENT: Final = "gen_ai.choice"
_INDEXED: Final = re.compile(r"gen_ai\.(prompt|completion)\.(\d{1,4})\.(\w+)")
_TIMES: Final = (
    "timeUnixNano", "startTimeUnixNano", "start_time_unix_nano", "time_unix_nano",
    "observedTimeUnixNano", "timestamp", "Timestamp", "start_time", "time", "@timestamp",
)  # fmt: skip


class _Event(NamedTuple):
    name: str
    attributes: Mapping[str, object]
    body: object


def is_otel(record: Mapping[str, object]) -> bool:
    """Whether `record` looks like OpenTelemetry rather than like another format."""
    if "resourceSpans" in record or "resourceLogs" in record:
        return True
    attributes = record.get("attributes")
    if isinstance(attributes, list):
        return True
    return any(
        name.startswith("gen_ai.")
        for names in (record, attributes if isinstance(attributes, dict) else ())
        for name in names
    ) or _name(record).startswith("gen_ai.")


def read(record: Mapping[str, object], default_deployment: str, limits: Limits) -> Interaction:
    """One interaction."""
    items, resource = _unwrapped(record)
    events = [event for item in items for event in _events(item)]
    described = (event.attributes for event in events if not _is_message(event.name))
    attributes = _first_wins([*described, resource])
    fields = _fields(items[0], attributes)
    exchange = _exchange(attributes, events)
    others = ((name, attributes[name]) for name in attributes if not _is_text(name))
    return assemble(fields, exchange, others, default_deployment, limits)


def _is_message(name: str) -> bool:
    return name == _CHOICE_EVENT or _MESSAGE_EVENT.fullmatch(name) is not None


def _is_text(name: str) -> bool:
    return name in _TEXTS or name.startswith(("gen_ai.prompt", "gen_ai.completion"))


def _unwrapped(
    record: Mapping[str, object],
) -> tuple[Sequence[Mapping[str, object]], Mapping[str, object]]:
    """The spans or log records of one interaction, and the attributes of their resource."""
    resources = record.get("resourceSpans") or record.get("resourceLogs")
    if resources is None:
        return [record], _resource(record)
    found: list[Mapping[str, object]] = []
    attributes: Mapping[str, object] = {}
    for resource, item in _exported(resources):
        if is_otel({**item, "attributes": _plain(item.get("attributes"))}):
            found.append(item)
            attributes = _resource(resource)
    spans = {(text_or_empty(i.get("traceId")), text_or_empty(i.get("spanId"))) for i in found}
    if len(spans) != 1 or (len(found) > 1 and spans == {("", "")}):
        raise Malformed(
            Reason.UNSUPPORTED,
            "resourceSpans",
            "resourceSpans: not exactly one GenAI call; export one call per record",
        )
    return found, attributes


def _exported(
    resources: object,
) -> Iterator[tuple[Mapping[str, object], Mapping[str, object]]]:
    """Every span or log record of an export, with its resource."""
    for resource in _objects(resources, "resourceSpans"):
        for scope in _objects(resource.get("scopeSpans") or resource.get("scopeLogs"), "scope"):
            for item in _objects(scope.get("spans") or scope.get("logRecords"), "spans"):
                yield resource, item


def _resource(record: Mapping[str, object]) -> Mapping[str, object]:
    resource = record.get("resource")
    return _plain(resource.get("attributes")) if isinstance(resource, dict) else {}


def _objects(value: object, field: str) -> list[Mapping[str, object]]:
    return [as_object(item, field) for item in value] if isinstance(value, list) else []


def _events(item: Mapping[str, object]) -> Iterator[_Event]:
    """A span or log record as an event, then the events of the span."""
    yield _event(item)
    for event in _objects(item.get("events"), "events"):
        yield _event(event)


def _event(item: Mapping[str, object]) -> _Event:
    flat = {name: item[name] for name in item if name.startswith(("gen_ai.", "backslide."))}
    attributes = _plain(item.get("attributes"))
    return _Event(_name(item), {**attributes, **flat}, _value(item.get("body")))


def _name(item: Mapping[str, object]) -> str:
    return text_or_empty(item.get("eventName") or item.get("event_name") or item.get("name"))


def _plain(attributes: object) -> Mapping[str, object]:
    """Attributes as an object, from either form."""
    if isinstance(attributes, dict):
        return attributes
    if not isinstance(attributes, list):
        return {}
    pairs = (as_object(item, "attributes") for item in attributes)
    return {text_or_empty(pair.get("key")): _value(pair.get("value")) for pair in pairs}


def _value(value: object) -> Any:
    """An OTLP/JSON AnyValue as a plain value; what is none stays as it is."""
    if not isinstance(value, dict) or len(value) != 1:
        return value
    (kind, inner), *_ = value.items()
    match kind:
        case "stringValue" | "boolValue" | "doubleValue" | "intValue" | "bytesValue":
            return inner
        case "arrayValue" if isinstance(inner, dict):
            items = inner.get("values")
            return [_value(item) for item in items] if isinstance(items, list) else []
        case "kvlistValue" if isinstance(inner, dict):
            return _plain(inner.get("values"))
        case _:
            return value


def _first_wins(maps: Sequence[Mapping[str, object]]) -> Mapping[str, object]:
    merged: dict[str, object] = {}
    for mapping in maps:
        for name, value in mapping.items():
            merged.setdefault(name, value)
    return merged


def _fields(item: Mapping[str, object], attributes: Mapping[str, object]) -> Mapping[str, object]:
    fields: dict[str, object] = {
        "id": first_scalar(attributes, "gen_ai.response.id") or first_scalar(item, "spanId"),
        "timestamp": first_scalar(item, *_TIMES),
        "model": first_scalar(attributes, "gen_ai.response.model", "gen_ai.request.model"),
        "system_fingerprint": first_scalar(
            attributes,
            "openai.response.system_fingerprint",
            "gen_ai.openai.response.system_fingerprint",
        ),
        "replica": first_scalar(attributes, "service.instance.id"),
        "conversation": first_scalar(attributes, "gen_ai.conversation.id", "session.id"),
        "user": first_scalar(attributes, "user.id", "enduser.id"),
        "client": first_scalar(attributes, "client.address"),
    }
    for name in sorted(IDENTITY):
        given = attributes.get(f"backslide.{name}")
        if given is not None:
            fields[name] = given
    return fields


def _exchange(attributes: Mapping[str, object], events: Sequence[_Event]) -> Exchange:
    if _INPUT in attributes or _OUTPUT in attributes:
        return _from_messages(attributes)
    if any(_INDEXED.match(name) for name in attributes):
        return _from_indexed(attributes)
    return _from_events(events)


def _from_messages(attributes: Mapping[str, object]) -> Exchange:
    for name in (_INPUT, _OUTPUT):
        if name not in attributes:
            raise missing(name, "let the instrumentation capture message content")
    asked = prompt(_structured(attributes, _INPUT), _INPUT)
    instructions = content(_structured(attributes, _SYSTEM), _SYSTEM).text or ""
    output = _objects(_structured(attributes, _OUTPUT), _OUTPUT)
    reasons = attributes.get("gen_ai.response.finish_reasons")
    first_reason = reasons[0] if isinstance(reasons, list) and reasons else None
    return Exchange(
        asked._replace(system=joined((instructions, asked.system))),
        answer(output[0], _OUTPUT) if output else Answer("", "no_content"),
        finish_reason(output[0].get("finish_reason") if output else None, first_reason),
    )


def _structured(attributes: Mapping[str, object], name: str) -> object:
    """Messages, which span attributes carry as JSON text. A text that a length limit cut off is
    no JSON: raise OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT."""
    value = attributes.get(name)
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        return decode(value.encode("utf-8", "replace"), name)
    return value


def _from_indexed(attributes: Mapping[str, object]) -> Exchange:
    sides: dict[str, dict[int, dict[str, object]]] = {"prompt": {}, "completion": {}}
    for name, value in attributes.items():
        if match := _INDEXED.fullmatch(name):
            sides[match[1]].setdefault(int(match[2]), {})[match[3]] = value
    if not sides["prompt"] or not sides["completion"]:
        raise missing("gen_ai.prompt", "let the instrumentation capture message content")
    said = sides["completion"][min(sides["completion"])]
    return Exchange(
        prompt([sides["prompt"][i] for i in sorted(sides["prompt"])], "gen_ai.prompt"),
        answer(said, "gen_ai.completion"),
        finish_reason(said.get("finish_reason")),
    )


def _from_events(events: Sequence[_Event]) -> Exchange:
    asked: list[object] = []
    choices: list[object] = []
    for name, attributes, payload in events:
        body = payload if isinstance(payload, dict) else attributes
        if match := _MESSAGE_EVENT.fullmatch(name):
            asked.append({**body, "role": match[1]})
        elif name == _CHOICE_EVENT:
            choices.append(body)
    if not asked:
        raise missing(_INPUT, "export both sides of a call in one record")
    if not choices:
        raise missing(_OUTPUT, "export both sides of a call in one record")
    choice = first_choice(choices, _CHOICE_EVENT)
    message = _structured(choice, "message")
    said = {**choice, **(message if isinstance(message, dict) else {"content": message})}
    return Exchange(
        prompt(asked, "gen_ai.user.message"),
        answer(said, _CHOICE_EVENT),
        finish_reason(choice.get("finish_reason")),
    )
