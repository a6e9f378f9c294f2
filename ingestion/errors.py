"""Errors of drivers, databases and libraries without values of data.

Only texts in the list of known-harmless messages are shown. The complete text is kept, encrypted with the vault key,
under a reference that the error shows; `warehouse error <reference>` prints it for whoever has the key.
"""

import base64
import json
import os
import re
import secrets
import time
import traceback
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg2

from ingestion import ROOT
from ingestion.contract_yaml import ContractError
from ingestion.contracts import SourceError

if TYPE_CHECKING:
    from ingestion.privacy import Keys  # imports Arrow, which takes a second

KEPT_DAYS = 30
NAME = r"[\w.$#@-]{1,128}"  # of a table, column, login or host; has no space, so it is no text that a person typed
QUOTED = rf"(?:\"{NAME}\"|'{NAME}'|`{NAME}`|\[{NAME}\]|{NAME})(?=[\s:;,.)@]|$)"
OBJECT = "(?:table|schema|view|sequence|function|database|relation|column|role|type|index|constraint|language)"
OWN = (SourceError, ContractError)  # written by us, without values
# What is shown: names of objects and types, never a value. A match ends where a value would begin
HARMLESS = re.compile(
    "|".join(
        (
            # PostgreSQL
            rf"permission denied for {OBJECT} {QUOTED}|must be owner of {OBJECT} {QUOTED}",
            rf"{OBJECT} {QUOTED} (?:of relation {QUOTED} )?(?:does not exist|already exists)",
            rf"column reference {QUOTED} is ambiguous|missing FROM-clause entry for table {QUOTED}",
            r"function [\w.]+\([\w, ]*\) does not exist|operator does not exist: [\w ]+ [-+*/<>=~!]+ [\w ]+",
            r"syntax error at end of input|division by zero|cannot execute \w+ in a read-only transaction",
            rf"duplicate key value violates unique constraint {QUOTED}",
            rf"null value in column {QUOTED} (?:of relation {QUOTED} )?violates not-null constraint",
            rf"violates (?:check|foreign key|exclusion|not-null) constraint {QUOTED}",
            r"invalid input (?:syntax|value) for (?:type|enum) [\w ]{1,40}?(?=:|$)",
            r"value too long for type [\w ]+\(\d+\)",
            r"(?:numeric field overflow|(?:small|big)?int(?:eger)? out of range|invalid byte sequence for encoding)",
            r"date/time field value out of range|canceling statement due to \w+ ?\w* timeout|deadlock detected",
            r"canceling statement due to (?:user request|conflict with recovery)|could not serialize access",
            r"terminating connection due to [a-z -]+(?:timeout|command)|the database system is [a-z ]+",
            rf"password authentication failed for user {QUOTED}|no password supplied",
            r"no pg_hba\.conf entry|pg_hba\.conf rejects connection|no encryption|SSL encryption",
            r"certificate verify failed|does not match host name|root certificate file|self-signed certificate",
            r"sorry, too many clients already|remaining connection slots are reserved|too many connections for \w+",
            r"server closed the connection unexpectedly|connection already closed|could not translate host name",
            r"Is the server running on that host and accepting TCP/IP connections\?",
            r"SSL (?:connection|SYSCALL|error)|Connection refused|Connection reset by peer",
            r"connection to server (?:at|on socket) [\w.:/\"-]+(?: \([\w.:]+\))?(?:, port \d+)? failed",
            r"No space left on device|could not extend file|out of (?:shared )?memory|snapshot too old",
            # MySQL and MariaDB
            rf"Access denied for user {QUOTED}@{QUOTED}|Unknown (?:database|table) {QUOTED}|Unknown column {QUOTED}",
            rf"Table {QUOTED} doesn't exist|Can't connect to MySQL server|Lost connection to MySQL server",
            rf"(?:Data too long|Out of range value) for column {QUOTED}|(?:Truncated incorrect|Incorrect) \w+ value",
            # SQL Server, Oracle
            rf"Login failed for user {QUOTED}|Invalid (?:object|column) name {QUOTED}|Cannot open database {QUOTED}",
            rf"Conversion failed when converting the \w+ value|The \w+ permission was denied on the object {QUOTED}",
            r"ORA-\d{5}|table or view does not exist|Login timeout expired",
            # Arrow, JSON and Python
            r"Failed to parse string|Could not convert|Unable to (?:parse|merge)|Expecting (?:value|property name)",
            r"Can't load plugin: [\w.:]+|No module named [\w.']+|unable to open database file|Invalid data directory",
        )
    )
)
NOTHING_MORE = re.compile(r"\W|FATAL|ERROR")
SQLSTATE = re.compile(r"SQLSTATE\W{0,3}([0-9A-Z]{5})\b")


def root_cause(error: BaseException) -> BaseException:
    """The SourceError or ContractError in the chain of causes, or its last error."""
    own: BaseException | None = error
    while own and not isinstance(own, OWN):
        own = own.__cause__ or own.__context__
    while not own and (deeper := error.__cause__ or (None if error.__suppress_context__ else error.__context__)):
        error = deeper
    return own or error


def describe(error: BaseException) -> str:
    """The error in one line without a value: class, SQLSTATE, known-harmless text, table, column, reference."""
    cause = root_cause(error)
    if isinstance(cause, OWN):
        return str(cause)
    said = str(cause).strip()
    if _is_from_governance(cause):
        return said.splitlines()[0]
    if isinstance(cause, OSError) and cause.errno is not None:
        return f"{type(cause).__name__}: {os.strerror(cause.errno)}" + (f": {cause.filename}" if cause.filename else "")
    harmless = ": ".join(dict.fromkeys(match[0].strip() for match in HARMLESS.finditer(said)))
    parts = [type(cause).__name__ + (f" (SQLSTATE {state})" if (state := _sqlstate(cause, said)) else "")]
    parts += [harmless] if harmless else []
    if place := [name for name in _place(cause) if name not in harmless]:
        parts.append(f"at {'.'.join(place)}")
    if not NOTHING_MORE.sub("", HARMLESS.sub("", said)):
        return ": ".join(parts)
    return f"{': '.join(parts)} [{keep(error)}]"


def _is_from_governance(error: BaseException) -> bool:
    """Whether a function of the warehouse's own schema raised the error, with a message for people."""
    context = (error.diag.context or "") if isinstance(error, psycopg2.Error) else ""
    raised = isinstance(error, psycopg2.errors.RaiseException | psycopg2.errors.LockNotAvailable)
    return raised and context.startswith("PL/pgSQL function governance.")


def _sqlstate(error: BaseException, said: str) -> str:
    given = getattr(error, "pgcode", None) or getattr(error, "sqlstate", None)
    if not given and error.args and re.fullmatch("[0-9A-Z]{5}", str(error.args[0])) and len(error.args) > 1:
        given = error.args[0]  # ODBC
    found = SQLSTATE.search(said)
    return str(given or (found[1] if found else ""))


def _place(error: BaseException) -> list[str]:
    """Schema, table and column, or constraint, that Postgres names apart from the message."""
    diag = getattr(error, "diag", None)
    names = [getattr(diag, f"{kind}_name", None) for kind in ("schema", "table", "column")]
    return [name for name in names if name]


def keep(error: BaseException) -> str:
    """Keep the error's text and trace for the administrator; returns what to show: how to read them, or why not."""
    folder = _folder()
    trace = "".join(traceback.format_exception(error))
    try:
        keys = _keys()
        version = max(keys)
        salt, encrypted = keys[version].encrypt(trace.encode("utf-8", "replace"))
        reference = secrets.token_hex(4)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _forget_old(folder)
        content = {"version": version, "salt": _text(salt), "encrypted": _text(encrypted)}
        with os.fdopen(os.open(folder / reference, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            json.dump(content, out)
    except (SourceError, OSError):
        return "text not kept: no vault key or no working folder"
    return f"warehouse error {reference}"


def kept(reference: str) -> str:
    """The text and trace that are kept under a reference. Raises SourceError if there are none."""
    if not re.fullmatch("[0-9a-f]{8}", reference) or not (file := _folder() / reference).exists():
        raise SourceError(f"no error is kept as {reference}. Errors are kept for {KEPT_DAYS} days")
    content: dict[str, Any] = json.loads(file.read_text())
    keys = _keys().get(content["version"])
    if keys is None:
        raise SourceError(f"the vault key that encrypted error {reference} was rotated")
    return keys.decrypt(base64.b64decode(content["salt"]), base64.b64decode(content["encrypted"])).decode()


def _keys() -> "dict[int, Keys]":
    from ingestion.privacy import Keys

    return Keys.read_all()


def forget_all() -> None:
    """Delete every kept text, because any may have a value of a person who is erased."""
    if _folder().exists():
        for file in _older(_folder(), time.time() + 1):
            file.unlink(missing_ok=True)


def _folder() -> Path:
    return Path(os.environ.get("WAREHOUSE_HOME", ROOT / ".warehouse")) / "errors"


def _forget_old(folder: Path) -> None:
    for file in _older(folder, time.time() - KEPT_DAYS * 86_400):
        with suppress(FileNotFoundError):
            file.unlink()


def _older(folder: Path, moment: float) -> Iterator[Path]:
    for file in folder.iterdir():
        with suppress(FileNotFoundError):
            if file.stat().st_mtime < moment:
                yield file


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()
