"""JSON files and JSON lines as files of a contract: rows, nested fields, and what is refused."""

import gzip
import json
import zipfile
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion import json_files
from ingestion.contracts import DriftError
from ingestion.files import read_file
from tests.files import declare, refusal, rows, write

PARKS = {
    "park_id": {"data_type": "bigint", "header": "properties.id"},
    "area": {"data_type": "numeric(18,6)", "header": "properties.area"},
    "geometry": {"data_type": "jsonb"},
    "note": {"data_type": "text", "header": "properties.note", "optional": True},
}
GEOJSON = """{"type": "FeatureCollection", "crs": {"list": [1]}, "features": [
{"type": "Feature", "properties": {"id": 1, "area": 52.190000}, "geometry": {"type": "Point", "at": [-2.10, 5]}},
{"type": "Feature", "properties": {"id": 2, "area": null, "note": "a \\"b\\"\\nc"}, "geometry": null}
], "total": 2}
"""


def test_a_list_within_a_document_is_read_with_its_nested_fields(tmp_path: Path) -> None:
    table = declare(PARKS, rows_at="features", left_out=["type"])
    assert [[*row.values()] for row in rows(table, write(tmp_path, "parks.geojson", GEOJSON))] == [
        [1, Decimal("52.190000"), '{"type": "Point", "at": [-2.10, 5]}', None],
        [2, None, None, 'a "b"\nc'],
    ]


def test_undeclared_fields_of_any_row_are_read_too(tmp_path: Path) -> None:
    path = write(
        tmp_path, "a.ndjson", '{"id": 1, "ward": null}\n\n{"id": 2, "ward": {"code": "E05"}, "tags": ["x", 1.0]}\n'
    )
    batches = list(read_file(declare({"id": {"data_type": "bigint"}}), path))
    assert [row for batch in batches for row in batch.to_pylist()] == [
        {"id": "1", "ward_code": None, "tags": None, "_source_file": "a.ndjson", "_source_row": 1},
        {"id": "2", "ward_code": "E05", "tags": '["x", 1.0]', "_source_file": "a.ndjson", "_source_row": 2},
    ]


def test_compressed_json_is_read(tmp_path: Path) -> None:
    table = declare({"id": {"data_type": "bigint"}}, member="*.json")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.json", '[{"id": 7}]')
    assert rows(table, tmp_path / "a.zip") == [{"id": 7}]
    assert rows(table, write(tmp_path, "a.jsonl.gz", gzip.compress(b'{"id": 8}'))) == [{"id": 8}]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"features": [{"id": 1, "id": 2}]}', "row 1, line 1: raw_tolls.crossings: a field comes twice in one object"),
        ('{"features": [{"id": 1},\n{"id": 2', "row 2, line 2: raw_tolls.crossings: not JSON"),
        ('{"features": [{"id": 1}]} {"more": 1}', "not JSON"),
        ('{"features": [{"id": 1}]', "not JSON"),
        ('{"items": [{"id": 1}]}', "no object with the field features, which `rows_at` names"),
        ('[{"id": 1}]', "no object with the field features, which `rows_at` names"),
        ('{"features": {"id": 1}}', "no list of rows here but an object; name the place of the list as `rows_at`"),
        ('{"features": [1948]}', "row 1, line 1: raw_tolls.crossings: not an object"),
        ('{"features": [{"a.b": 1, "a": {"b": 2}, "id": 1}]}', "two fields have one name"),
        ('{"features": [{"id": 1, "v": ' + "[" * 100_000, "not JSON"),
        ("", "not JSON"),
    ],
)  # fmt: skip
def test_json_of_another_shape_is_refused_with_its_row(tmp_path: Path, text: str, says: str) -> None:
    table = declare({"id": {"data_type": "bigint"}}, rows_at="features")
    assert says in refusal(table, write(tmp_path, "a.json", text))


def test_a_declared_field_that_no_row_has_is_refused(tmp_path: Path) -> None:
    table = declare({"id": {"data_type": "bigint"}, "ward": {"data_type": "text"}})
    with pytest.raises(DriftError, match="no column ward"):
        list(read_file(table, write(tmp_path, "a.json", '[{"id": 1, "Ward_name": "x"}]')))
    assert rows(table, write(tmp_path, "none.json", "[]")) == []


def test_a_value_longer_than_the_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_files, "LONGEST_VALUE", 1 << 18)
    table = declare({"id": {"data_type": "text"}})
    assert len(rows(table, write(tmp_path, "a.json", json.dumps([{"id": "x" * 1000}] * 1000)))) == 1000
    assert "longer than" in refusal(table, write(tmp_path, "a.json", json.dumps([{"id": "x" * (1 << 20)}])))


TEXT = 'ab"\\/{[:,\n\t\0\x7f£\u2028漢😀'  # hypothesis takes seconds to prepare the whole of Unicode
SCALARS = st.none() | st.booleans() | st.integers() | st.text(TEXT, max_size=8)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3), max_leaves=6)
NAMES = st.text('abé"\\ ', min_size=1, max_size=3).filter(str.strip)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(st.dictionaries(NAMES, VALUES, max_size=4), max_size=5), st.integers(1, 9), st.sampled_from([None, 1]))
def test_values_are_those_of_python_wherever_a_block_ends(
    objects: list[dict[str, Any]], chunk: int, indent: int | None
) -> None:
    document = {"x": [1, {"y": 2}], "n": 12.50, "result": {"records": objects}, "z": "\u00a3"}
    table = declare({"id": {"data_type": "text", "optional": True}}, rows_at="result.records")
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_files, "CHUNK", chunk)
        path = write(Path(folder), "a.json", json.dumps(document, indent=indent, ensure_ascii=False))
        found = list(json_files._rows(table, path))
    assert [{name: json.loads(json.dumps(value)) for name, value in row.items()} for row in found] == [
        {name: _with_texts(value) for name, value in row.items()} for row in objects
    ]


def _with_texts(value: Any) -> Any:
    """The value, with each number as the text that keeps its digits."""
    if isinstance(value, list):
        return [*map(_with_texts, value)]
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value
