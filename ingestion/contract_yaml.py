"""Read YAML, and name the place of an invalid part of it by file, line and names."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from ingestion import ROOT

YamlPath = tuple[int | str, ...]  # keys and positions on the way to a node of a YAML file


class ContractError(Exception):
    """An invalid source contract; the message names file, line and what to change."""


def read_yaml(path: Path) -> tuple[Path, yaml.Node | None, Any]:
    """The file's name for messages, its nodes (for `describe_errors`) and its content; raises ContractError."""
    return parse(path, path.read_text(encoding="utf-8"))


@lru_cache(maxsize=64)  # a process reads access.yml and the contracts many times; a changed text is another key
def parse(path: Path, text: str) -> tuple[Path, yaml.Node | None, Any]:
    """The same, of a text that was read before; do not change the content."""
    shown = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
    try:
        return shown, yaml.compose(text, yaml.CSafeLoader), yaml.load(text, yaml.CSafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ContractError(f"{shown}:{line}: not YAML: {error.problem}") from None


def describe_errors(refusal: ValidationError, root: yaml.Node | None, start: YamlPath, shown: Path) -> str:
    """The validation errors of the node at `start` of a YAML file: one line each, with file, line and names."""
    problems = []
    for error in refusal.errors(include_url=False, include_input=False):
        line, words = _locate(root, (*start, *error["loc"]))
        problems.append(f"{shown}:{line}: {words}: {error['msg'].removeprefix('Value error, ')}")
    return "\n".join(problems)


def _locate(node: yaml.Node | None, location: YamlPath) -> tuple[int, str]:
    """The line (from 1) of the deepest node of `location` that the file has, and the names on the way to it."""
    line, words = 1, []
    for step in location:
        if isinstance(step, int):
            if not isinstance(node, yaml.SequenceNode):
                break
            node = node.value[step]
            line = node.start_mark.line + 1
            words += [value.value for name, (_, value) in _entries(node).items() if name == "name"]
        else:
            entries = _entries(node)
            words += [step] if step not in ("sources", "tables", "columns") else []
            if step not in entries:
                break
            key, node = entries[step]
            line = key.start_mark.line + 1
    return line, ".".join(words)


def _entries(node: yaml.Node | None) -> dict[str, tuple[yaml.Node, yaml.Node]]:
    """A mapping's keys and values, including those under config and config.meta."""
    if not isinstance(node, yaml.MappingNode):
        return {}
    entries = {key.value: (key, value) for key, value in node.value}
    return entries | {
        k: v for name in ("config", "meta") if name in entries for k, v in _entries(entries[name][1]).items()
    }
