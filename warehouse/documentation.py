"""Builds the documentation site: dbt's own web page, with data for readers of published tables.

dbt's manifest and catalogue are changed before the page shows them. Published tables have the names that readers know,
owner and readers from access.yml, a privacy class from the column lineage, and the glossary's business words, which the
page searches. The first page lists the publish sets and the business words.
"""

import json
import re
from pathlib import Path
from typing import Any

from ingestion import ROOT
from warehouse.access import Access, read_access
from warehouse.lineage import CLASSES, Column, reached

GLOSSARY = ROOT / "docs/glossary.md"
OVERVIEW = "doc.worcestershire.__overview__"
UNSORTED = r" | orderBy:\'overallWeight\':true"  # dbt 1.11 computes no weight, so that this reverses search results
TABLE_NAME = re.compile(r"`([a-z_]+\.[a-z0-9_]+)`")
PERSONAL_DATA = {
    "none": "No (class none)",
    "personal": "Yes, contains or summarises personal data (class personal)",
    "special_category": "Yes, contains or summarises special category data (class special_category)",
}

Node = dict[str, Any]


def write_site(target: Path, site: Path, every_node: bool = False) -> None:
    """Writes the site's files into `site`, from those of `dbt docs generate` in `target`.

    Without `every_node`, the tree and the search have published tables and reports only.
    """
    files = (target / "manifest.json", target / "catalog.json")
    manifest, catalogue = (json.loads(file.read_text(encoding="utf-8")) for file in files)
    tables = {node["unique_id"]: node for node in manifest["nodes"].values() if _is_published(node)}
    access = read_access(sorted({node["schema"] for node in tables.values()}))
    _describe(manifest, tables, access)
    owners = {key: access[node["schema"]].owner for key, node in tables.items()}
    owners |= {key: source["meta"].get("data_owner", "") for key, source in manifest["sources"].items()}
    for key, relation in (catalogue["nodes"] | catalogue["sources"]).items():
        if key in owners:
            relation["metadata"]["owner"] = owners[key]  # instead of the service's login
    for node in (*manifest["sources"].values(), *manifest["exposures"].values()):
        meta = node["meta"].pop("feed", {}) | node["meta"]
        facts = {name.replace("_", " ").capitalize(): _plain(value) for name, value in meta.items()}
        if owner := node.get("owner"):
            facts = {"Owner": f"{owner['name']}, {owner['email']}"} | facts
        _add_facts(node, facts)
    links = {node["name"]: f"[{node['name']}](#!/model/{key})" for key, node in tables.items()}
    header, rule, *words = _rows("Business words")
    absent = [row for row in words if row[2].startswith("not ")]  # the pages of tables name the others
    parts = ["", _contents(tables, access, links), "# Business words", _table([header, rule, *words], links)]
    manifest["docs"][OVERVIEW]["block_contents"] += "\n\n".join(parts)
    if not every_node:
        _hide_all_but(tables, manifest)
    not_held, terms = [header, rule, *absent], _rows("Terms of the warehouse")
    pages = [_page(name, _table(rows, links)) for name, rows in (("not held", not_held), ("terms", terms))]
    manifest["nodes"] |= {page["unique_id"]: page for page in pages}
    first = [pages[1], *sorted(tables.values(), key=_rank), pages[0]]
    known = catalogue["nodes"] | catalogue["sources"]  # the order of the catalogue is that of the search
    catalogue["nodes"] = {key: known.get(key, {}) for key in [*(n["unique_id"] for n in first), *manifest["nodes"]]}
    site.mkdir(parents=True, exist_ok=True)
    page = (target / "index.html").read_text(encoding="utf-8").replace(UNSORTED, "")
    (site / "index.html").write_text(page, encoding="utf-8")
    for name, content in (("manifest", manifest), ("catalog", catalogue)):
        (site / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")


def _is_published(node: Node) -> bool:
    return bool(node["resource_type"] == "model" and node["fqn"][1] == "marts")


def _describe(manifest: Node, tables: dict[str, Node], access: dict[str, Access]) -> None:
    """Gives each published table the name that readers know, and the facts at the top of its page."""
    privacy, words = _privacy_classes(manifest), _words()
    for key, node in tables.items():
        permission = access[node["schema"]]
        node["name"] = f"{node['schema']}.{node['alias']}"
        node["fqn"] = [node["package_name"], node["schema"], node["alias"]]  # by which the lineage graph finds the name
        del node["access"]  # dbt's word for models that other projects may use, not for readers
        classes = {name: privacy[key, name] for name in node["columns"]}
        node["words"] = len(words.get(node["name"], []))
        node["privacy"] = max(classes.values(), key=CLASSES.index)
        for name, column in node["columns"].items():
            column["meta"] |= {"privacy class": classes[name]}
        users = [
            f"[{report['label']}](#!/exposure/{report['unique_id']})"
            for report in manifest["exposures"].values()
            if key in report["depends_on"]["nodes"]
        ]
        facts = {
            "Business words": ", ".join(words.get(node["name"], ["none"])),
            "Owner": _contact(permission),
            "Personal data": PERSONAL_DATA[node["privacy"]],
            "Who may read it": "; ".join(_readers(permission, node)) or "nobody",
            "How to ask for access": f"Write to {permission.email}. The owner decides.",
            "Reports that use it": ", ".join(users) or "none",
        }
        if "disclosure" in node["meta"]:
            facts["Disclosure control"] = _disclosure(node["meta"]["disclosure"])
        _add_facts(node, facts)


def _disclosure(rules: Node) -> str:
    """The rules of a report's disclosure control in words."""
    if "not_needed" in rules:
        return f"None. {rules['not_needed']}."
    known = [f"{figure} by {', '.join(columns)}" for figure, columns in rules.get("known_totals", {}).items()]
    return (
        f"Counts from 1 to {rules['threshold'] - 1} are suppressed, others are rounded to {rules['rounding_base']}. "
        f"Means and amounts need {rules['minimum_group']} people. "
        + (f"A further count is suppressed where a known total would reveal one: {'; '.join(known)}." if known else "")
    ).strip()


def _privacy_classes(manifest: Node) -> dict[Column, str]:
    """The privacy class of each column. What is computed from an identifier, such as a person's key, is personal."""
    for node in manifest["nodes"].values():
        for column in node["columns"].values():
            column["config"]["meta"].pop("declassified_by", None)  # names nobody, and is about a person nevertheless
    classes = {column: reach.privacy for column, reach in reached(manifest).items()}
    return {column: "personal" if name == "identifier" else name for column, name in classes.items()}


def _add_facts(node: Node, facts: dict[str, str]) -> None:
    """Moves facts about a node into its description. The page cuts off long tags and values of `meta`."""
    rows = "\n".join(f"| {name} | {value} |".replace("*", r"\*") for name, value in facts.items())
    node["summary"] = " ".join(node["description"].split())
    node["description"] += f"\n\n| | |\n|---|---|\n{rows}"
    node["meta"] = {}
    del node["tags"]


def _readers(permission: Access, node: Node) -> list[str]:
    """The logins that read a table, with the rows that they read."""
    readers = [f"{login}: every row" for login in permission.readers]
    for scope in permission.row_scopes:
        if node["alias"] in scope.whole_tables:
            readers += [f"{login}: every row, in schema {node['schema']}_{scope.name}" for login in scope.readers]
        elif scope.column in node["columns"]:
            rows = f"rows with {scope.column} {' or '.join(scope.values)}, in schema {node['schema']}_{scope.name}"
            readers += [f"{login}: {rows}" for login in scope.readers]
    return readers


def _hide_all_but(tables: dict[str, Node], manifest: Node) -> None:
    """Leaves published tables and reports in the tree and the search, and other nodes in the lineage graph only."""
    manifest["nodes"] |= manifest["sources"]  # the tree lists what is in `sources`, hidden or not
    manifest |= {"sources": {}, "macros": {}, "unit_tests": {}}
    for key, node in manifest["nodes"].items():
        if key in tables:
            node["original_file_path"] = f"{node['schema']}/{node['alias']}"  # place in the tree
        else:
            node["docs"] = {"show": False}
            node.pop("compiled_code", None)
        node["raw_code"] = ""  # SQL is searched too


def _rank(table: Node) -> tuple[int, int, str]:
    """Sorts facts before reports before dimensions, the most business words first, and calendars last."""
    kinds = ("fct", "rpt", "dim")
    kind = len(kinds) if table["alias"] == "dim_dates" else kinds.index(table["alias"][:3])
    return kind, -table["words"], table["name"]


def _page(name: str, text: str) -> Node:
    """A page of text, which is searched. dbt's web page has no other kind of node for text."""
    key = f"analysis.worcestershire.{name.replace(' ', '_')}"
    fqn = ["worcestershire", name]
    place = {"unique_id": key, "package_name": "worcestershire", "original_file_path": name, "fqn": fqn}
    empty: Node = {"columns": {}, "tags": [], "meta": {}, "depends_on": {"nodes": [], "macros": []}, "raw_code": ""}
    return empty | place | {"resource_type": "analysis", "name": name, "description": text}


def _contents(tables: dict[str, Node], access: dict[str, Access], links: dict[str, str]) -> str:
    """The publish sets with purpose, owner and tables, in Markdown."""
    lines = ["# Publish sets"]
    for name, permission in sorted(access.items()):
        lines += ["", f"## {name}", "", f"{permission.purpose}. Owner: {_contact(permission)}", ""]
        lines += ["| Table | Description | Privacy class |", "|---|---|---|"]
        for node in sorted((n for n in tables.values() if n["schema"] == name), key=lambda node: node["name"]):
            lines.append(f"| {links[node['name']]} | {node['summary']} | {node['privacy']} |")
    return "\n".join(lines)


def _rows(heading: str) -> list[list[str]]:
    """The rows of a table in the glossary, with its two header rows."""
    section = GLOSSARY.read_text(encoding="utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"]


def _table(rows: list[list[str]], links: dict[str, str]) -> str:
    """A table in Markdown, in which each name of a published table is a link to its page."""
    lines = "\n".join(f"| {' | '.join(cells)} |" for cells in rows)
    return TABLE_NAME.sub(lambda name: links.get(name[1], name[0]), lines)


def _words() -> dict[str, list[str]]:
    """{published table: the glossary's business words that lead to it}."""
    words: dict[str, list[str]] = {}
    for word, others, where in _rows("Business words")[2:]:
        for table in TABLE_NAME.findall(where):
            words[table] = [*words.get(table, []), word, *others.split(", ")]
    return {table: list(dict.fromkeys(found)) for table, found in words.items()}


def _contact(permission: Access) -> str:
    return f"{permission.owner}, {permission.email}"


def _plain(value: Any) -> str:
    """A value of `meta` as text; dbt's page shows a nested value as JSON."""
    if isinstance(value, dict):
        return "; ".join(f"{name}: {_plain(part)}" for name, part in value.items())
    return ", ".join(map(_plain, value)) if isinstance(value, list) else str(value)
