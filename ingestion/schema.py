"""The JSON Schema of a source contract for editors; `make schema` writes it.

Rules between fields (a key is a declared column, personal data need a lawful basis) are mostly missing: only the
contract reader checks them.
"""

import json
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from ingestion import ROOT
from ingestion.columns import DBT_KEYS, TODO
from ingestion.contracts import System

FILE = ROOT / "ingestion" / "contract.schema.json"
DECLARED = (
    "name",
    "description",
    "data_type",
    "tables",
    "columns",
)  # dbt's own fields; all others are under config.meta


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
    """Fields have no title; an optional field is left out instead of null; TODO is no value."""

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
    """The JSON Schema of a contract file, with every field where dbt expects it."""
    model = System.model_json_schema(schema_generator=_Fields)
    parts = model.pop("$defs") | {"System": model}
    for name in ("System", "Table", "Column"):
        parts[name] = _dbt_layout(name, parts[name])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Source contract",
        "description": "A dbt source file that declares what is loaded from a system, how, and on which lawful basis.",
        "type": "object",
        "properties": {
            "version": {"const": 2, "description": "Version of dbt's YAML."},
            "sources": {"type": "array", "items": {"$ref": "#/$defs/System"}, "description": "Systems, usually one."},
        },
        "required": ["sources"],
        "$defs": dict(sorted(parts.items())),
    }


def _dbt_layout(name: str, part: JsonSchemaValue) -> JsonSchemaValue:
    """A part of the contract with all but dbt's own fields under config.meta."""
    fields, required = part["properties"], part["required"]
    meta = {
        "type": "object",
        "description": "Keys of the loader.",
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
    others = {
        key: {"description": "dbt's own key; the loader does not read it."} for key in sorted(DBT_KEYS - {"config"})
    }
    return part | {
        "properties": own | {"config": config} | others,
        "required": [*(field for field in required if field in DECLARED), "config"],
    }


def text() -> str:
    """The content of the schema file."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
