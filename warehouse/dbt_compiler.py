"""Compiles one model of the working tree with dbt in this process, by dbt's documented programmatic interface.

dbt needs about two seconds to read the project again, so the parsed project (the manifest) is kept. While only the SQL
of the model has changed since, dbt compiles the new text with the kept manifest (`dbt compile --inline`, 0.3 s).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from dbt.cli.main import dbtRunner
from dbt.contracts.graph.manifest import Manifest
from dbt.contracts.graph.nodes import GenericTestNode, ModelNode

from ingestion.contracts import ROOT
from warehouse.environment import WarehouseError, home

INLINE = "inline_query"  # dbt's name for a text that is compiled without a file
ABOUT_ITSELF = re.compile(r"\{[{%][^}]*\b(this|model|is_incremental)\b")  # an inline text has no model of its own
OF_INLINE = re.compile(r"(in )?\bsql_operation\b.*?\(from remote system\.sql\)\s*", re.IGNORECASE)


@dataclass
class Compiled:
    """A model's SQL for Postgres, and the unique ids of what it reads."""

    sql: str
    upstream: list[str]


class Compiler:
    """The parsed project in `root`, with marts in the schemas that readers know (`published: true`)."""

    def __init__(self, root: Path = ROOT) -> None:
        self.root, self.manifest = root, Manifest()
        folder = home() / "preview"  # a target folder of its own: other variables would make builds parse again
        paths = {"project-dir": root, "profiles-dir": root, "target-path": folder, "log-path": folder}
        self.options = [word for name, path in paths.items() for word in (f"--{name}", str(path))]
        self.options += ["--log-level", "none", "--log-level-file", "none", "--no-write-json"]
        self.options += ["--vars", "published: true"]

    def parse(self) -> None:
        """Reads what has changed in the project since it was last read; raises WarehouseError with dbt's message."""
        self.manifest = self._dbt(dbtRunner(), ["parse"])

    def model(self, name: str) -> ModelNode:
        """The model of that name; raises WarehouseError, which suggests names."""
        models = {node.name: node for node in self.manifest.nodes.values() if isinstance(node, ModelNode)}
        if name in models:
            return models[name]
        close = get_close_matches(name, models, n=3) or sorted(known for known in models if name in known)[:3]
        raise WarehouseError(f"no model {name}" + (f"; did you mean {' or '.join(close)}?" if close else ""))

    def compile(self, model: ModelNode) -> Compiled:
        """The model's SQL as its file has it now; raises WarehouseError with dbt's message."""
        file = Path(model.original_file_path)
        try:
            text = (self.root / file).read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            raise WarehouseError(f"{file} was removed") from None
        if not text:
            raise WarehouseError(f"{file} is empty")
        if text != model.raw_code and ABOUT_ITSELF.search(text):
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
                message = OF_INLINE.sub("", "\n".join(messages) or str(error)).removeprefix("Runtime Error").strip()
                raise WarehouseError(f"{file}: {message}") from None
            finally:
                for unique_id in [name for name in self.manifest.nodes if name.endswith(f".{INLINE}")]:
                    del self.manifest.nodes[unique_id]  # dbt leaves it there when the text does not compile
        node: Any = result.results[0].node
        if model.unique_id in node.depends_on.nodes:
            raise WarehouseError(f"{file} refers to itself")
        return Compiled(node.compiled_code, node.depends_on.nodes)

    def _dbt(self, runner: dbtRunner, command: list[str], **values: str) -> Any:
        result: Any = runner.invoke([*command, *self.options], **values)
        if isinstance(result.exception, KeyboardInterrupt):
            raise result.exception
        if result.exception:
            raise WarehouseError(_without_values(str(result.exception)))
        if not result.success:
            raise WarehouseError(_without_values("\n".join(str(done.message) for done in result.result.results)))
        return result.result


def unique_keys(manifest: Manifest, model: ModelNode) -> list[list[str]]:
    """The model's keys: its primary key by constraint, then the columns that its tests hold to be unique."""
    found = [list(constraint.columns) for constraint in model.constraints if constraint.type == "primary_key"]
    columns = [column.name for column in model.columns.values()]
    found += [[c.name] for c in model.columns.values() if any(rule.type == "primary_key" for rule in c.constraints)]
    single, combined = [], []
    for test in manifest.nodes.values():
        if not isinstance(test, GenericTestNode) or test.attached_node != model.unique_id or test.config.where:
            continue
        metadata = test.test_metadata
        if metadata.name == "unique" and test.column_name:
            single.append(_plain(test.column_name))
        elif metadata.name == "unique_combination_of_columns":
            combined += [[_plain(c) for c in value] for value in metadata.kwargs.values() if isinstance(value, list)]
    return [*found, *([name] for name in columns if name in single), *sorted(combined)]


def _without_values(message: str) -> str:
    """A message of dbt without the lines in which Postgres quotes a row."""
    lines = [line for line in message.strip().splitlines() if not line.strip().startswith(("DETAIL:", "CONTEXT:"))]
    return "\n".join(lines)


def _plain(name: str) -> str:
    return name.strip('"')


def _errors(messages: list[str]) -> Callable[[Any], None]:
    """A listener to dbt's events that keeps why a text does not compile."""

    def listen(event: Any) -> None:
        if event.info.name == "ParseInlineNodeError":
            messages.append(event.data.exc.strip())

    return listen
