"""Row scopes: a login with a row scope learns nothing of other rows, at any moment of a publication."""

from contextlib import closing, suppress

import psycopg2
import pytest

from tests.builds import Builds, locked
from tests.readers import REDDITCH, SCOPES
from tests.support import TRIALS, Trial, rows
from warehouse import environment

WYRE = "pbi_highways_wyre_valleys"
HERE, ELSEWHERE = "E07000236", "E07000234"
FACTS = f"""
    select n::integer as defect_key, case when mod(n, 10) = 0 then '{HERE}' else '{ELSEWHERE}' end as district_code,
        case when mod(n, 10) = 0 then n::text else 'secret ' || n end as number_text, date '2026-01-01' as date
    from generate_series(1, 100) as n
"""
TABLES = {"dim_dates": "select date '2026-01-01' as date", "fct_defects": FACTS, "fct_totals": "select 100 as defects"}


def ask(login: str, query: str) -> list[tuple]:
    """Return the answer to a query of a reader."""
    return rows(environment.reader_url(login), query)


@pytest.fixture
def published(trial: Trial) -> Builds:
    """A published set with row scopes, and statistics as autovacuum makes them."""
    builds = Builds(trial)
    assert builds.run(**TABLES) == []
    trial.sql("analyze")
    return builds


def test_a_scope_has_its_rows_and_its_whole_tables_only(published: Builds) -> None:
    tables = "select string_agg(tablename, ' ' order by 1) from pg_tables where schemaname = '{}'"
    for login, schema, count in ((REDDITCH, "highways_redditch", 10), (WYRE, "highways_wyre_valleys", 90)):
        assert ask(login, tables.format(schema)) == [("dim_dates fct_defects",)]
        assert ask(login, f"select count(*), count(distinct district_code) from {schema}.fct_defects") == [(count, 1)]
        assert ask(login, f"select count(*) from {schema}.dim_dates") == [(1,)]
    assert published.trial.sql("select * from governance.access_differences()") == []


REFUSED = """
    select count(*) from highways.fct_defects
    select count(*) from highways.dim_dates
    select count(*) from highways_wyre_valleys.fct_defects
    explain select * from highways.fct_defects where district_code = 'E07000234'
    explain (analyze) select * from highways.fct_defects
    select reltuples from pg_class where relname = 'fct_defects'
    select relpages from pg_class where relname = 'fct_defects'
    select to_jsonb(c) from pg_class as c
    select * from pg_class
    table pg_statistic
    select pg_relation_size({table})
    select pg_relation_size({table}, 'main')
    select pg_table_size({table})
    select pg_total_relation_size({table})
    select pg_indexes_size({table})
    select pg_database_size(current_database())
    select pg_stat_get_live_tuples({table})
    select pg_stat_get_tuples_inserted({table})
    select pg_stat_get_xact_tuples_inserted({table})
    select n_live_tup from pg_stat_all_tables
    select seq_tup_read from pg_stat_user_tables
    select idx_tup_read from pg_stat_all_indexes
    select heap_blks_read from pg_statio_all_tables
    select tup_inserted from pg_stat_database
"""


def test_a_scoped_login_is_refused_counts_sizes_and_estimates(published: Builds) -> None:
    ((table,),) = published.trial.sql("select 'highways.fct_defects'::regclass::oid")
    answered = []
    for statement in REFUSED.strip().splitlines():
        with suppress(psycopg2.errors.InsufficientPrivilege):
            answered.append((statement, ask(REDDITCH, statement.format(table=table))))
    assert answered == []


def test_plans_statistics_and_errors_of_a_scope_are_of_its_rows(published: Builds) -> None:
    for condition in ("true", f"district_code = '{ELSEWHERE}'", "defect_key > 0 and number_text::integer > 0"):
        query = f"select * from highways_redditch.fct_defects where {condition}"
        assert all(district == HERE for _, district, *_ in ask(REDDITCH, query)), "and no error of a hidden row"
        plan = "\n".join(line for (line,) in ask(REDDITCH, f"explain (analyze, costs off, buffers off) {query}"))
        assert "Rows Removed by Filter: 90" not in plan
        estimate = ask(REDDITCH, f"explain (format json) {query}")[0][0][0]["Plan"]["Plan Rows"]
        assert estimate <= 10
    statistics = "select schemaname, n_distinct, most_common_vals::text from pg_stats where schemaname !~ '^(pg_|inf)'"
    assert {row[0] for row in ask(REDDITCH, statistics)} == {"highways_redditch"}
    assert ELSEWHERE not in str(ask(REDDITCH, statistics))


def test_a_service_and_a_reader_of_whole_sets_see_sizes(published: Builds) -> None:
    size = "select pg_table_size('highways.fct_defects') > 0, (select max(reltuples) > 0 from pg_class)"
    assert ask("pbi_highways", size) == published.sql(size) == [(True, True)]


def test_a_client_lists_the_tables_columns_and_comments_of_a_scope(published: Builds) -> None:
    with locked() as builder:
        published.begin(builder)
        published.make(**TABLES)
        published.sql(
            "comment on table highways__next.fct_defects is 'Defects.'; "
            "comment on column highways__next.fct_defects.date is 'Day.'"
        )
        assert published.publish(*TABLES) == []
    tables = "select table_name from information_schema.tables where table_schema = 'highways_redditch' order by 1"
    assert ask(REDDITCH, tables) == [("as_at",), ("dim_dates",), ("fct_defects",)]
    columns = "select count(*) from information_schema.columns where table_schema = 'highways_redditch'"
    assert ask(REDDITCH, f"{columns} and table_name <> 'as_at'") == [(5,)]
    comments = "select obj_description(c), col_description(c, 4) from to_regclass('highways_redditch.fct_defects') as c"
    assert ask(REDDITCH, comments) == [("Defects.", "Day.")]


def test_a_statement_that_began_before_the_swap_sees_the_rows_of_the_scope(published: Builds) -> None:
    """PostgreSQL looks a table up by its present name, and its rows by the statement's older snapshot."""
    with locked() as builder:
        published.begin(builder)
        published.make(**TABLES)
        assert published.publish(*TABLES, steps=("prepare_publication",)) == []
        with closing(psycopg2.connect(environment.reader_url(REDDITCH))) as reader, reader.cursor() as cursor:
            reader.set_session(isolation_level="REPEATABLE READ")
            cursor.execute("select 1")
            assert published.publish(*TABLES, steps=("publish",)) == []
            cursor.execute("select count(*) from highways_redditch.fct_defects")
            assert cursor.fetchone() == (10,)


def test_scopes_are_replaced_rolled_back_and_dropped_with_their_set(published: Builds) -> None:
    version = "select min(number_text) from highways_redditch.fct_defects"
    for number in (2, 3, 4):
        assert published.run(**TABLES | {"fct_defects": FACTS.replace("n::text", f"'{number}'")}) == []
    schemas = "select nspname from pg_namespace where nspname ~ '^highways_redditch' order by oid"
    assert [name.partition("__")[0] for (name,) in published.trial.sql(schemas)] == ["highways_redditch"] * 3
    assert ask(REDDITCH, version) == [("4",)]
    published.sql("select governance.roll_back('highways')")
    assert ask(REDDITCH, version) == [("3",)]
    assert published.trial.sql("select * from governance.access_differences()") == []
    published.trial.sql("select governance.forget_old_builds('highways')")
    assert published.trial.sql(schemas) == [("highways_redditch",)]


def test_a_changed_scope_applies_to_the_publication_and_to_a_roll_back(
    published: Builds, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial, count = published.trial, "select count(*) from highways_redditch.fct_defects"
    assert published.run(**TABLES) == []
    with closing(psycopg2.connect(environment.reader_url(REDDITCH))) as connection, connection.cursor() as cursor:
        cursor.execute("declare page cursor with hold for select * from highways_redditch.fct_defects")
        connection.commit()
        monkeypatch.setattr(
            environment,
            "row_scopes",
            lambda: [s | {"row_values": [ELSEWHERE]} for s in SCOPES if s["scope"] == "redditch"],
        )
        environment.prepare(systems=TRIALS)
        cursor.execute(count)
        assert cursor.fetchone() == (90,)
        cursor.execute("select count(*) from highways_redditch.as_at")
        assert cursor.fetchone() == (1,)
    assert trial.sql("select to_regclass('highways_wyre_valleys.fct_defects')") == [(None,)], "the scope was removed"
    assert trial.sql("select difference from governance.scope_differences()") == []
    published.sql("select governance.roll_back('highways')")
    assert ask(REDDITCH, count) == [(90,)]
    with pytest.raises(psycopg2.Error):
        ask(WYRE, "select count(*) from highways_wyre_valleys.fct_defects")


def test_a_scope_reads_the_old_rows_until_the_new_ones_are_published(published: Builds) -> None:
    with locked() as builder:
        published.begin(builder)
        published.make(**TABLES | {"fct_defects": f"{FACTS} union all select 1000, '{HERE}', '', date '2026-01-01'"})
        count = "select count(*) from highways_redditch.fct_defects"
        with closing(psycopg2.connect(environment.reader_url(REDDITCH))) as connection, connection.cursor() as cursor:
            cursor.execute(count)
            assert published.publish(*TABLES) == []
            cursor.execute(count)
            assert cursor.fetchone() == (11,)
    assert published.trial.sql("select had_lock from governance.publications order by publication_id desc limit 1") == [
        (False,)
    ], "a scoped reader in a transaction counts as a reader of the set"


SPY = "create function staging.spy() returns boolean language sql as 'select exists (select from pg_class)';"
TRAPS = {
    "a view": "create view highways__next.fct_two as select staging.spy() as district_code",
    "a materialised view": "create materialized view highways__next.fct_two as select 'x' as district_code",
    "a policy": "create table highways__next.fct_two (district_code text); "
    "alter table highways__next.fct_two enable row level security, force row level security; "
    "create policy spy on highways__next.fct_two using (staging.spy())",
    "a type": "create type staging.t as enum ('x'); create table highways__next.fct_two (district_code staging.t)",
}


@pytest.mark.parametrize("trap", TRAPS)
def test_only_plain_tables_are_counted_and_published(trial: Trial, trap: str) -> None:
    """The functions run with the owner's rights: code of dbt's login must not run in them."""
    builds = Builds(trial)
    note = "select governance.note_table('highways', 'fct_two', 'build 1')"
    with locked() as builder:
        builds.begin(builder)
        builds.make(**TABLES)
        with pytest.raises(psycopg2.errors.RaiseException, match="fct_two is not a plain table"):
            builds.sql(f"{SPY} {TRAPS[trap]}; {note}")
        made = TRAPS[trap].split("; ", 1)
        builds.sql(f"{SPY} create table highways__next.fct_two (district_code text); {note}")
        if trap == "a policy":
            builds.sql(made[1])
            assert builds.publish(*TABLES, "fct_two") == ["fct_two is not a plain table"]
        else:
            builds.sql(f"drop table highways__next.fct_two; {TRAPS[trap]}")
            assert builds.publish(*TABLES, "fct_two") == ["table fct_two was changed after this build made it"]


def test_dbt_cannot_change_what_a_scope_shows(published: Builds) -> None:
    for statement in (
        "insert into highways_redditch.fct_defects select * from highways.fct_defects",
        "create table highways_redditch.fct_two ()",
        "drop table highways_redditch.fct_defects",
        "select governance.make_scopes(1)",
    ):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            published.sql(statement)
    assert published.trial.sql("select * from governance.access_differences()") == []
