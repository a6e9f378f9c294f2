"""The cost of pseudonymisation: the same rows loaded with and without, in turn, in one run.

`python -m benchmarks.privacy --help`; benchmarks/README.md says what is measured and how to read the results.
"""

import argparse
import os
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from benchmarks import harness
from benchmarks.harness import Run, database

WITHOUT, FIRST, AGAIN = "without", "pseudonymised, all people new", "pseudonymised, all people known"
SYSTEMS = {WITHOUT: "raw_benchwithout", FIRST: "raw_benchwith", AGAIN: "raw_benchwith"}
PEOPLE = {  # name: (type, expression of the person's number i, kind of identifier)
    "person_no": ("bigint", "i", "person_number"),
    "nhs_no": ("text", "(4000000000 + i * 7)::text", "nhs_number"),
    "family_name": ("text", "'Name' || chr(97 + (i % 26)::integer) || left(md5((i % 9000)::text), 5)", "name"),
    "given_name": ("text", "'Given' || left(md5((i % 700)::text), 4)", "name"),
    "born_on": ("date", "date '1930-01-01' + (i % 33000)::integer", "date_of_birth"),
    "address": ("text", "i % 140 || ' Example Street ' || left(md5((i / 140)::text), 8)", "address"),
    "email": ("text", "case when i % 3 > 0 then 'person' || i || '@example.org' end", "email"),
    "telephone": ("text", "case when i % 4 > 0 then '01632 ' || lpad((i % 1000000)::text, 6, '0') end", "telephone"),
    "need": ("text", "'Need ' || i % 40", None),
    "team": ("text", "'Team ' || i % 90", None),
    "updated_at": ("timestamptz", "timestamptz '2016-01-01 00:00:00Z' + i * interval '127 seconds'", None),
}
EVENTS = {  # by the event's number i; each person has ten
    "event_no": ("bigint", "i", None),
    "person_no": ("bigint", "1 + i * 7919 % {people}", "person_number"),
    "nhs_no": ("text", "(4000000000 + (1 + i * 7919 % {people}) * 7)::text", "nhs_number"),
    **{f"code_{n}": ("text", f"'C{n}-' || i % {97 * n}", None) for n in range(1, 6)},
    "note": ("text", "case when i % 7 > 0 then 'Visited, \"no answer\"; ' || i % 1000 end", None),
    "hours": ("numeric(8,2)", "(i % 800) / 100.0", None),
    "amount": ("numeric(18,2)", "(i * 7919 % 10000000) / 100.0", None),
    "score": ("double precision", "sqrt(i::double precision)", None),
    "is_planned": ("boolean", "i % 3 = 0", None),
    "began_at": ("timestamptz", "timestamptz '2015-01-01 00:00:00Z' + i * interval '131 seconds'", None),
    "ended_at": ("timestamptz", "timestamptz '2015-01-01 01:00:00Z' + i * interval '131 seconds'", None),
}
TABLES = {"people": PEOPLE, "events": EVENTS}


def main() -> None:
    """Load each selection of tables both ways, round after round, and write the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=200_000, help="each has ten events")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--timeout", type=int, default=900, help="seconds after which a run is stopped and counts as failed"
    )
    parser.add_argument("--out", type=Path, default=harness.RESULTS, help="folder for privacy.md and privacy.json")
    options = parser.parse_args()
    sizes = {"people": options.people, "events": 10 * options.people}
    choices = {"people and their events": ["people", "events"], "events": ["events"], "people": ["people"]}
    with ExitStack() as stack:
        facts = harness.machine(stack.enter_context(harness.warehouse(SYSTEMS.values())))
        with database("bench_source") as connection, connection, connection.cursor() as cursor:
            for name, columns in TABLES.items():
                made = ", ".join(f"({what})::{kind} as {column}" for column, (kind, what, _) in columns.items())
                query = f"create table {name} as select {made} from generate_series(1::bigint, {sizes[name]}) as i"
                cursor.execute(query.replace("{people}", str(options.people)))
        os.environ["BENCH_SOURCE_URL"] = harness.database_url("bench_source").replace("://", "+psycopg2://")
        runs: dict[tuple[str, str], list[Run]] = {(what, way): [] for what in choices for way in SYSTEMS}
        for _ in range(options.rounds):
            for what, way in runs:
                harness.forget_loads()
                if way == FIRST:
                    with database("warehouse") as connection, connection, connection.cursor() as cursor:
                        cursor.execute("truncate vault.identities, vault.data_keys")
                run = harness.load(_contract(SYSTEMS[way], way != WITHOUT), choices[what], options.timeout)
                if run.failure:
                    raise SystemExit(f"{what}, {way}: {run.failure}")
                runs[what, way].append(run)
                print(f"{what}, {way}: {run.seconds:.2f} s")
        with database("warehouse") as connection, connection.cursor() as cursor:
            cursor.execute("select count(*) from vault.identities")
            facts["identity records of the last load"] = f"{cursor.fetchone()[0]:,}"
    table = []
    for what, names in choices.items():
        plain = median(run.seconds for run in runs[what, WITHOUT])
        for way in SYSTEMS:
            seconds = median(run.seconds for run in runs[what, way])
            table.append(
                {
                    "rows": f"{what} ({sum(sizes[name] for name in names):,})",
                    "way": way,
                    "seconds": seconds,
                    f"x {WITHOUT}": seconds / plain,
                    "peak MB": round(max(run.peak_mb for run in runs[what, way])),
                }
            )
    notes = [
        "A person has eight identifiers, an event two; each person is in ten events. Limit: 1.25 for people and their "
        f"events, all people known. Medians of {options.rounds} rounds of all ways in turn. Each load reads, checks "
        "and loads all rows; records of new people are also encrypted and loaded into the vault."
    ]
    harness.save("privacy", options.out, facts, "Pseudonymisation", {"Loads": table}, notes)


def _contract(system: str, with_tokens: bool) -> dict:
    text = dict.fromkeys(("information_asset_owner", "data_owner", "purpose", "sharing"), "none")
    tables = []
    for name, columns in TABLES.items():
        declared = []
        for column, (kind, _, identifier) in columns.items():
            privacy = {"privacy": "personal"}
            if identifier and with_tokens:
                privacy = {"privacy": "identifier", "identifier": identifier}
            declared.append({"name": column, "data_type": kind, "description": "A column."} | privacy)
        subject = {"subject": "person_no"} if with_tokens else {}
        tables.append(
            {"name": name, "description": "One row per row.", "load": "replace", "columns": declared} | subject
        )
    return text | {
        "name": system,
        "description": "A care system for the benchmark.",
        "kind": "database",
        "location": "BENCH_SOURCE_URL",
        "schedule": "0 6 * * *",
        "time_zone": "UTC",
        "lawful_basis": "UK GDPR article 6(1)(e)",
        "retention": "P1Y",
        "freshness": {age: {"count": 1, "period": "day"} for age in ("warn_after", "error_after")},
        "tables": tables,
    }


if __name__ == "__main__":
    main()
