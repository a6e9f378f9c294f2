"""Deliveries of report feeds to a folder, an SFTP server, a share, S3 and a mail server: complete, and once."""

from __future__ import annotations

import csv
import email
import email.policy
import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import psycopg2
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from tests.support import Trial, await_port, feed_report, free_port
from warehouse.errors import WarehouseError

if TYPE_CHECKING:
    from warehouse.feeds.declaration import Report

RECIPIENT, PASSWORD = "north", "a-Password-9"
KINDS = ["folder", "sftp", "smb", "s3"]
QUIET = dict.fromkeys(("stdout", "stderr"), subprocess.DEVNULL)
ROWS = 4_000  # of the North: a file that is longer than one block of a transfer
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount a small disk and to run smbd")


@dataclass
class Place:
    """Where a recipient receives files: the URL, and what it has now."""

    url: str
    folder: Path | None = None
    read: Callable[[], dict[str, bytes]] | None = None

    def files(self) -> dict[str, bytes]:
        """Return {name: content}, with hidden files."""
        if self.read:
            return self.read()
        return {path.name: path.read_bytes() for path in self.folder.iterdir()}


@contextmanager
def running(*command: str, port: int) -> Iterator[subprocess.Popen]:
    """Run a server until the end of the block."""
    with subprocess.Popen(command, start_new_session=True, **QUIET) as process:  # smbd ends its whole group
        try:
            await_port(port, process)
            yield process
        finally:
            process.send_signal(signal.SIGTERM)


@contextmanager
def sftp_server(folder: Path, home: Path) -> Iterator[Place]:
    """An OpenSSH server for this account, whose key and host key `home` has."""
    port, keys, account = free_port(), home / ".ssh", os.environ.get("USER") or "root"
    keys.mkdir(mode=0o700, exist_ok=True)
    for key in (keys / "id_ed25519", folder.parent / "host_key"):
        if not key.exists():
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    host_key = (folder.parent / "host_key.pub").read_text().split()[:2]
    (keys / "known_hosts").write_text(f"[127.0.0.1]:{port} {' '.join(host_key)}\n")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    settings = [
        *("ListenAddress=127.0.0.1", f"Port={port}", f"HostKey={folder.parent / 'host_key'}", "UsePAM=no"),
        *(f"AuthorizedKeysFile={keys / 'id_ed25519.pub'}", "StrictModes=no", "PasswordAuthentication=no"),
        *("PidFile=none", "Subsystem=sftp internal-sftp", "PermitRootLogin=yes"),
    ]
    options = [word for setting in settings for word in ("-o", setting)]
    with running("/usr/sbin/sshd", "-D", "-e", "-f", "/dev/null", *options, port=port):
        yield Place(f"sftp://{account}@127.0.0.1:{port}{folder}", folder)


@contextmanager
def share(folder: Path) -> Iterator[Place]:
    """A Samba server with the folder as its share `reports`."""
    with TemporaryDirectory(prefix="samba-") as name:  # the path of a socket is at most 108 characters long
        yield from _shared(folder, Path(name))


def _shared(folder: Path, state: Path) -> Iterator[Place]:
    port = free_port()
    places = ("private dir", "ncalrpc dir", *(f"{name} directory" for name in ("state", "cache", "lock", "pid")))
    lines = [f"{name} = {state}" for name in places]
    (state / "smb.conf").write_text(
        "\n".join(
            [
                *("[global]", *lines, f"smb ports = {port}", "interfaces = lo", "bind interfaces only = yes"),
                *("disable netbios = yes", "load printers = no", f"log file = {state}/log"),
                *("[reports]", f"path = {folder}", "read only = no", ""),
            ]
        )
    )
    conf = state / "smb.conf"
    subprocess.run(
        ["smbpasswd", "-c", conf, "-a", "-s", "root"], input=f"{PASSWORD}\n{PASSWORD}\n", text=True, check=True,
        capture_output=True,
    )  # fmt: skip
    with running("/usr/sbin/smbd", "--foreground", "--no-process-group", "-s", str(conf), port=port):
        yield Place(f"smb://root:{PASSWORD}@127.0.0.1:{port}/reports", folder)


@contextmanager
def bucket() -> Iterator[Place]:
    """An S3 server with a bucket. The servers of this process share their buckets."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", port=0)
    server.start()
    address = "http://127.0.0.1:{1}".format(*server.get_host_and_port())
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "AWS_ENDPOINT_URL": address, "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "eu-west-2",
        }.items():  # fmt: skip
            patch.setenv(name, value)
        client, name = boto3.client("s3"), f"reports-{server.get_host_and_port()[1]}"
        client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-2"})

        def read() -> dict[str, bytes]:
            listed = client.list_objects_v2(Bucket=name).get("Contents", [])
            return {each["Key"]: client.get_object(Bucket=name, Key=each["Key"])["Body"].read() for each in listed}

        try:
            yield Place(f"s3://{name}", None, read)
        finally:
            server.stop()


class Mailbox:
    """A mail server on 127.0.0.1 that asks for a login."""

    def __init__(self) -> None:
        self.messages: list[email.message.EmailMessage] = []
        self.refuses = 0
        self.server = Controller(
            self, hostname="127.0.0.1", port=free_port(), authenticator=self.login, auth_require_tls=False
        )
        self.server.start()

    def login(self, *received: Any) -> AuthResult:
        return AuthResult(success=received[-1].password == PASSWORD.encode(), handled=False)

    async def handle_DATA(self, *received: Any) -> str:  # the name that aiosmtpd calls; server, session, envelope
        if self.refuses:
            self.refuses -= 1
            return "451 Try again later"
        self.messages.append(email.message_from_bytes(received[-1].content, policy=email.policy.default))
        return "250 OK"

    def url(self, password: str = PASSWORD, to: str = "area@partner.example") -> str:
        address = f"127.0.0.1:{self.server.port}"
        return f"smtp://warehouse:{password}@{address}/?to={to}&from=warehouse@worcestershire.example"


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    box = Mailbox()
    yield box
    box.server.stop()


@pytest.fixture
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The account's home, without anything of the real one."""
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def places(tmp_path: Path, account: Path) -> Iterator[Callable[[str], Place]]:
    """Start the server of a kind; returns the recipient's place."""
    folder = tmp_path / "received"
    folder.mkdir()
    with ExitStack() as stack:

        def start(kind: str) -> Place:
            if kind == "folder":
                return Place(str(folder), folder)
            if kind == "s3":
                return stack.enter_context(bucket())
            return stack.enter_context(sftp_server(folder, account) if kind == "sftp" else share(folder))

        yield start


@pytest.fixture
def report(trial: Trial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Report:
    """A published report with rows of two areas, and a delivery of those of the North."""
    from tenacity import wait_none

    from warehouse.feeds import delivery

    monkeypatch.setenv("OUTBOX", str(tmp_path / "outbox"))
    monkeypatch.setattr(delivery, "WAIT", wait_none())
    trial.sql(
        "create table conformed.rpt_area as select case when n % 2 = 0 then 'North' else 'South' end as \"Area\", "
        f'n as "Enquiries", repeat(\'x\', 100) as "Note" from generate_series(1, {2 * ROWS}) as n'
    )
    trial.sql("grant select on conformed.rpt_area to svc_dbt")
    publish(trial)
    columns = {"Area": "text", "Enquiries": "bigint", "Note": "text"}
    return feed_report("rpt_area", columns=columns, deliver=[{"to": RECIPIENT, "rows": {"Area": ["North"]}}])


def publish(trial: Trial) -> None:
    trial.sql("insert into governance.publications (publish_set, action) values ('conformed', 'publish')")


def deliver(report: Report, url: str, day: str = "") -> dict[str, Any] | None:
    from warehouse.feeds import delivery

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DELIVER_NORTH", url)
        return delivery.deliver(report, report.feed.deliver[0], day)


def kept(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "outbox/conformed").glob("delivered/*/*/*.csv"))


@needs_root
@pytest.mark.parametrize("kind", KINDS)
def test_a_recipient_gets_its_rows_once_for_each_publication(
    kind: str, report: Report, places: Callable[[str], Place], trial: Trial, tmp_path: Path
) -> None:
    place = places(kind)
    gone = "s3://reports-gone" if kind == "s3" else f"{place.url}/gone"
    assert refused(report, gone, tmp_path, trial) == "the recipient's folder does not exist."
    manifest = deliver(report, place.url)
    files = place.files()
    assert files.keys() == {"rpt_area.csv", "rpt_area.csv.manifest.json"}
    rows = list(csv.DictReader(io.StringIO(files["rpt_area.csv"].decode())))
    assert ({row["Area"] for row in rows}, len(rows)) == ({"North"}, ROWS)
    assert json.loads(files["rpt_area.csv.manifest.json"]) == manifest
    assert manifest["sha256"] == hashlib.sha256(files["rpt_area.csv"]).hexdigest()
    (recorded,) = trial.sql("select feed, recipient, rows, sha256, kept_as from governance.deliveries")
    assert recorded[:4] == ("rpt_area", "north", ROWS, manifest["sha256"])
    assert (tmp_path / "outbox" / recorded[4] / "rpt_area.csv").read_bytes() == files["rpt_area.csv"]

    assert deliver(report, place.url) is None, "it was delivered for this publication"
    trial.sql("""delete from conformed.rpt_area where "Enquiries" > 10""")
    publish(trial)
    assert deliver(report, place.url)["rows"] == 5
    assert len(place.files()["rpt_area.csv"].decode().splitlines()) == 1 + 5, "the new file replaced the other"
    assert len(kept(tmp_path)) == len({path.read_bytes() for path in kept(tmp_path)}) == 2


@needs_root
@pytest.mark.parametrize("kind", KINDS)
def test_a_killed_delivery_leaves_no_half_file_and_is_repeated(
    kind: str, report: Report, places: Callable[[str], Place], trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = places(kind)

    def half(source: Any, target: Any, *_: int) -> None:
        target.write(source.read(100_000))
        target.flush()
        os.kill(os.getpid(), signal.SIGKILL)

    if not (child := os.fork()):
        try:
            monkeypatch.setattr(shutil, "copyfileobj", half)
            deliver(report, place.url)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert "rpt_area.csv" not in place.files()
    assert trial.sql("select count(*) from governance.deliveries") == [(0,)]
    assert deliver(report, place.url)["rows"] == ROWS
    assert place.files().keys() == {"rpt_area.csv", "rpt_area.csv.manifest.json"}
    assert trial.sql("select count(*) from governance.deliveries") == [(1,)]


def refused(report: Report, url: str, tmp_path: Path, trial: Trial) -> str:
    """Return the message of a delivery that must fail, and check that it leaves nothing and names no secret."""
    with pytest.raises(WarehouseError) as raised:
        deliver(report, url)
    assert kept(tmp_path) == []
    assert trial.sql("select count(*) from governance.deliveries") == [(0,)]
    assert PASSWORD not in str(raised.value)
    start, _, reason = str(raised.value).partition(": ")
    assert start == "rpt_area.csv was not delivered to north (DELIVER_NORTH)"
    return reason


@needs_root
def test_a_server_with_another_key_or_login_gets_nothing(
    report: Report, places: Callable[[str], Place], trial: Trial, tmp_path: Path, account: Path
) -> None:
    sftp = places("sftp")
    known = account / ".ssh/known_hosts"
    right = known.read_text()
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "other"], check=True)
    known.write_text(f"{right.split()[0]} {(tmp_path / 'other.pub').read_text()}")
    changed = refused(report, sftp.url, tmp_path, trial)
    assert changed == "the server's host key differs from the one in known_hosts."
    known.write_text("")
    assert refused(report, sftp.url, tmp_path, trial) == "the server's host key is not in known_hosts."
    known.write_text(right)
    shutil.copy(tmp_path / "other", account / ".ssh/id_ed25519")
    assert refused(report, sftp.url, tmp_path, trial) == "the login is refused, or may not write there."
    wrong = places("smb").url.replace(PASSWORD, "another")
    assert refused(report, wrong, tmp_path, trial) == "the login is refused, or may not write there."
    assert list(sftp.folder.iterdir()) == []


@needs_root
def test_a_full_disk_keeps_the_previous_file(
    report: Report, places: Callable[[str], Place], trial: Trial, tmp_path: Path
) -> None:
    place = places("sftp")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", place.folder], check=True)
    try:
        (place.folder / "rpt_area.csv").write_text("the file of last month")
        assert refused(report, str(place.folder), tmp_path, trial) == "the recipient's disk is full."
        assert refused(report, place.url, tmp_path, trial).startswith("OSError")
        assert place.files() == {"rpt_area.csv": b"the file of last month"}
    finally:
        subprocess.run(["umount", place.folder], check=True)


def test_a_delivery_by_calendar_is_for_its_day(report: Report, tmp_path: Path) -> None:
    (tmp_path / "received").mkdir()
    days = [deliver(report, str(tmp_path / "received"), day) for day in ("2026-04-16", "2026-04-16", "2026-05-15")]
    assert [manifest and manifest["occasion"] for manifest in days] == ["2026-04-16", None, "2026-05-15"]


def test_two_processes_deliver_once(report: Report, tmp_path: Path, trial: Trial) -> None:
    """The second waits until the first has sent the file or failed."""
    (tmp_path / "received").mkdir()
    with psycopg2.connect(trial.url) as other, other.cursor() as cursor:
        cursor.execute(
            "insert into governance.deliveries (feed, recipient, publish_set, occasion, publication_id, file, rows, "
            "bytes, sha256, kept_as) values ('rpt_area', 'north', 'conformed', 'publication 1', 1, '', 0, 0, '', '')"
        )
        if not (child := os.fork()):
            try:
                assert deliver(report, str(tmp_path / "received")) is None
                os._exit(0)
            finally:
                os._exit(1)
        waiting = "select count(*) from pg_locks where not granted and locktype = 'transactionid'"
        for _ in range(600):
            if trial.sql(waiting) == [(1,)]:
                break
            time.sleep(0.1)
        else:
            pytest.fail("the second process did not wait")
        other.commit()
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    other.close()
    assert list((tmp_path / "received").iterdir()) == kept(tmp_path) == []


def test_an_unset_variable_is_named(report: Report) -> None:
    with pytest.raises(WarehouseError, match=r"^rpt_area.csv was not delivered to north: DELIVER_NORTH is not set\."):
        deliver(report, "")


def test_a_mail_has_a_link_or_the_file(
    report: Report, mailbox: Mailbox, trial: Trial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = refused(report, mailbox.url(), tmp_path, trial)
    assert missing == "OUTBOX_URL, the address of the outbox for the link, is not set."
    monkeypatch.setenv("OUTBOX_URL", "https://reports.worcestershire.example/outbox")
    mailbox.refuses = 1
    manifest = deliver(report, mailbox.url())
    (linked,) = mailbox.messages
    (file,) = kept(tmp_path)
    where = file.relative_to(tmp_path / "outbox")
    text = linked.get_body().get_content()
    assert f"File: https://reports.worcestershire.example/outbox/{where}" in text.splitlines()
    assert (linked["Subject"], linked["To"]) == ("Trial report", "area@partner.example")
    assert manifest["sha256"] in text
    assert [*linked.iter_attachments()] == []

    attached = replace(
        report, name="rpt_attached",
        feed=report.feed.model_copy(update={"deliver": [report.feed.deliver[0].model_copy(update={"attach": True})]}),
    )  # fmt: skip
    deliver(attached, mailbox.url())
    (attachment,) = mailbox.messages[-1].iter_attachments()
    assert attachment.get_filename() == "rpt_area.csv"
    assert hashlib.sha256(attachment.get_payload(decode=True)).hexdigest() == manifest["sha256"]
    assert len({message["Message-ID"] for message in mailbox.messages}) == 2


def test_a_mail_server_that_refuses_is_named(
    report: Report, mailbox: Mailbox, trial: Trial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTBOX_URL", "https://reports.worcestershire.example")
    assert refused(report, mailbox.url("another"), tmp_path, trial) == "the mail server answered 535."
    mailbox.refuses = 10
    assert refused(report, mailbox.url(), tmp_path, trial) == "the mail server answered 451."
    assert mailbox.refuses == 10 - 4, "four attempts"
    assert "Connection refused" in refused(
        report, "smtp://127.0.0.1:9/?to=a@b.example&from=c@d.example", tmp_path, trial
    )
    url = mailbox.url().split("?")[0]
    assert refused(report, url, tmp_path, trial) == "its URL has no host, `to` or `from`."
    assert mailbox.messages == []


@needs_root
@pytest.mark.parametrize("kind", KINDS)
def test_parquet_files_are_copied_and_those_of_old_builds_deleted(
    places: Callable[[str], Place], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    from warehouse import parquet

    place, source = places(kind), tmp_path / "outbox/highways/parquet"
    monkeypatch.setenv("OUTBOX", str(tmp_path / "outbox"))
    monkeypatch.setenv("PARQUET_URL", place.url)

    def copied() -> dict[str, bytes]:
        if place.read:
            return place.read()
        files = [path for path in place.folder.rglob("*") if path.is_file()]
        return {path.relative_to(place.folder).as_posix(): path.read_bytes() for path in files}

    contents = {"1": b"1" * 100, "2": b"2" * 100, "3": b"3" * 100}
    for build, kept in (("1", []), ("2", ["1"]), ("3", ["2"]), ("3", ["2"])):
        if (source / build).exists():
            contents[build] = b"4" * 100  # of the same size
        (source / build).mkdir(parents=True, exist_ok=True)
        (source / build / "fct_defects.parquet").write_bytes(contents[build])
        manifest = json.dumps({"tables": [{"file": f"{build}/fct_defects.parquet"}]})
        (source / "manifest.json").write_text(manifest)
        for old in {"1", "2"} - {build, *kept}:
            shutil.rmtree(source / old, ignore_errors=True)
        parquet.copy_files(source)
        there = {f"highways/{each}/fct_defects.parquet": contents[each] for each in (*kept, build)}
        assert copied() == there | {"highways/manifest.json": manifest.encode()}
    parquet.delete_files()
    assert copied() == {}, "after an erasure"
    monkeypatch.setenv("PARQUET_URL", f"{place.url}-gone" if kind == "s3" else f"{place.url}/gone")
    with pytest.raises(WarehouseError) as refused:
        parquet.copy_files(source)
    assert str(refused.value) == (
        "The Parquet files of highways were not copied (PARQUET_URL): the recipient's folder does not exist."
    )
