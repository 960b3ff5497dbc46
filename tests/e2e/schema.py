"""As much of JSON Schema as docs/report.schema.json uses: https://json-schema.org/draft/2020-12

    check(value, schema, root)     # fails the test with the place that does not hold

A keyword that is not known here fails too: what is not checked must not look as if it were.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
_KNOWN = frozenset(
    "type properties required additionalProperties items enum const pattern minimum maximum minItems minLength oneOf "
    "anyOf allOf $ref".split()
)
_REMARKS = frozenset("$schema $id $comment $defs definitions title description examples default format".split())


def check(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any], place: str = "$") -> None:
    """Asserts that `value` holds to `schema`; `root` is the document in which its references are."""
    assert set(schema) <= _KNOWN | _REMARKS, f"{place}: tests/e2e/schema.py lacks {set(schema) - _KNOWN - _REMARKS}"
    if "$ref" in schema:
        check(value, _resolve(schema["$ref"], root), root, place)
    if "type" in schema:
        names = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        assert any(_is(value, name) for name in names), f"{place} is {value!r}, and not {' or '.join(names)}"
    _check_value(value, schema, place)
    _check_members(value, schema, root, place)
    _check_choices(value, schema, root, place)


def _is(value: Any, name: str) -> bool:
    return isinstance(value, _TYPES[name]) and (name == "boolean" or not isinstance(value, bool))


def _check_value(value: Any, schema: Mapping[str, Any], place: str) -> None:
    assert "enum" not in schema or value in schema["enum"], f"{place} is {value!r}, none of {schema.get('enum')}"
    assert "const" not in schema or value == schema["const"], f"{place} is {value!r}, not {schema.get('const')!r}"
    if isinstance(value, str):
        assert re.search(schema.get("pattern", ""), value), f"{place}: {value!r} does not match {schema.get('pattern')}"
        assert len(value) >= schema.get("minLength", 0), f"{place} is too short"
    if isinstance(value, int | float) and not isinstance(value, bool):
        assert schema.get("minimum", value) <= value <= schema.get("maximum", value), f"{place} is {value}"


def _check_members(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any], place: str) -> None:
    if isinstance(value, list):
        assert len(value) >= schema.get("minItems", 0), f"{place} has too few items"
        for number, item in enumerate(value):
            check(item, schema.get("items", {}), root, f"{place}[{number}]")
    if isinstance(value, dict):
        missing = set(schema.get("required", ())) - set(value)
        assert not missing, f"{place} lacks {missing}"
        properties, more = schema.get("properties", {}), schema.get("additionalProperties", True)
        for name, member in value.items():
            assert name in properties or more is not False, f"{place} has {name}, which the schema does not"
            rule = properties.get(name, more if isinstance(more, dict) else {})
            check(member, rule, root, f"{place}.{name}")


def _check_choices(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any], place: str) -> None:
    for part in schema.get("allOf", ()):
        check(value, part, root, place)
    for keyword in ("anyOf", "oneOf"):
        if keyword in schema:
            holding = sum(_holds(value, part, root, place) for part in schema[keyword])
            assert holding == 1 or (keyword == "anyOf" and holding), f"{place}: {holding} of {keyword} hold: {value!r}"


def _holds(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any], place: str) -> bool:
    try:
        check(value, schema, root, place)
    except AssertionError:
        return False
    return True


def _resolve(reference: str, root: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = root
    for part in reference.removeprefix("#").strip("/").split("/"):
        found = found[part] if part else found
    return found
