"""One module per system that is reached through Python (an HTTP API, a package): a function per table.

`def <table>(location: str | None, since: datetime | None) -> Iterator[list[dict] | pa.Table]` yields pages of rows;
`since` is the highest cursor value landed so far (None for a table without a cursor). `fingerprint(table) -> str`,
where the module has it, is compared with the last load's: what has not changed is not read again.
"""
