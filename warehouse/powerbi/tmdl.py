"""Writes objects in TMDL, the text format of Power BI's semantic models: a tab per level, descriptions after `///`."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def name(text: str) -> str:
    """A name, in single quotation marks where TMDL needs them."""
    return text if PLAIN_NAME.fullmatch(text) else "'" + text.replace("'", "''") + "'"


@dataclass
class Object:
    """An object: `kind` and name, an expression after `=`, properties (True is a flag without a value), and children.

    A property is an expression if its value has several lines.
    """

    header: str
    description: str = ""
    expression: str = ""
    properties: dict[str, str | bool] = field(default_factory=dict)
    children: Sequence["Object"] = ()

    def __str__(self) -> str:
        return "\n".join(self.lines()) + "\n"

    def lines(self, depth: int = 0) -> Iterator[str]:
        indent = "\t" * depth
        yield from (f"{indent}/// {line}".rstrip() for line in self.description.splitlines())
        yield from _assigned(self.header, " =", self.expression, depth)
        for key, value in self.properties.items():
            if value is True:
                yield f"{indent}\t{key}"
            elif isinstance(value, str) and "\n" in value:
                yield from _assigned(key, " =", value, depth + 1)
            elif value:
                yield f"{indent}\t{key}: {value}"
        for child in self.children:
            yield ""
            yield from child.lines(depth + 1)


def _assigned(subject: str, sign: str, expression: str, depth: int) -> Iterator[str]:
    """`subject = expression`; an expression of several lines is indented by two levels more than its subject."""
    indent = "\t" * depth
    if "\n" not in expression:
        yield f"{indent}{subject}{sign} {expression}" if expression else f"{indent}{subject}"
        return
    yield f"{indent}{subject}{sign}"
    yield from (f"{indent}\t\t{line}" if line else "" for line in expression.splitlines())
