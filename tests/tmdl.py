"""A strict reader of the part of TMDL that we write, independent of the writer: grammar, names, types, references."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

NAME = r"(?:[A-Za-z_][A-Za-z0-9_]*|'(?:[^']|'')+')"
UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
PROPERTIES = {  # {kind: {property: pattern of its value; None is a flag; "" is an expression}}
    "database": {"compatibilityLevel": r"1[5-7]\d\d"},
    "model": {
        "culture": "[a-z]{2}-[A-Z]{2}", "sourceQueryCulture": "[a-z]{2}-[A-Z]{2}", "discourageImplicitMeasures": None,
        "defaultPowerBIDataSourceVersion": "powerBI_V3",
    },
    "table": {"lineageTag": UUID, "dataCategory": "Time"},
    "column": {
        "dataType": "string|int64|decimal|double|dateTime|boolean", "isHidden": None, "isKey": None, "lineageTag": UUID,
        "formatString": r"\S.*", "summarizeBy": "none|sum", "sourceColumn": ".+", "sortByColumn": NAME,
    },
    "measure": {"formatString": r"\S.*", "displayFolder": ".+", "lineageTag": UUID},
    "partition": {"mode": "import|directQuery", "source": ""},
    "refreshPolicy": {
        "policyType": "basic", "rollingWindowGranularity": "year", "rollingWindowPeriods": r"\d+",
        "incrementalGranularity": "month", "incrementalPeriods": r"\d+", "pollingExpression": "",
        "sourceExpression": "",
    },
    "relationship": {"isActive": "false", "fromColumn": rf"{NAME}\.{NAME}", "toColumn": rf"{NAME}\.{NAME}"},
    "role": {"modelPermission": "read"},
    "tablePermission": {},
    "expression": {},
    "ref": {},
}  # fmt: skip
REQUIRED = {
    "database": {"compatibilityLevel"}, "column": {"dataType"}, "partition": {"mode", "source"},
    "relationship": {"fromColumn", "toColumn"}, "role": {"modelPermission"},
    "refreshPolicy": set(PROPERTIES["refreshPolicy"]),
}  # fmt: skip
INSIDE = {"table": {"measure", "column", "partition", "refreshPolicy"}, "role": {"tablePermission"}}
AT_TOP = {"database", "model", "table", "relationship", "role", "expression", "ref"}
WITH_EXPRESSION = {"measure", "partition", "tablePermission", "expression"}
HEADER = re.compile(rf"(\w+)(?: (table |role )?({NAME}|{UUID}))?(?: =(?: (.+))?)?")
REFERENCE = re.compile(r"'((?:[^']|'')+)'(?:\[((?:[^\]]|\]\])+)\])?|\[((?:[^\]]|\]\])+)\]|\"(?:[^\"]|\"\")*\"")


class TmdlError(ValueError):
    """A fault, with file and line."""


@dataclass
class Found:
    """An object that was read."""

    place: str
    kind: str
    name: str
    expression: str = ""
    properties: dict[str, str] = field(default_factory=dict)
    inside: list["Found"] = field(default_factory=list)

    def of(self, kind: str) -> dict[str, "Found"]:
        return {each.name: each for each in self.inside if each.kind == kind}


def bare(name: str) -> str:
    return name[1:-1].replace("''", "'") if name.startswith("'") else name


def read_file(file: Path) -> list[Found]:
    """The objects of a file. Raises TmdlError."""
    found, open_objects, described = [], [], ""
    lines = file.read_text(encoding="utf-8").split("\n")
    if lines[-1]:
        raise TmdlError(f"{file.name}:{len(lines)}: the last line has no end")
    at = 0
    while at < len(lines):
        line, at = lines[at], at + 1
        place, depth = f"{file.name}:{at}", len(line) - len(line.lstrip("\t"))
        text = line[depth:]
        if not text:
            if described:
                raise TmdlError(f"{place}: a description without an object")
            continue
        if text != text.strip():
            raise TmdlError(f"{place}: spaces at the beginning or end of a line")
        if text.startswith("///"):
            described = place
            continue
        del open_objects[depth:]
        if depth > len(open_objects):
            raise TmdlError(f"{place}: indented by {depth} instead of at most {len(open_objects)}")
        owner = open_objects[-1] if open_objects else None
        key = re.fullmatch(r"(\w+)(?:(:) (.+)|( =))?", text)
        if owner and key and key[1] in PROPERTIES[owner.kind]:
            expression = []
            while key[4] and at < len(lines) and lines[at].startswith("\t" * (depth + 2)):
                expression.append(lines[at].strip())
                at += 1
            _add_property(owner, place, key[1], "\n".join(expression) if key[4] else key[3])
            continue
        header = HEADER.fullmatch(text)
        kinds = INSIDE.get(owner.kind, set()) if owner else AT_TOP
        if not header or header[1] not in kinds:
            raise TmdlError(f"{place}: neither a property of {owner.kind if owner else 'a file'} nor an object: {text}")
        this = Found(place, header[1], f"{header[2] or ''}{bare(header[3] or '')}", header[4] or "")
        if text.endswith(" ="):
            while at < len(lines) and lines[at].startswith("\t" * (depth + 2)):
                this.expression += lines[at].strip() + "\n"
                at += 1
        if (this.kind in WITH_EXPRESSION) != bool(this.expression) and this.kind != "column":
            raise TmdlError(
                f"{place}: {this.kind} {'without' if this.kind in WITH_EXPRESSION else 'with'} an expression"
            )
        described = ""
        (owner.inside if owner else found).append(this)
        open_objects.append(this)
    return found


def _add_property(owner: Found, place: str, key: str, value: str | None) -> None:
    pattern = PROPERTIES[owner.kind][key]
    if key in owner.properties:
        raise TmdlError(f"{place}: {key} twice")
    if (pattern is None) != (value is None) or (pattern and not re.fullmatch(pattern, value or "")) or value == "":
        raise TmdlError(f"{place}: {key} cannot be {value}")
    owner.properties[key] = value or "true"


def read_model(folder: Path) -> dict[str, list[Found]]:
    """The objects of a semantic model by kind. Raises TmdlError for the first fault of grammar, name or reference."""
    everything: dict[str, list[Found]] = {kind: [] for kind in AT_TOP}
    for file in sorted(folder.rglob("*.tmdl")):
        for found in read_file(file):
            everything[found.kind].append(found)
    for found in (each for group in everything.values() for top in group for each in (top, *top.inside)):
        if missing := REQUIRED.get(found.kind, set()) - found.properties.keys():
            raise TmdlError(f"{found.place}: {', '.join(sorted(missing))} is missing")
    _check_names(everything)
    tables = {table.name: table for table in everything["table"]}
    for fault in (*_references(everything, tables), *_paths(everything)):
        raise TmdlError(fault)
    return everything


def _check_names(everything: dict[str, list[Found]]) -> None:
    groups = [*everything.values()]
    for table in everything["table"]:
        groups += [[each for each in table.inside if each.kind != "partition"], [*table.of("partition").values()]]
    groups.append([measure for table in everything["table"] for measure in table.of("measure").values()])
    for group in groups:
        seen: dict[str, Found] = {}
        for found in group:
            if found.name.lower() in seen:
                raise TmdlError(
                    f"{found.place}: {found.name} is declared twice, also in {seen[found.name.lower()].place}"
                )
            seen[found.name.lower()] = found


def _references(everything: dict[str, list[Found]], tables: dict[str, Found]) -> Iterator[str]:
    columns = {(name, column) for name, table in tables.items() for column in table.of("column")}
    measures = {measure for table in tables.values() for measure in table.of("measure")}
    named = {each.name for each in everything["ref"]}
    for kind in ("table", "role"):
        for found in everything[kind]:
            if f"{kind} {found.name}" not in named:
                yield f"{found.place}: the model does not refer to {kind} {found.name}"
    for found in everything["ref"]:
        if found.name not in {f"{kind} {each.name}" for kind in ("table", "role") for each in everything[kind]}:
            yield f"{found.place}: there is no {found.name}"
    for found in everything["relationship"]:
        for end in ("fromColumn", "toColumn"):
            table, column = (
                bare(part) for part in re.fullmatch(rf"({NAME})\.({NAME})", found.properties[end]).groups()
            )
            if (table, column) not in columns:
                yield f"{found.place}: {end} {table}.{column} does not exist"
    for role in everything["role"]:
        for found in role.of("tablePermission").values():
            if found.name not in tables:
                yield f"{found.place}: there is no table {found.name}"
            yield from _dax(found, tables, columns, measures)
    for table in tables.values():
        if not table.of("partition"):
            yield f"{table.place}: no partition"
        for found in (*table.of("partition").values(), *table.of("refreshPolicy").values()):
            yield from _queries(found, tables, {each.name for each in everything["expression"]})
        for column in table.of("column").values():
            sorted_by = column.properties.get("sortByColumn")
            if sorted_by and (table.name, bare(sorted_by)) not in columns:
                yield f"{column.place}: sortByColumn {sorted_by} does not exist"
            if bool(column.expression) == ("sourceColumn" in column.properties):
                yield f"{column.place}: either an expression or a sourceColumn"
        for found in (*table.of("measure").values(), *table.of("column").values()):
            yield from _dax(found, tables, columns, measures)


def _queries(found: Found, tables: dict[str, Found], parameters: set[str]) -> Iterator[str]:
    """Faults of the names in the queries in M of a table."""
    for query in (found.properties.get(key, "") for key in ("source", "pollingExpression", "sourceExpression")):
        for item in re.findall(r'Item = "(\w+)"', query):
            if item not in tables:
                yield f"{found.place}: there is no table {item}"
        for parameter in {"Server", "Database", "Schema", "RangeStart", "RangeEnd"} - parameters:
            if re.search(rf"\b{parameter}\b(?! =)", query):
                yield f"{found.place}: there is no parameter {parameter}"


def _dax(found: Found, tables: dict[str, Found], columns: set, measures: set[str]) -> Iterator[str]:
    """Faults of the names and brackets in a DAX expression."""
    for table, column, measure in REFERENCE.findall(found.expression):
        table = table.replace("''", "'")
        if table and table not in tables:
            yield f"{found.place}: there is no table {table}"
        elif column and (table, column.replace("]]", "]")) not in columns:
            yield f"{found.place}: there is no column {table}[{column}]"
        elif measure and measure.replace("]]", "]") not in measures:
            yield f"{found.place}: there is no measure [{measure}]"
    brackets = re.sub(r"[^(){}]", "", REFERENCE.sub("", found.expression))
    while brackets != (brackets := re.sub(r"\(\)|\{\}", "", brackets)):
        pass
    if brackets:
        yield f"{found.place}: brackets do not match"


def _paths(everything: dict[str, list[Found]]) -> Iterator[str]:
    """A fault for each pair of tables with two active paths along which filters go."""
    edges = []
    for found in everything["relationship"]:
        if found.properties.get("isActive") != "false":
            many, one = (bare(re.match(NAME, found.properties[end])[0]) for end in ("fromColumn", "toColumn"))
            edges.append((one, many, found))

    def paths(start: str, end: str) -> int:
        return sum(many == end or paths(many, end) for one, many, _ in edges if one == start)

    for one, many, found in edges:
        if paths(one, many) > 1:
            yield f"{found.place}: two active paths from {one} to {many}"
