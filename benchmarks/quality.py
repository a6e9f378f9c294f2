"""Score of findings, moved values, addresses and person matching against the truth of a demo county.

`python -m benchmarks.quality --help`; benchmarks/README.md says what is measured and how to read the results.
"""

import argparse
import csv
from collections import Counter, defaultdict
from itertools import combinations
from pathlib import Path

import pyarrow as pa

from benchmarks import harness
from benchmarks.harness import database
from ingestion.contracts import Table, read_contracts
from ingestion.privacy import Keys

OTHER_HOME_CODES = {  # address-errors' codes of edits that give another home's address, or no home's
    *("PN2", "PN3", "PN4", "PN6", "PN7"),  # the number
    *("SU1", "SU2", "SU5", "SU7", "SU10", "SU15"),  # the flat
    *("BN4", "ST4"),  # the building's or the street's name
}
ADDRESS_MEASURES = {  # edited addresses, by what can lead back to the home
    "text": "edited, without a UPRN: has the home's key",
    "UPRN": "edited, with its UPRN: has the home's key",
    "another home": "edited to another home, without a UPRN: still has the home's key",
}

# The key of a person in findings, by token: the macro `person_key` for the set quality
FINDING_KEY = "('x' || left(md5(row(governance.key_secret(), 'quality', {})::text), 16))::bit(64)::bigint::text"


def main() -> None:
    """Run a county with a seed of its own, and compare findings, addresses and matches with its truth."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=2_027, help="the rules were written with seed 1")
    parser.add_argument("--out", type=Path, default=harness.RESULTS, help="folder for quality.md and quality.json")
    options = parser.parse_args()
    with harness.county(options.people, options.seed) as (_, folder), database("warehouse") as connection:
        facts = harness.machine(folder) | {"county": f"seed {options.seed}, {options.people:,} people"}
        with connection, connection.cursor() as cursor:
            tables = {table.label: table for system in read_contracts().values() for table in system.tables}
            faults, records = (truth(cursor, folder, kind, tables) for kind in ("faults", "records"))
            rules = score_rules(cursor, faults)
            faulty = {(row["raw_table"], row["record_key"]) for row in faults if row["rule_code"][:3] in ("ADR", "PCD")}
            people = score_people(cursor, tables, records)
            addresses, edits = score_addresses(
                cursor, [row for row in records if (row["raw_table"], row["record_key"]) not in faulty]
            )
    notes = [
        "precision: share of the findings that are injected faults; recall: share of the injected faults found.",
        "Addresses with a finding are excluded. An address is found if it has the key of the complete, unedited "
        "records of its home, if there are any. Addresses that name another home, or none, are counted apart, because "
        "their text does not tell which is meant. The edits are those of addresses matched by text alone.",
        "People: pairs of records, within one system or between two, of one person. Precision: share of the matched "
        "pairs that are one person; recall: share of the true pairs that are matched.",
    ]
    shown = {
        "Rules": rules,
        "Addresses": addresses,
        "Addresses by edit": edits,
        "People across systems": people,
    }
    harness.save("quality", options.out, facts, "Precision and recall of findings and matching", shown, notes)


def truth(cursor, folder: Path, kind: str, tables: dict[str, Table]) -> list[dict]:
    """The rows of the county's truth, with record keys as findings have them."""
    keys = Keys.current(cursor)
    rows = []
    for file in sorted((folder / "truth").glob(f"*.{kind}.csv")):
        with file.open(encoding="utf-8", newline="") as lines:
            rows += csv.DictReader(lines)
    places = defaultdict(list)
    for row in rows:
        places[row["raw_table"]].append(row)
    for label, found in places.items():
        table = tables[label]
        if not table.files and len(table.key) == 1 and table.column(table.key[0]).identifier:
            clear = pa.chunked_array([[row["record_key"] for row in found]], pa.string())
            tokens = keys.tokens(table.column(table.key[0]), table, clear).to_pylist()
            query = "select {} from unnest(%s) with ordinality as t (token, place) order by place"
            cursor.execute(query.format(FINDING_KEY.format("token")), [tokens])
            for row, (key,) in zip(found, cursor.fetchall(), strict=True):
                row["record_key"] = key
    return rows


def score_rules(cursor, truth_rows: list[dict]) -> list[dict]:
    """Precision and recall of each rule, over the tables with injected faults of the rule."""
    injected = {(row["raw_table"], row["column_name"], row["record_key"], row["rule_code"]) for row in truth_rows}
    faulty = {(table, code) for table, _, _, code in injected}
    cursor.execute("select raw_table, column_name, record_key, rule_code, moved_to_column from quality.fct_findings")
    rows = [row for row in cursor if (row[0], row[3]) in faulty]
    found, moved = {row[:4] for row in rows}, Counter(row[3] for row in rows if row[4])
    scores = []
    for code in sorted({code for _, code in faulty}):
        expected, found_of_rule = ({row for row in rows if row[3] == code} for rows in (injected, found))
        correct = len(expected & found_of_rule)
        scores.append(
            {
                "rule": code,
                "injected": len(expected),
                "found": len(found_of_rule),
                "moved to its column": moved[code],
                "precision %": _percent(correct, len(found_of_rule)),
                "recall %": _percent(correct, len(expected)),
            }
        )
    return scores


def score_people(cursor, tables: dict[str, Table], records: list[dict]) -> list[dict]:
    """Precision and recall of pairs of records of one person: of all, then by the two systems."""
    person_of: dict[tuple[str, str], Counter] = defaultdict(Counter)
    truth_rows = {(row["raw_table"], row["record_key"]): row["person"] for row in records}
    for table in (table for table in tables.values() if table.person is not None):
        key = "_source_file || ':' || _source_row" if table.files else table.key[0]
        if not table.files and table.column(table.key[0]).identifier:
            key = FINDING_KEY.format(key)
        cursor.execute(f"select {key}, {table.subject} from {table.label} where {table.subject} is not null")
        for record, subject in cursor:
            if person := truth_rows.get((table.label, str(record))):
                person_of[table.system.name, subject][person] += 1
    cursor.execute("select system, subject, person_id from matching.person_records where valid_to is null")
    found_pairs, expected = defaultdict(list), defaultdict(list)
    for system, subject, person_id in cursor:
        if persons := person_of.get((system, subject)):
            person = persons.most_common(1)[0][0]
            found_pairs[person_id].append((system, person))
            expected[person].append((system, person_id))
    matched, real, correct = Counter(), Counter(), Counter()
    for groups, pairs in ((found_pairs.values(), matched), (expected.values(), real)):
        for (one, a), (other, b) in (pair for group in groups for pair in combinations(sorted(group), 2)):
            between = f"{one} and {other}" if one != other else f"{one} alone"
            pairs.update(("all", between))
            if pairs is matched and a == b:
                correct.update(("all", between))
    return [
        {
            "systems": systems,
            "pairs": real[systems],
            "matched": matched[systems],
            "precision %": _percent(correct[systems], matched[systems]),
            "recall %": _percent(correct[systems], real[systems]),
        }
        for systems in sorted(real.keys() | matched.keys(), key=lambda name: (-real[name], name))
    ]


def score_addresses(cursor, truth_rows: list[dict]) -> tuple[list[dict], list[dict]]:
    """How many records have their home's key: in all and, for those with text alone, by edit."""
    cursor.execute(
        "select raw_table, record_key, address_key, uprn_token is not null, "
        "address_premises_token is not null and address_street_token is not null "
        "from conformed.bridge_addresses_records "
        "inner join conformed.int_addresses_unioned using (raw_table, record_key)"
    )
    found = {(table, record): facts for table, record, *facts in cursor}
    places = ((row, found.get((row["raw_table"], row["record_key"]))) for row in truth_rows if row["address"])
    records = [row | dict(zip(("key", "uprn", "is_whole"), facts, strict=True)) for row, facts in places if facts]
    clean, homes = defaultdict(Counter), defaultdict(Counter)
    for row in records:
        if not row["edits"] and row["is_whole"]:
            clean[row["address"]][row["key"]] += 1
        if not _changed(row):
            homes[row["key"]][row["address"]] += 1
    judged = [row for row in records if row["edits"] and row["address"] in clean]
    correct, total = Counter(), Counter()
    for row in judged:
        is_right = row["key"] == clean[row["address"]].most_common(1)[0][0]
        by = "UPRN" if row["uprn"] else "another home" if _changed(row) else "text"
        for group in (by, *(row["edits"].split("|") if by == "text" else ())):
            total[group] += 1
            correct[group] += is_right
    total_records = sum(sum(found.values()) for found in homes.values())
    elsewhere = total_records - sum(found.most_common(1)[0][1] for found in homes.values())
    overall = [
        {"measure": "records with an address", "records": len(records), "%": ""},
        *(
            {"measure": measure, "records": total[group], "%": _of(correct, total, group)}
            for group, measure in ADDRESS_MEASURES.items()
        ),
        {"measure": "under the key of another home", "records": elsewhere, "%": _percent(elsewhere, total_records)},
    ]
    groups = sorted(total.keys() - ADDRESS_MEASURES.keys(), key=lambda group: (-total[group], group))
    return overall, [
        {"edit": group, "records": total[group], "found %": _of(correct, total, group)} for group in groups
    ]


def _changed(row: dict) -> bool:
    return any(edit.split(":")[0] in OTHER_HOME_CODES for edit in row["edits"].split("|"))


def _of(correct: Counter, total: Counter, group: object) -> str:
    return _percent(correct[group], total[group])


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.2f}" if whole else ""


if __name__ == "__main__":
    main()
