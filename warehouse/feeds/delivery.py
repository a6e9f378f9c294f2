"""Delivers the file of a feed to a recipient, once for each occasion, and keeps what was delivered.

`$OUTBOX/<set>/delivered/<recipient>/<time>/` has the file and its manifest; governance.deliveries has a row for each.
"""

import hashlib
import json
import mimetypes
import os
import shutil
from contextlib import closing
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import localtime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from psycopg2 import extensions as pg
from psycopg2 import sql
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential

from ingestion.files import fingerprint
from ingestion.postgres import value_of
from warehouse.environment import dbt_connection
from warehouse.errors import WarehouseError
from warehouse.feeds.declaration import Delivery, Report
from warehouse.feeds.files import write_report
from warehouse.feeds.transfer import TransferError, is_mail, send_files, send_mail
from warehouse.outgoing import DELIVERED, outbox_folder

ATTEMPTS = 4
WAIT = wait_exponential(min=2, max=30)  # seconds between attempts
MAX_ATTACHED_MB = 10


def variable_of(delivery: Delivery) -> str:
    """The environment variable with the recipient's URL."""
    return f"DELIVER_{delivery.to.upper()}"


def deliver(report: Report, delivery: Delivery, day: str = "") -> dict[str, Any] | None:
    """Writes the recipient's rows to a file, sends it and records it; returns the manifest, or None if it was sent.

    The delivery is for the set's current publication, or for the `day` of a calendar. Raises WarehouseError; then
    nothing is kept, and the recipient has the previous file.
    """
    variable = variable_of(delivery)
    if not (url := os.environ.get(variable)):
        raise WarehouseError(
            f"{report.feed.file} was not delivered to {delivery.to}: {variable} is not set. Set it to the URL of the "
            "recipient's folder or mail server."
        )
    folder = outbox_folder(report.publish_set) / DELIVERED / delivery.to / f"{datetime.now(UTC):%Y-%m-%dT%H%M%S.%fZ}"
    with closing(dbt_connection()) as connection, connection, connection.cursor() as cursor:
        publication = _publication(cursor, report.publish_set)
        occasion = day or f"publication {publication}"
        cursor.execute(
            "select from governance.deliveries where feed = %s and recipient = %s and occasion = %s",
            [report.name, delivery.to, occasion],
        )
        if cursor.fetchone():
            return None
        try:
            manifest = _write(report, delivery, folder, occasion)
            if _record(cursor, report, manifest, publication, folder):
                _send(report, delivery, url, folder, manifest)
                return manifest
        except BaseException as error:
            shutil.rmtree(folder, ignore_errors=True)
            if isinstance(error, TransferError):
                message = f"{report.feed.file} was not delivered to {delivery.to} ({variable}): {error}."
                raise WarehouseError(message) from None
            raise
    shutil.rmtree(folder)  # another process delivered it meanwhile
    return None


def _publication(cursor: pg.cursor, publish_set: str) -> int:
    cursor.execute(
        "select max(publication_id) from governance.publications where publish_set = %s and action <> 'refuse'",
        [publish_set],
    )
    if (publication := value_of(cursor)) is None:
        raise WarehouseError(f"{publish_set} is not published yet, so that there is nothing to deliver.")
    return int(publication)


def _write(report: Report, delivery: Delivery, folder: Path, occasion: str) -> dict[str, Any]:
    """Writes the file and its manifest, which the recipient can compare with the file."""
    file = folder / report.feed.file
    rows = write_report(report, file, delivery.rows)
    manifest = {
        "file": file.name,
        "feed": report.name,
        "recipient": delivery.to,
        "occasion": occasion,
        "rows": rows,
        "bytes": file.stat().st_size,
        "sha256": fingerprint(file),
    }
    written = folder / f"{file.name}.manifest.json"
    written.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    written.chmod(0o640)
    return manifest


def _record(cursor: pg.cursor, report: Report, manifest: dict[str, Any], publication: int, folder: Path) -> bool:
    """Adds the row, which is committed after the file was sent; False if another process has delivered the file.

    A second process waits here until the first has committed or failed.
    """
    row = {
        **manifest,
        "publish_set": report.publish_set,
        "publication_id": publication,
        "kept_as": os.fspath(folder.relative_to(os.environ["OUTBOX"])),
    }
    cursor.execute("set local idle_in_transaction_session_timeout = 0")  # while the file is sent
    statement = sql.SQL("insert into governance.deliveries ({}) values ({}) on conflict do nothing").format(
        sql.SQL(", ").join(map(sql.Identifier, row)), sql.SQL(", ").join(map(sql.Placeholder, row))
    )
    cursor.execute(statement, row)
    return cursor.rowcount == 1


def _send(report: Report, delivery: Delivery, url: str, folder: Path, manifest: dict[str, Any]) -> None:
    """Sends the file with several attempts. Raises TransferError."""
    file = folder / report.feed.file
    attempts = Retrying(
        stop=stop_after_attempt(ATTEMPTS),
        wait=WAIT,
        retry=retry_if_exception(lambda error: isinstance(error, TransferError) and not error.is_permanent),
        reraise=True,
    )
    if is_mail(url):
        attempts(lambda: send_mail(url, _message(report, delivery, file, manifest)))
    else:
        attempts(send_files, url, file, folder / f"{file.name}.manifest.json")


def _message(report: Report, delivery: Delivery, file: Path, manifest: dict[str, Any]) -> EmailMessage:
    """The mail with the file or with a link to it. It has the same Message-ID each time that the same file is sent."""
    message = EmailMessage()
    message["Subject"] = report.title
    identity = hashlib.sha256(f"{report.name} {delivery.to} {manifest['occasion']}".encode()).hexdigest()
    message["Message-ID"] = f"<{identity[:32]}@{report.email.rpartition('@')[2]}>"
    message["Date"] = localtime()
    lines = [report.description + ".", f"Rows: {manifest['rows']:,}. SHA-256: {manifest['sha256']}."]
    if not delivery.attach:
        place = os.environ.get("OUTBOX_URL")
        if not place:
            raise TransferError("OUTBOX_URL, the address of the outbox for the link, is not set", is_permanent=True)
        link = f"{place.rstrip('/')}/{file.relative_to(os.environ['OUTBOX']).as_posix()}"
        lines.insert(1, f"File: {quote(link, safe=':/')}")
    lines.append(f"Questions: {report.owner}, {report.email}")
    message.set_content("\n\n".join(lines))
    if delivery.attach:
        if manifest["bytes"] > MAX_ATTACHED_MB << 20:
            raise TransferError(f"a file over {MAX_ATTACHED_MB} MB is not attached", is_permanent=True)
        kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        main, _, sub = kind.partition("/")
        message.add_attachment(file.read_bytes(), maintype=main, subtype=sub, filename=file.name)
    return message
