"""The documents name only links, commands, variables, files and tables that exist."""

import importlib.util
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import yaml

from tests.support import ROOT, text_of, tracked

LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")
COMMAND = re.compile(r"(?:^|\$\(|&& )(?:[A-Z_]+=\S* )*(?:\.venv/bin/)?(warehouse|make|python -m)(?:\s+(.*))?$")
VARIABLE = re.compile(r"(?<![\w>{/.-])[A-Z][A-Z0-9]*_[A-Z0-9_]+")
FILE = re.compile(r"(?:\.?[\w-]+/)*[\w.-]+")


@cache
def code() -> str:
    """Return all text that can define or read a variable, except the documents."""
    suffixes = (".py", ".sql", ".yml", ".yaml", ".toml", ".csv", ".example", "Makefile")
    return "\n".join(text_of(name) for name in tracked() if name.endswith(suffixes))


DOCUMENTS = [name for name in tracked() if name.endswith(".md") and not name.startswith("benchmarks/results/")]


def snippets(name: str) -> Iterator[str]:
    """Return each line of code in a document: lines of code blocks, with continued lines joined, and code spans."""
    prose = []
    for number, part in enumerate(re.split(r"^```.*$", text_of(name), flags=re.M)):
        if number % 2:
            yield from re.sub(r"\\\n\s*", "", part).splitlines()
        else:
            prose.append(part)
    yield from (" ".join(span.split()) for span in re.findall(r"`([^`]+)`", "\n".join(prose)))


def anchors(name: str) -> set[str]:
    """Return the anchors that GitHub makes for the headings of a document."""
    headings = re.findall(r"^#+ +(.+?)\s*$", text_of(name), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@cache
def main() -> click.Command:
    """Return the command `warehouse` as pyproject.toml declares it."""
    module, name = tomllib.loads(text_of("pyproject.toml"))["project"]["scripts"]["warehouse"].split(":")
    return getattr(importlib.import_module(module), name)


def commands(group: click.Group) -> dict[str, click.Command]:
    context = click.Context(group)
    return {name: found for name in group.list_commands(context) if (found := group.get_command(context, name))}


def command_error(words: list[str]) -> str | None:
    """Return the error in the words after `warehouse`, or None if the command and its options exist."""
    command = main()
    rest = list(words)
    while isinstance(command, click.Group) and rest:
        name = rest.pop(0)
        if name not in commands(command):
            return None if name.startswith(("<", "…")) else f"no command {name}"
        command = commands(command)[name]
    if command.context_settings.get("ignore_unknown_options"):
        return None
    known = {"--help", *(option for item in command.params for option in (*item.opts, *item.secondary_opts))}
    return next((f"no option {word}" for word in rest if word.startswith("--") and word not in known), None)


def make_error(words: list[str]) -> str | None:
    makefile = text_of("Makefile")
    for word in words:
        name, is_variable, _ = word.partition("=")
        uses = rf"\$\({name}\)|^export .*\b{name}\b" if is_variable else rf"^{name}:"
        if not re.search(uses, makefile, re.M):
            return f"no target or variable {name}"
    return None


def module_error(words: list[str]) -> str | None:
    return None if words and importlib.util.find_spec(words[0]) else "no such module"


def test_links_resolve() -> None:
    broken = []
    for name in DOCUMENTS:
        for target in LINK.findall(text_of(name)):
            path, _, anchor = target.partition("#")
            file = ((ROOT / name).parent / path).resolve() if path else ROOT / name
            external = re.match(r"[a-z]+:|#!/", target)  # #!/ is a page of the documentation site
            if not external and not (file.exists() and (not anchor or anchor in anchors(str(file.relative_to(ROOT))))):
                broken.append(f"{name}: {target}")
    assert broken == []


def test_commands_exist() -> None:
    checks = {"warehouse": command_error, "make": make_error, "python -m": module_error}
    wrong = []
    for name in DOCUMENTS:
        for line in snippets(name):
            found = COMMAND.search(re.sub(r"\s+#.*", "", line))
            if found and (error := checks[found[1]]((found[2] or "").split())):
                wrong.append(f"{name}: {line}: {error}")
    assert wrong == []


def test_every_command_is_documented() -> None:
    def paths(command: click.Command, path: str) -> Iterator[str]:
        if isinstance(command, click.Group):
            for name, inner in commands(command).items():
                yield from paths(inner, f"{path} {name}")
        else:
            yield path

    page = text_of("docs/reference/commands.md")
    targets = [f"make {name}" for name in re.findall(r"^([a-z-]+):.*## ", text_of("Makefile"), re.M) if name != "help"]
    assert [path for path in (*paths(main(), "warehouse"), *targets) if not re.search(rf"`{path}[` ]", page)] == []


def test_variables_exist() -> None:
    named = {(name, variable) for name in DOCUMENTS for line in snippets(name) for variable in VARIABLE.findall(line)}
    assert {f"{name}: {variable}" for name, variable in named if variable not in code()} == set()


def test_files_exist() -> None:
    folders = {path.split("/")[0] for path in tracked() if "/" in path}
    words = {(name, word) for name in DOCUMENTS for line in snippets(name) for word in line.split() if "/" in word}
    assert {
        f"{name}: {word}"
        for name, word in words
        if FILE.fullmatch(word) and word.split("/")[0] in folders and not (ROOT / word).exists()
    } == set()


def test_every_page_is_in_the_index() -> None:
    pages = {name for name in tracked() if name.startswith("docs/") and name.endswith(".md")}
    decisions = {name for name in pages if name.startswith("docs/decisions/") and not name.endswith("README.md")}
    linked = {f"docs/{target}" for target in LINK.findall(text_of("docs/README.md"))}
    assert pages - decisions - {"docs/README.md"} - linked == set()
    recorded = {f"docs/decisions/{target}" for target in LINK.findall(text_of("docs/decisions/README.md"))}
    assert decisions == recorded


def test_the_readme_has_at_most_120_lines() -> None:
    assert len(text_of("README.md").splitlines()) <= 120


def test_decision_records_have_every_section() -> None:
    form = r"# \d+\. .+\n\nStatus: .+\n\n## Context\n\n.+\n\n## Decision\n\n.+\n\n## Consequences\n\n.+\n"
    records = [name for name in tracked() if re.match(r"docs/decisions/\d", name)]
    assert [name for name in records if not re.fullmatch(form, text_of(name), re.S)] == []
    numbers = [Path(name).name[:4] for name in records]
    assert len(numbers) == len(set(numbers)), "two records have one number"


def test_tables_of_the_glossary_are_published() -> None:
    models = {Path(name).stem for name in tracked() if "/marts/" in name and name.endswith(".sql")}
    sets = {model.split("__")[0] for model in models}
    named = re.findall(rf"`({'|'.join(sorted(sets))})\.(\w+)`", text_of("docs/glossary.md"))
    assert [f"{publish_set}.{table}" for publish_set, table in named if f"{publish_set}__{table}" not in models] == []
    assert {publish_set for publish_set, _ in named} == sets


def columns() -> Iterator[tuple[str, dict]]:
    """Yield (file: table.column, properties) of each column of the dbt project's models and sources."""
    for name in tracked():
        if name.startswith("dbt_project/models/") and name.endswith(".yml"):
            parsed = yaml.load(text_of(name), yaml.CSafeLoader) or {}
            tables = [table for source in parsed.get("sources", []) for table in source["tables"]]
            for table in tables + parsed.get("models", []):
                yield from (
                    (f"{name}: {table['name']}.{column['name']}", column) for column in table.get("columns", [])
                )


def test_no_column_description_is_written_twice_or_cut_at_a_comma() -> None:
    places: dict[str, list[str]] = {}
    for place, column in columns():
        assert all(re.fullmatch(r"\w+", key) for key in column), f"{place}: put the description between quotes"
        places.setdefault(column.get("description", ""), []).append(place)
    copies = {text: found for text, found in places.items() if len(found) > 1 and "{{ doc(" not in text}
    copies.pop("", None)  # dbt-bouncer requires descriptions where readers see the column
    assert copies == {}, "put the text into dbt_project/docs/columns.md, and refer to it with doc()"


def test_the_workflow_runs_the_commands_of_ci() -> None:
    steps = yaml.safe_load(text_of(".github/workflows/ci.yml"))["jobs"]["test"]["steps"]
    commands = [step["run"] for step in steps if step.get("run", "").startswith("make ")]
    assert commands == re.findall(r"^(?:[A-Z_]+=\S+ )?(make .+)$", text_of(".ci/run"), re.M)
    (options,) = re.findall(r"^PYTEST_ADDOPTS=(\S+)", text_of(".ci/run"), re.M)
    assert {"PYTEST_ADDOPTS": options} in [step.get("env") for step in steps]
