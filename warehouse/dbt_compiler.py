"""Compiles one model of the working tree by dbt's programmatic interface.

dbt takes about two seconds to parse the project, so the manifest is kept. While only the SQL of the model changes, dbt
compiles the new text with the kept manifest (`dbt compile --inline`, 0.3 s).
"""

import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from dbt.cli.main import dbtRunner
from dbt.contracts.graph.manifest import Manifest
from dbt.contracts.graph.nodes import GenericTestNode, ModelNode

from ingestion import ROOT
from warehouse.environment import home
from warehouse.errors import WarehouseError

BUILT = "__next"  # end of the name of the schema in which dbt builds a publish set
PARSED = "partial_parse.msgpack"
INLINE = "inline_query"  # dbt's name for an inline text
SELF_REFERENCE = re.compile(r"\{[{%][^}]*\b(this|model|is_incremental)\b")  # not available to an inline text
INLINE_PREFIX = re.compile(r"(in )?\bsql_operation\b.*?\(from remote system\.sql\)\s*", re.IGNORECASE)


@dataclass
class Compiled:
    """A model's SQL for Postgres, and the unique ids of the nodes that it reads."""

    sql: str
    upstream: list[str]


class Compiler:
    """The parsed project in `root`, with marts in the published schemas."""

    def __init__(self, root: Path = ROOT) -> None:
        self.root, self.manifest = root, Manifest()
        folder = home() / "preview"  # not the target folder of builds, which may run at the same time
        paths = {"project-dir": root, "profiles-dir": root, "target-path": folder, "log-path": folder}
        self.options = [word for name, path in paths.items() for word in (f"--{name}", str(path))]
        self.options += ["--log-level", "none", "--log-level-file", "none"]
        parsed = Path(os.environ["DBT_TARGET_PATH"], PARSED)
        if parsed.exists() and not (folder / PARSED).exists():
            folder.mkdir(exist_ok=True)
            shutil.copyfile(parsed, folder / PARSED)  # dbt parses only what has changed since the last build

    def parse(self) -> None:
        """Parses the project again where files have changed. Raises WarehouseError with dbt's message."""
        self.manifest = as_published(self._dbt(dbtRunner(), ["parse"]))

    def model(self, name: str) -> ModelNode:
        """The model of that name. Raises WarehouseError, which suggests names."""
        models = {node.name: node for node in self.manifest.nodes.values() if isinstance(node, ModelNode)}
        if name in models:
            return models[name]
        close = get_close_matches(name, models, n=3) or sorted(known for known in models if name in known)[:3]
        raise WarehouseError(f"There is no model {name}." + (f" Did you mean {' or '.join(close)}?" if close else ""))

    def compile(self, model: ModelNode) -> Compiled:
        """The SQL of the model's file. Raises WarehouseError with dbt's message."""
        file = Path(model.original_file_path)
        try:
            text = (self.root / file).read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            raise WarehouseError(f"{file} does not exist.") from None
        if not text:
            raise WarehouseError(f"{file} is empty.")
        if text != model.raw_code and SELF_REFERENCE.search(text):
            self.parse()
            model = self.model(model.name)
        messages: list[str] = []
        runner = dbtRunner(self.manifest, [_errors(messages)])
        command = ["compile", "--no-populate-cache"]
        if text == model.raw_code:
            result = self._dbt(runner, [*command, "--select", f"fqn:{model.name}", "--indirect-selection", "empty"])
        else:
            try:
                result = self._dbt(runner, command, inline=text)
            except WarehouseError as error:
                message = INLINE_PREFIX.sub("", "\n".join(messages) or str(error)).removeprefix("Runtime Error").strip()
                raise WarehouseError(f"{file}: {message}") from None
            finally:
                for unique_id in [name for name in self.manifest.nodes if name.endswith(f".{INLINE}")]:
                    del self.manifest.nodes[unique_id]  # dbt keeps it when the text does not compile
        node: Any = result.results[0].node
        if model.unique_id in node.depends_on.nodes:
            raise WarehouseError(f"{file} refers to itself.")
        return Compiled(node.compiled_code, node.depends_on.nodes)

    def generate_docs(self, folder: Path) -> None:
        """Writes dbt's manifest, catalogue and page into `folder`. Raises WarehouseError with dbt's message."""
        # without `write_json` dbt writes the manifest once, not twice
        no_tests = ["--exclude", "resource_type:test", "resource_type:unit_test"]  # half of the time to compile
        self._dbt(dbtRunner(self.manifest), ["docs", "generate", *no_tests], target_path=folder)

    def _dbt(self, runner: dbtRunner, command: list[str], **values: Any) -> Any:
        result: Any = runner.invoke([*command, *self.options], **({"write_json": False} | values))
        if isinstance(result.exception, KeyboardInterrupt):
            raise result.exception
        if result.exception:
            raise WarehouseError(_without_values(str(result.exception)))
        if not result.success:
            raise WarehouseError(_without_values("\n".join(str(done.message) for done in result.result.results)))
        return result.result


def as_published(manifest: Manifest) -> Manifest:
    """The same manifest with marts in the schemas in which readers find them, not in those of dbt's builds."""
    for node in manifest.nodes.values():
        if node.schema.endswith(BUILT):
            node.schema = node.schema.removesuffix(BUILT)
            if isinstance(node, ModelNode) and node.relation_name:
                node.relation_name = node.relation_name.replace(f'{BUILT}"', '"')
    for model in manifest.semantic_models.values():
        if place := model.node_relation:
            place.schema_name = place.schema_name.removesuffix(BUILT)
            place.relation_name = (place.relation_name or "").replace(f'{BUILT}"', '"')
    return manifest


def unique_keys(manifest: Manifest, model: ModelNode) -> list[list[str]]:
    """The model's keys: its constraints, the primary key first, then the columns of its uniqueness tests."""
    columns = [column.name for column in model.columns.values()]
    declared = [(rule.type, [_unquoted(name) for name in rule.columns]) for rule in model.constraints]
    declared += [(rule.type, [column.name]) for column in model.columns.values() for rule in column.constraints]
    found = [names for kind in ("primary_key", "unique") for rule, names in declared if rule == kind]
    single, combined = [], []
    for test in manifest.nodes.values():
        if not isinstance(test, GenericTestNode) or test.attached_node != model.unique_id or test.config.where:
            continue
        metadata = test.test_metadata
        if metadata.name == "unique" and test.column_name:
            single.append(_unquoted(test.column_name))
        elif metadata.name == "unique_combination_of_columns":
            combined += [[_unquoted(c) for c in value] for value in metadata.kwargs.values() if isinstance(value, list)]
    return [*found, *([name] for name in columns if name in single), *sorted(combined)]


def _without_values(message: str) -> str:
    """A message of dbt without the lines in which Postgres quotes values."""
    lines = [line for line in message.strip().splitlines() if not line.strip().startswith(("DETAIL:", "CONTEXT:"))]
    return "\n".join(lines)


def _unquoted(name: str) -> str:
    return name.strip('"')


def _errors(messages: list[str]) -> Callable[[Any], None]:
    """A listener to dbt's events that collects the errors of an inline text."""

    def listen(event: Any) -> None:
        if event.info.name == "ParseInlineNodeError":
            messages.append(event.data.exc.strip())

    return listen
