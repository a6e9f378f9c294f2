"""Generated files and tables beside an independent reader: no row is unexplained, no value is changed."""

from benchmarks.exact import try_files, try_tables


def test_generated_files_are_read_as_an_independent_reader_reads_them() -> None:
    try_files(400, is_repeatable=True)


def test_generated_tables_keep_their_values() -> None:
    try_tables(200, is_repeatable=True)
