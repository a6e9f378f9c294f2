"""Files made to exhaust memory, disk or time are refused with a message, and the loading process goes on."""

import gzip
import io
import resource
import zipfile
from pathlib import Path

import pytest

from ingestion import text_files
from ingestion.contracts import SourceError
from ingestion.files import read_file
from tests.files import declare, refusal, workbook, write

TEXT = {"a": {"data_type": "text"}}


def with_sheet(folder: Path, sheet: bytes) -> Path:
    """Write a workbook whose one sheet has this XML."""
    plain = zipfile.ZipFile(workbook(folder / "plain.xlsx", [["A"], ["x"]]))
    path = folder / "hostile.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in plain.namelist():
            archive.writestr(name, sheet if name == "xl/worksheets/sheet1.xml" else plain.read(name))
    return path


def two_cells(last: str, dimension: str = "A1") -> bytes:
    number = "".join(filter(str.isdigit, last))
    return (
        '<?xml version="1.0"?><worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
        f'<dimension ref="{dimension}"/><sheetData><row r="1"><c r="A1" t="inlineStr"><is><t>A</t></is></c></row>'
        f'<row r="{number}"><c r="{last}"><v>1</v></c></row></sheetData></worksheet>'
    ).encode()


@pytest.mark.parametrize("last", ["XFD1048576", "XFD20000"])
def test_a_workbook_of_two_distant_cells_is_refused(tmp_path: Path, last: str) -> None:
    path = with_sheet(tmp_path, two_cells(last))
    assert path.stat().st_size < 10_000
    assert "reading the workbook takes more than 3 GB of memory. Delete the cells" in refusal(declare(TEXT), path)
    honest = with_sheet(tmp_path, two_cells(last, f"A1:{last}"))
    assert "rows and 16,384 columns" in refusal(declare(TEXT), honest)


def test_a_workbook_that_unpacks_to_gigabytes_is_refused(tmp_path: Path) -> None:
    sheet = two_cells("A2").replace(b"<sheetData>", b"<sheetData>" + b" " * 20_000_000)
    path = with_sheet(tmp_path, sheet)
    in_directory = len(sheet).to_bytes(4, "little")
    path.write_bytes(path.read_bytes().replace(in_directory, (0xEFFFFFFF).to_bytes(4, "little")))
    assert "unpacks to 4 GB (limit 3 GB)" in refusal(declare(TEXT), path)


def test_entities_in_a_workbook_are_not_expanded(tmp_path: Path) -> None:
    levels = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    sheet = two_cells("A2").decode().replace("<worksheet", f'<!DOCTYPE x [<!ENTITY l0 "ha">{levels}]><worksheet')
    path = with_sheet(tmp_path, sheet.replace("<v>1</v>", "<v>&l9;</v>").encode())
    try:
        values = [row for batch in read_file(declare(TEXT), path) for row in batch["a"].to_pylist()]
    except SourceError:
        return
    assert all(len(value or "") < 100 for value in values)


def test_a_workbook_may_only_send_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ingestion import spreadsheets

    harmful = io.BytesIO(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(spreadsheets.pickle.UnpicklingError):
        spreadsheets._Unpickler(harmful).load()


def test_a_compressed_csv_made_to_fill_the_disk_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_files, "FREE_BYTES", 1 << 20)
    bomb = b"a\n" + b"x\n" * 2_000_000
    for name, content in (("b.csv.gz", gzip.compress(bomb)), ("b.zip", zipped(bomb))):
        assert "unpacks to more than 200 times its size" in refusal(declare(TEXT), write(tmp_path, name, content))


def zipped(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", content)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "layout",
    [{}, {"footer": ["Total"]}, {"ragged": "pad"}, {"quote": "none"},
     {"headings": ["A"]}],
    ids=["plain", "footer", "ragged", "no quotes", "no header"],
)  # fmt: skip
@pytest.mark.parametrize("start", [b"a\n", b'a\n"', b'"'], ids=["line", "quoted line", "heading"])
def test_a_line_of_four_gigabytes_is_refused_at_once(tmp_path: Path, layout: dict, start: bytes) -> None:
    path = write(tmp_path, "line.csv", start)
    with path.open("ab") as file:
        file.truncate(4 << 30)  # sparse: the file takes no room
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(SourceError):
        list(read_file(declare(TEXT, **layout), path))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000, "kB of memory"
