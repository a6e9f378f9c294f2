"""The JSON Schema of a source contract, by which editors complete and check it; `make schema` writes it from the model.

What one field says of another (a key is a declared column, personal data need a lawful basis) is mostly not in it: the
contract reader alone refuses that.
"""

import json
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from ingestion.contracts import DBT_KEYS, ROOT, TODO, System

FILE = ROOT / "ingestion" / "contract.schema.json"
DECLARED = ("name", "description", "data_type", "tables", "columns")  # dbt's own fields; the rest are under config.meta


def _if(field: str, values: list[str], then: JsonSchemaValue, otherwise: JsonSchemaValue) -> JsonSchemaValue:
    condition = {"properties": {field: {"enum": values}}, "required": [field]}
    return {"if": condition, "then": then, "else": otherwise}


CONDITIONS = {
    "Table": _if("load", ["merge", "history"], {"required": ["key"]}, {}),
    "Column": _if(
        "privacy", ["identifier"], {"required": ["identifier"]}, {"not": {"required": ["identifier"]}}
    ),
}  # fmt: skip


class _Fields(GenerateJsonSchema):
    """A field without a title of its own; one that may be absent is left out, not null; TODO is no value."""

    def field_title_should_be_set(self, _schema: Any) -> bool:
        return False

    def nullable_schema(self, schema: Any) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: Any) -> JsonSchemaValue:
        inner = super().default_schema(schema)
        return {key: value for key, value in inner.items() if key != "default" or value is not None}

    def str_schema(self, schema: Any) -> JsonSchemaValue:
        rules = super().str_schema(schema)
        return rules if "pattern" in rules else rules | {"not": {"pattern": TODO.pattern}}


def schema() -> JsonSchemaValue:
    """The JSON Schema of a whole contract file, with every field where dbt expects it."""
    model = System.model_json_schema(schema_generator=_Fields)
    parts = model.pop("$defs") | {"System": model}
    for name in ("System", "Table", "Column"):
        parts[name] = _as_dbt_has_it(name, parts[name])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Source contract",
        "description": "A dbt source file that says what is loaded from a system, how, and on what authority.",
        "type": "object",
        "properties": {
            "version": {"const": 2, "description": "Version of dbt's YAML."},
            "sources": {"type": "array", "items": {"$ref": "#/$defs/System"}, "description": "Systems, usually one."},
        },
        "required": ["sources"],
        "$defs": dict(sorted(parts.items())),
    }


def _as_dbt_has_it(name: str, part: JsonSchemaValue) -> JsonSchemaValue:
    """A part of the contract, with the fields that are not dbt's own under config.meta."""
    fields, required = part["properties"], part["required"]
    meta = {
        "type": "object",
        "description": "What the loader reads.",
        "properties": {field: rules for field, rules in fields.items() if field not in DECLARED},
        "required": [field for field in required if field not in DECLARED],
        "additionalProperties": False,
    }
    config = {
        "type": "object",
        "description": "dbt's config.",
        "properties": {"meta": meta | CONDITIONS.get(name, {})},
        "required": ["meta"],
    }
    own = {field: rules for field, rules in fields.items() if field in DECLARED}
    others = {key: {"description": "dbt's own; the loader does not read it."} for key in sorted(DBT_KEYS - {"config"})}
    return part | {
        "properties": own | {"config": config} | others,
        "required": [*(field for field in required if field in DECLARED), "config"],
    }


def text() -> str:
    """The schema as its file has it."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
