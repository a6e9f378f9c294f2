"""Print a preview, once or after each change of a file."""

import os
import sys
import time
from itertools import zip_longest
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ingestion import ROOT
from warehouse.dbt_compiler import Compiler
from warehouse.errors import WarehouseError
from warehouse.preview import Preview, preview

FILE_POLL, SAVE_TIME = 0.1, 0.02  # seconds between two checks of the project's files; until a save is complete
MAX_WIDTH = 32  # characters of a printed value


def show(found: Preview, console: Console) -> None:
    """Prints a preview in the width of the console."""
    published = "" if found.published is None else f", {found.rows - found.added + found.removed:,} {found.state}"
    console.print(f"{found.model}: {found.rows:,} rows{published}", markup=False, style="bold")
    _show_rows(found, console)
    for note in found.notes:
        console.print(note, markup=False, style="yellow")
    if found.published is None:
        console.print(f"{found.relation} is not {found.state} yet.", markup=False)
        return
    old = {column.name: column.kind for column in found.published}
    new = {column.name: column.kind for column in found.columns}
    columns = [f"column {name} ({kind}) is added" for name, kind in new.items() if name not in old]
    columns += [f"column {name} ({kind}) is dropped" for name, kind in old.items() if name not in new]
    columns += [f"column {n} is re-typed from {old[n]} to {k}" for n, k in new.items() if n in old and old[n] != k]
    counts = f"{found.added:,} rows added, {found.removed:,} removed" + (
        f", {found.changed:,} changed" if found.key else ""
    )
    compared = f"from {found.relation}, by {', '.join(found.key) or 'whole rows'}"
    if not columns and not found.added + found.removed + found.changed:
        console.print(f"No difference {compared}", markup=False)
        return
    console.print(f"Difference {compared}: {counts}", markup=False, style="bold")
    for line in columns:
        console.print(line, markup=False)
    if found.by_column:
        table = _table("column", "values changed", "example", "published", "preview")
        for name, change in found.by_column.items():
            table.add_row(name, f"{change.values:,}", *(_text(value) for value in change.example))
        console.print(table)


def _show_rows(found: Preview, console: Console) -> None:
    """Prints the first rows, in blocks of columns that fit the width."""
    cells = [[_text(value) for value in column] for column in zip_longest(*found.first)] or [[]] * len(found.columns)
    widths = [max(len(c.name), *map(len, values), 0) + 2 for c, values in zip(found.columns, cells, strict=True)]
    begin = 0
    while begin < len(widths):
        end, width = begin + 1, widths[begin]
        while end < len(widths) and width + widths[end] <= console.width:
            width, end = width + widths[end], end + 1
        table = _table(*(column.name for column in found.columns[begin:end]))
        for row in zip(*cells[begin:end], strict=True):
            table.add_row(*row)
        console.print(table)
        console.print()
        begin = end


def _table(*headings: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 2, 0, 0), show_edge=False)
    for heading in headings:
        table.add_column(Text(heading), no_wrap=True, overflow="ellipsis")
    return table


def _text(value: Any) -> Text:
    """A value in one line, truncated; NULL in italics, to differ from the text NULL."""
    if value is None:
        return Text("NULL", style="dim italic")
    plain = (str(value).lower() if isinstance(value, bool) else str(value)).translate({9: "\\t", 10: "\\n", 13: "\\r"})
    return Text(plain if len(plain) <= MAX_WIDTH else plain[: MAX_WIDTH - 1] + "…")


def run(name: str, limit: int, key: tuple[str, ...], watch: bool) -> None:
    """Prints the preview of a model; with `watch` after each save of a file of the dbt project, until Ctrl-C."""
    console = Console(file=sys.stdout, highlight=False)
    compiler = Compiler()
    state = _files()
    with console.status("dbt parses the project"):
        compiler.parse()
    model_file = ROOT / compiler.model(name).original_file_path
    try:
        if not watch:
            show(preview(compiler, name, limit, key), console)
            return
        is_parsed = True
        while True:
            began = time.monotonic()
            try:
                if not is_parsed:
                    compiler.parse()
                    is_parsed = True
                show(preview(compiler, name, limit, key), console)
            except WarehouseError as error:
                console.print(str(error), markup=False, style="red")
            console.rule(f"{time.strftime('%H:%M:%S')}, {time.monotonic() - began:.1f} s; Ctrl-C to stop", style="dim")
            while (changed := _files()) == state:
                time.sleep(FILE_POLL)
            while True:  # an editor may write a file in several steps
                time.sleep(SAVE_TIME)
                if (later := _files()) == changed:
                    break
                changed = later
            if {path for path, _ in changed.items() ^ state.items()} != {model_file} or model_file not in changed:
                is_parsed = False
            state = changed
    except KeyboardInterrupt:
        console.print("Stopped.")


def _files() -> dict[Path, int]:
    """{file of the dbt project: time of its last change, in nanoseconds}."""
    found = {ROOT / "dbt_project.yml": (ROOT / "dbt_project.yml").stat().st_mtime_ns}
    folders = [ROOT / "dbt_project", ROOT / "seeds"]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_dir():
                    folders.append(Path(entry.path))
                elif entry.name.endswith((".sql", ".yml", ".yaml", ".md", ".csv")):
                    found[Path(entry.path)] = entry.stat().st_mtime_ns
    return found
