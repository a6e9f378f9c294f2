"""Break each rule of broken_rules.yml in a copy of the code, and report the test that fails.

Run `python -m tests.broken_rules [NUMBER …]`. The results are in README.md in this folder.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import click
import yaml

ROOT = Path(__file__).resolve().parents[1]
RULES = Path(__file__).with_suffix(".yml")
PAGE = Path(__file__).with_name("README.md")
PYTEST = ("-m", "pytest", "-o", "addopts=", "-p", "no:randomly", "-x", "-q", "-rf")
FAILED = re.compile(r"^FAILED (\S+::\w+)(?!.* - (?:Import|ModuleNotFound|Name|Syntax)Error).*", re.M)
ROW = re.compile(r"^\| (\d+) \|.*\n", re.M)
HEAD = "| | Rule | Broken in | Test that fails |\n|---|---|---|---|\n"


class Rule(NamedTuple):
    """A rule, the edit that breaks it (`old` becomes `new` in `file`), and pytest ids: at least one test must fail."""

    rule: str
    file: str
    old: str
    new: str
    tests: list[str]


def read_rules() -> dict[int, Rule]:
    """The rules by number, from 1."""
    return dict(enumerate((Rule(**entry) for entry in yaml.safe_load(RULES.read_text(encoding="utf-8"))), 1))


def failing_test(rule: Rule) -> str | None:
    """Return the test that fails when the rule is broken, or None. A test that cannot run does not count as failed."""
    with tempfile.TemporaryDirectory(prefix="broken-rule-", ignore_cleanup_errors=True) as folder:
        copy = Path(folder)
        files = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(files, cwd=ROOT, capture_output=True, text=True, check=True)
        for name in listed.stdout.split("\0"):
            if (ROOT / name).is_file():
                (copy / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, copy / name)
        text = (copy / rule.file).read_text(encoding="utf-8")
        if (times := text.count(rule.old)) != 1:
            raise click.ClickException(f"{rule.file} has {times} times, and not once: {rule.old}")
        (copy / rule.file).write_text(text.replace(rule.old, rule.new), encoding="utf-8")
        environment = os.environ | {"PYTHONPATH": folder, "COLUMNS": "300"}
        command = [sys.executable, *PYTEST, *rule.tests]
        done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)
    found = FAILED.search(done.stdout)
    click.echo(found[0] if found else f"{done.stdout[-3000:]}{done.stderr[-1000:]}", err=True)  # prints the reason
    return found and found[1]


def table_row(number: int, rule: Rule, test: str | None) -> str:
    """The rule's row of the table in README.md."""
    shown = test.replace("tests/", "").replace("::", "` `") if test else "NOT CAUGHT"
    return f"| {number} | {rule.rule} | `{rule.file}` | `{shown}` |\n"


def write(rows: dict[int, str]) -> None:
    """Update these rows of the table in README.md; other rows stay."""
    page = PAGE.read_text(encoding="utf-8")
    kept = {int(row[1]): row[0] for row in ROW.finditer(page) if int(row[1]) in read_rules()}
    before, after = ROW.sub("", page).split(HEAD)
    PAGE.write_text(before + HEAD + "".join(row for _, row in sorted((kept | rows).items())) + after, encoding="utf-8")


@click.command()
@click.argument("numbers", nargs=-1, type=int)
@click.option("--write", "renew", is_flag=True, help="Renew the table in tests/README.md.")
def main(numbers: tuple[int, ...], renew: bool) -> None:
    """Break the rules with these NUMBERS, or every rule. The exit status is 1 if no test fails for a rule."""
    rules = read_rules()
    found = {}
    click.echo(HEAD, nl=False)
    for number in numbers or rules:
        found[number] = failing_test(rules[number])
        click.echo(table_row(number, rules[number], found[number]), nl=False)
    if renew:
        write({number: table_row(number, rules[number], test) for number, test in found.items()})
    missed = [number for number, test in found.items() if test is None]
    click.echo(f"{len(found) - len(missed)} of {len(found)} broken rules were caught")
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
