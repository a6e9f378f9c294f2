"""Sends a file to the URL of a recipient: a folder (local, SFTP, SMB, S3, Azure) or a mail server.

A folder never has an incomplete file under the final name: an object store shows a file once it is complete, and
elsewhere the file gets its name when it is complete. Decision 99.
"""

import errno
import os
import shutil
import smtplib
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import fsspec
import paramiko
import smbclient
import smbprotocol.exceptions as smb
from fsspec.implementations.sftp import SFTPFileSystem

from ingestion.errors import describe, root_cause

MAIL = ("smtp", "smtps")
TIMEOUT_SECONDS = 60
LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")
REFUSED_LOGIN = (paramiko.AuthenticationException, smb.LogonFailure, smb.SMBAuthenticationError)


class TransferError(Exception):
    """A file was not sent; the message has no secret. `is_permanent` says that another attempt would fail too."""

    def __init__(self, message: str, is_permanent: bool):
        super().__init__(message)
        self.is_permanent = is_permanent


class KnownHostsSFTP(SFTPFileSystem):  # type: ignore[misc]
    """SFTP to servers whose host key is in KNOWN_HOSTS, by default the account's known_hosts."""

    def _connect(self) -> None:
        self.client = paramiko.SSHClient()  # refuses unknown host keys
        self.client.load_system_host_keys(os.environ.get("KNOWN_HOSTS"))
        self.client.connect(self.host, timeout=TIMEOUT_SECONDS, **self.ssh_kwargs)
        self.ftp = self.client.open_sftp()


fsspec.register_implementation("sftp", KnownHostsSFTP, clobber=True)


def is_mail(url: str) -> bool:
    return urlsplit(url).scheme in MAIL


def send_files(url: str, *files: Path) -> None:
    """Copies files to the folder of a URL, one after another; replaces those of the same name. Raises TransferError."""
    with _in_words():
        system, folder = _opened(url)
        for file in files:
            _send_file(system, file, f"{folder}/{file.name}")


def mirror(source: Path, url: str, name: str, renewed: Sequence[str] = ()) -> None:
    """Gives the folder `name` below the folder of a URL the files that `source` has, and no others.

    The files `renewed` are sent last, in their order; another file that is there with the same size is not sent again.
    Then the files that `source` does not have are deleted. Raises TransferError.
    """
    files = {path.relative_to(source).as_posix(): path for path in source.rglob("*") if path.is_file()}
    with _in_words():
        system, folder = _opened(url)
        target = f"{folder}/{name}/"
        found = system.find(target) if system.exists(target) else []
        there = {path.removeprefix(target): system.size(path) for path in found}
        missing = {place for place, file in files.items() if there.get(place) != file.stat().st_size}
        for place in (*(missing - {*renewed}), *renewed):
            system.makedirs(f"{target}{place}".rpartition("/")[0], exist_ok=True)
            _send_file(system, files[place], f"{target}{place}")
        for place in there.keys() - files.keys():
            system.rm_file(f"{target}{place}")


def _opened(url: str) -> tuple[Any, str]:
    """The file system of a URL, and the path of its folder, which must exist."""
    # The instances that fsspec keeps may have lost their connection
    system, folder = fsspec.core.url_to_fs(url, skip_instance_cache=True)
    container = folder if _REPLACE.get(_protocol(system)) else folder.partition("/")[0]
    if not system.exists(container):
        raise TransferError("the recipient's folder does not exist", is_permanent=True)
    return system, folder.rstrip("/")


@contextmanager
def _in_words() -> Iterator[None]:
    """Raises TransferError in place of any error."""
    try:
        yield
    except TransferError:
        raise
    except Exception as error:
        raise _refused(error) from None


def _send_file(system: Any, file: Path, target: str) -> None:
    replace = _REPLACE.get(_protocol(system))
    folder, _, name = target.rpartition("/")
    draft = f"{folder}/.{name}.part" if replace else target
    try:
        with file.open("rb") as source, system.open(draft, "wb") as out:
            shutil.copyfileobj(source, out, 1 << 20)
        if system.size(draft) != file.stat().st_size:
            raise TransferError("the recipient's folder has another size of the file than was sent", is_permanent=False)
        if replace:
            replace(system, draft, target)
    except BaseException:
        with suppress(Exception):
            if replace:
                system.rm_file(draft)
        raise


def _protocol(system: Any) -> str:
    return system.protocol if isinstance(system.protocol, str) else system.protocol[0]


def _replace_on_smb(system: Any, draft: str, target: str) -> None:
    def path(name: str) -> str:
        return f"//{system.host}{name}"

    smbclient.replace(path(draft), path(target), port=system._port)  # fsspec's `mv` does not replace a file


# How a complete file gets its name; other systems are object stores, which show complete files only
_REPLACE: dict[str, Callable[[Any, str, str], object]] = {
    "file": lambda _, draft, target: Path(draft).replace(target),
    "sftp": lambda system, draft, target: system.mv(draft, target),
    "smb": _replace_on_smb,
}


def send_mail(url: str, message: EmailMessage) -> None:
    """Sends a message to the addresses in the URL.

    smtp://[login:password@]host[:port]?to=address&from=address; smtps:// for TLS from the start. Otherwise STARTTLS is
    used where the server offers it, and a password is sent over TLS only, except to this machine. Raises TransferError.
    """
    parts, query = urlsplit(url), parse_qs(urlsplit(url).query)
    if not parts.hostname or not query.get("to") or not query.get("from"):
        raise TransferError("its URL has no host, `to` or `from`", is_permanent=True)
    message["To"], message["From"] = ", ".join(query["to"]), query["from"][0]
    context = ssl.create_default_context()
    with _in_words(), ExitStack() as stack:
        if parts.scheme == "smtps":
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                parts.hostname, parts.port or 465, timeout=TIMEOUT_SECONDS, context=context
            )
        else:
            server = smtplib.SMTP(parts.hostname, parts.port or 587, timeout=TIMEOUT_SECONDS)
        stack.enter_context(server)
        server.ehlo()
        is_encrypted = parts.scheme == "smtps"
        if not is_encrypted and server.has_extn("starttls"):
            server.starttls(context=context)
            is_encrypted = True
        if parts.username:
            if not is_encrypted and parts.hostname not in LOCAL_HOSTS:
                raise TransferError("the mail server offers no TLS for the password", is_permanent=True)
            server.login(unquote(parts.username), unquote(parts.password or ""))
        server.send_message(message)


def _refused(error: Exception) -> TransferError:
    """The error in words for people. It is permanent if another attempt would fail too."""
    cause = root_cause(error)
    if isinstance(cause, paramiko.BadHostKeyException):
        return TransferError("the server's host key differs from the one in known_hosts", is_permanent=True)
    if isinstance(cause, paramiko.SSHException) and "not found in known_hosts" in str(cause):
        return TransferError("the server's host key is not in known_hosts", is_permanent=True)
    if isinstance(cause, REFUSED_LOGIN) or getattr(cause, "errno", None) in (errno.EACCES, errno.EPERM):
        return TransferError("the login is refused, or may not write there", is_permanent=True)
    if isinstance(cause, smtplib.SMTPResponseException):
        permanent = cause.smtp_code >= 500
        return TransferError(f"the mail server answered {cause.smtp_code}", is_permanent=permanent)
    if isinstance(cause, smtplib.SMTPRecipientsRefused):
        return TransferError("the mail server refuses the recipient", is_permanent=True)
    if isinstance(cause, FileNotFoundError):
        return TransferError("the recipient's folder does not exist", is_permanent=True)
    if isinstance(cause, OSError) and cause.errno == errno.ENOSPC:
        return TransferError("the recipient's disk is full", is_permanent=False)
    return TransferError(describe(error), is_permanent=False)
