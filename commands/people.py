"""Commands about people: the vault key, re-identification, person matching and data subject requests."""

import getpass
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, get_args

import click

from commands.common import REASON, administrator, rebuild
from ingestion.formats import Identifier
from warehouse import environment
from warehouse.errors import WarehouseError

if TYPE_CHECKING:
    from warehouse.subjects import SubjectRequests

TOKENS = click.argument("tokens", nargs=-1, required=True)
CASE = click.option("--case", required=True, help="Case reference, which is recorded.")


@click.group()
def keys() -> None:
    """Manage the vault key. The key makes tokens and encrypts identities."""


@keys.command()
def new() -> None:
    """Create the first vault key, or adopt the key in VAULT_KEY_FILE."""
    from ingestion.privacy import Keys
    from warehouse import vault

    with administrator() as connection:
        if not vault.adopt_key(connection):
            raise WarehouseError("The database has a vault key. Replace the key with `warehouse keys rotate`.")
    click.echo(f"The vault key is in {Keys.file()}. Keep a copy apart from the database's backups.")


@keys.command()
def rotate() -> None:
    """Rotate the vault key. Replaces every token, encrypts every identity again and rebuilds the marts."""
    from ingestion.contracts import read_contracts
    from warehouse import vault

    with administrator() as connection:
        counts = vault.rotate_key(connection, read_contracts().values())
    for table, count in counts.items():
        click.echo(f"{table}: {count:,} rows have new tokens")
    rebuild()


@click.command()
@click.argument("token")
@click.option("--as", "login", required=True, help="Your login, from `reidentification` in access.yml.")
@REASON
@CASE
def reidentify(token: str, login: str, reason: str, case: str) -> None:
    """Re-identify TOKEN: print the identifiers of the person. Every request is audited."""
    from warehouse import vault

    environment.prepare(start=False)
    for table, identifiers in vault.reidentify(environment.connect(environment.reader_url(login)), token, reason, case):
        click.echo(f"{table}  " + "  ".join(f"{name}: {value}" for name, value in identifiers.items()))


@click.group()
def match() -> None:
    """Manage person matching and steward decisions."""


@match.command()
def pairs() -> None:
    """Print the pairs that wait for a steward decision. The most probable pair of records (by token) is first."""
    with administrator() as connection, connection, connection.cursor() as cursor:
        cursor.execute(
            "select subject, other_subject, match_probability from matching.pairs "
            "order by match_probability desc, subject"
        )
        for subject, other_subject, probability in cursor.fetchall():
            click.echo(f"{subject} {other_subject} {probability:.3f}")


RECORD, OTHER_RECORD = click.argument("token"), click.argument("other_token")


@match.command()
@RECORD
@OTHER_RECORD
@click.option("--same/--different", "is_same", required=True, help="Whether both records are of one person.")
@REASON
def decide(token: str, other_token: str, is_same: bool, reason: str) -> None:
    """Decide whether two records are of one person. The records are given by token."""
    from warehouse import matching

    with administrator() as connection:
        matching.decide(connection, token, other_token, is_same, reason, getpass.getuser())
    click.echo("The decision is recorded. The next matching run applies it.")


@match.command()
@RECORD
@OTHER_RECORD
def withdraw(token: str, other_token: str) -> None:
    """Withdraw the decision on two records. The records are given by token."""
    from warehouse import matching

    with administrator() as connection:
        click.echo(f"{matching.withdraw(connection, token, other_token)} decisions withdrawn")


@match.command()
def train() -> None:
    """Train the matching model on the vault. Writes warehouse/person_model.json."""
    from ingestion.contracts import read_contracts
    from warehouse import person_model

    with administrator() as connection:
        person_model.train(connection, read_contracts().values())
    click.echo(f"Wrote {person_model.MODEL}.")
    click.echo("Run `python -m benchmarks.quality` before and after, and have both reviewed.")


@click.group()
def subject() -> None:
    """Handle data subject requests and legal holds."""


@subject.command()
@click.argument("kinds", nargs=-1, required=True, type=click.Choice(get_args(Identifier)))
@click.option("--matched", is_flag=True, help="Include records that matching assigns to the same person; review them.")
def find(kinds: tuple[str, ...], matched: bool) -> None:
    """Find a person by identifiers of KINDS. Prints the tokens of the people who have all of them."""
    given = {kind: click.prompt(kind, err=True, hide_input=sys.stdin.isatty()) for kind in kinds}
    with _requests() as requests:
        for token in sorted(requests.find(given, matched)):
            click.echo(token)


@subject.command()
@TOKENS
def export(tokens: tuple[str, ...]) -> None:
    """Export all data of a person as JSON. The export has identifiers in clear."""
    with _requests() as requests:
        click.echo(json.dumps(requests.export(set(tokens)), indent=2, default=str, ensure_ascii=False))


@subject.command()
@TOKENS
def search(tokens: tuple[str, ...]) -> None:
    """Search free texts for a person's values. Prints table, row, column and kinds as JSON, a line for each text.

    The values are names, numbers, e-mail addresses, telephone numbers and street addresses.
    """
    with _requests() as requests:
        for found in requests.search_texts(set(tokens)):
            click.echo(json.dumps(found, ensure_ascii=False))


@subject.command()
@TOKENS
@CASE
@click.option("--texts", is_flag=True, help="Also redact the person's values in the free texts that `search` finds.")
def erase(tokens: tuple[str, ...], case: str, texts: bool) -> None:
    """Erase a person from the warehouse. Deletes identities, their keys and rows, then rebuilds the marts.

    Personal columns of rows that only refer to the person's rows are emptied.
    """
    from ingestion.errors import forget_all
    from warehouse.parquet import delete_files

    with _requests() as requests:
        counts = requests.erase(set(tokens), case, getpass.getuser(), texts)
        for table, count in counts.items():
            click.echo(f"{table}: {count:,} rows deleted or emptied")
        held: list[str] = []
        try:
            rebuild()
        finally:  # whatever failed, no previous publication or deleted row keeps the person's data
            for name in environment.publish_sets():
                with requests.connection, requests.connection.cursor() as cursor:
                    cursor.execute("select governance.forget_old_builds(%s)", [name])
                    held += [schema for (schema,) in cursor.fetchall()]
            requests.vacuum()
            forget_all()
            delete_files()
    if held:
        raise WarehouseError(
            f"The person is erased, except from replaced publications that readers hold: {', '.join(held)}. "
            "`warehouse status` names the sessions. When they end, the next build drops these tables."
        )
    click.echo("The person is erased. Erase the person in the source too, or the next load brings the rows back.")


@subject.command()
@TOKENS
@REASON
def hold(tokens: tuple[str, ...], reason: str) -> None:
    """Place a legal hold on a person. The person's rows are not deleted until the release."""
    with _requests() as requests:
        requests.hold(set(tokens), reason, getpass.getuser())
    click.echo("The legal hold is placed.")


@subject.command()
@TOKENS
def release(tokens: tuple[str, ...]) -> None:
    """Release the legal holds on a person."""
    with _requests() as requests:
        click.echo(f"{requests.release(set(tokens))} legal holds released")


@contextmanager
def _requests() -> Iterator["SubjectRequests"]:
    from ingestion.contracts import read_contracts
    from warehouse.subjects import SubjectRequests

    with administrator() as connection:
        yield SubjectRequests(connection, read_contracts().values())
