"""Backup and restore: every row, right and row scope is restored, and later erasures are repeated."""

import json
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import psycopg2
import pytest

from ingestion.contracts import SourceError, read_contracts
from tests.readers import REDDITCH
from tests.support import Trial, Warehouse, rows
from warehouse.backup import back_up, restore
from warehouse.errors import WarehouseError
from warehouse.subjects import SubjectRequests

RIGHTS = """
    select c.oid::regclass::text, a.grantee::regrole::text, a.privilege_type
    from pg_class as c cross join aclexplode(c.relacl) as a
    where c.relnamespace <> 'information_schema'::regnamespace order by 1, 2, 3
"""
OWNERS = "select schemaname, tablename, tableowner from pg_tables where schemaname !~ '^pg_' order by 1, 2"
FOUND = "select count(*) from raw_confirm.enquiry_customer where customer_reference = %s"


@pytest.fixture
def empty(home: Path) -> Iterator[Warehouse]:
    """A working folder without a server."""
    empty = Warehouse(home / "restored")
    yield empty
    empty.remove()


def test_a_backup_restores_every_row_and_right_and_repeats_later_erasures(
    county: Warehouse, empty: Warehouse, tmp_path: Path
) -> None:
    before, rights, owners = county.figures(), county.sql(RIGHTS), county.sql(OWNERS)
    printed = county("backup", str(tmp_path))
    (folder,) = (path for path in tmp_path.iterdir() if path.is_dir())
    assert str(folder) in printed
    assert "PASSWORD" not in (folder / "globals.sql").read_text()
    ((token,),) = county.sql("select min(customer_reference) from raw_confirm.enquiry_customer")
    with closing(psycopg2.connect(county.url)) as connection:
        SubjectRequests(connection, read_contracts().values()).erase({token}, "IG-1", "somebody")
    county("backup", str(tmp_path), "--ledger-only")

    printed = empty("restore", str(folder))
    assert "Every table equals the backup." in printed
    assert "The access rights are those of access.yml." in printed
    assert county.sql("select fingerprint from governance.vault_keys")[0][0] in printed
    assert "Restore into an empty database" in empty("restore", str(folder), expect=1)
    assert (empty.sql(RIGHTS), empty.sql(OWNERS)) == (rights, owners)
    assert empty.figures() == county.figures() != before, "with the erasure that followed the backup"
    assert (empty.sql(FOUND, (token,)), county.sql(FOUND, (token,))) == ([(0,)], [(0,)])
    districts = "select district_code, count(*) from highways_redditch.fct_enquiries group by 1"
    assert rows(empty.reader_url(REDDITCH), districts) == rows(county.reader_url(REDDITCH), districts)
    runs = "select count(*) from runs"
    dagster = [rows(f"{warehouse.url}_dagster", runs) for warehouse in (county, empty)]
    assert dagster[0] == dagster[1] > [(0,)]
    locations = {system.location for system in read_contracts().values()}
    empty.places = {name: place for name, place in county.places.items() if name in locations}
    with pytest.raises(SourceError, match="no vault key in"):
        empty.load("confirm")
    shutil.copy2(county.home / "vault.key", empty.home)
    assert set(empty.load("reference").values()) == {0}, "the loads go on where the backup ended"


def test_a_damaged_or_incomplete_backup_is_not_restored_in_silence(trial: Trial, tmp_path: Path) -> None:
    name = f"{urlsplit(trial.url).path[1:]}_copy"
    for database in (f"{name[:-5]}_dagster", name):
        execute(trial.url, f'create database "{database}"')
    folder, url = back_up(trial.url, tmp_path), trial.url + "_copy"
    facts = json.loads((folder / "backup.json").read_text())
    facts["tables"]["governance.publish_sets"][1] += 1
    (folder / "backup.json").write_text(json.dumps(facts))
    assert restore(url, folder).differences == ["governance.publish_sets"]
    with pytest.raises(WarehouseError, match="Restore into an empty database"):
        restore(url, folder)
    (folder / "backup.json").unlink()
    with pytest.raises(WarehouseError, match="is not a complete backup"):
        restore(url, folder)
    for database in (f"{name[:-5]}_dagster", f"{name}_dagster", name):
        execute(trial.url, f'drop database "{database}"')
    (tmp_path / "ledger.json").unlink()
    assert "Give the ledger of erasures with `--ledger`" in Warehouse(tmp_path)("restore", str(folder), expect=1)


def execute(url: str, statement: str) -> None:
    """Run a statement that allows no transaction."""
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute(statement)
