"""How well faults, misplaced values, addresses and people are found, scored against a county that knows the truth.

`python -m benchmarks.quality --help`; what is measured and how to read it: benchmarks/README.md.
"""

import argparse
import csv
import hashlib
from collections import Counter, defaultdict
from itertools import combinations
from pathlib import Path

import pyarrow as pa

from benchmarks import harness
from benchmarks.harness import database
from ingestion.contracts import Table, read_contracts
from ingestion.privacy import Keys

ANOTHER_HOME = {  # address-errors' codes of what makes it another home's address, or leaves out which home it is
    *("PN2", "PN3", "PN4", "PN6", "PN7"),  # the number
    *("SU1", "SU2", "SU5", "SU7", "SU10", "SU15"),  # the flat
    *("BN4", "ST4"),  # the building's or the street's name is another's
}
MEASURES = {  # by what an address that was written otherwise can be found again
    "text": "written otherwise, without a UPRN: back to the home's key",
    "UPRN": "written otherwise, with its UPRN: back to the home's key",
    "another home": "naming another home, without a UPRN: yet back",
}


def main() -> None:
    """Runs a county with a seed of its own, and compares findings and addresses with its truth."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=2_027, help="the rules were written with seed 1")
    parser.add_argument("--out", type=Path, default=harness.RESULTS, help="folder for quality.md and quality.json")
    options = parser.parse_args()
    with harness.county(options.people, options.seed) as (_, folder), database("warehouse") as connection:
        facts = harness.machine(folder) | {"county": f"seed {options.seed}, {options.people:,} people"}
        with connection, connection.cursor() as cursor:
            keys = Keys.current(cursor)
            tables = {table.label: table for system in read_contracts().values() for table in system.tables}
            faults, records = (truth(folder, kind, tables, keys) for kind in ("faults", "records"))
            rules = score_rules(cursor, faults)
            spoilt = {(row["raw_table"], row["record_key"]) for row in faults if row["rule_code"][:3] in ("ADR", "PCD")}
            people = score_people(cursor, tables, records)
            addresses, edits = score_addresses(
                cursor, [row for row in records if (row["raw_table"], row["record_key"]) not in spoilt]
            )
    notes = [
        "precision: of what was found, the share that had been done; recall: of what had been done, the share found.",
        "Addresses that a rule finds fault with are left out. One counts as found where it has the key of its home's "
        "records that were written whole and without an error, if there are any. Addresses that name another home, or "
        "none, are counted apart: their text does not tell. What was done to them: of those that go by text alone.",
        "People: pairs of records, from one system or two, that are one person's. Precision: of the pairs that were "
        "made, the share that are; recall: of the pairs that there are, the share that it made.",
    ]
    shown = {
        "Rules": rules,
        "Addresses": addresses,
        "Addresses by what was done to them": edits,
        "People across systems": people,
    }
    harness.save("quality", options.out, facts, "What is found of what is wrong", shown, notes)


def truth(folder: Path, kind: str, tables: dict[str, Table], keys: Keys) -> list[dict]:
    """The rows of the county's truth, each record's key as the warehouse has it."""
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
            for row, token in zip(found, tokens, strict=True):
                row["record_key"] = finding_key(token)
    return rows


def finding_key(token: str) -> str:
    """The key of a person in findings, as the macro `person_key` makes it for the set quality."""
    digest = hashlib.md5(f"quality|{token}".encode(), usedforsecurity=False).digest()
    return str(int.from_bytes(digest[:8], "big", signed=True))


def score_rules(cursor, done: list[dict]) -> list[dict]:
    """Precision and recall of each rule, over the tables in which the county has faults of it."""
    planted = {(row["raw_table"], row["column_name"], row["record_key"], row["rule_code"]) for row in done}
    spoilt = {(table, code) for table, _, _, code in planted}
    cursor.execute("select raw_table, column_name, record_key, rule_code, moved_to_column from quality.fct_findings")
    rows = [row for row in cursor if (row[0], row[3]) in spoilt]
    found, moved = {row[:4] for row in rows}, Counter(row[3] for row in rows if row[4])
    scores = []
    for code in sorted({code for _, code in spoilt}):
        theirs, ours = ({place for place in places if place[3] == code} for places in (planted, found))
        right = len(theirs & ours)
        scores.append(
            {
                "rule": code,
                "done": len(theirs),
                "found": len(ours),
                "moved to its field": moved[code],
                "precision %": _percent(right, len(ours)),
                "recall %": _percent(right, len(theirs)),
            }
        )
    return scores


def score_people(cursor, tables: dict[str, Table], records: list[dict]) -> list[dict]:
    """Precision and recall of pairs of records that are one person's: of all, then by the two systems."""
    who: dict[tuple[str, str], Counter] = defaultdict(Counter)
    done = {(row["raw_table"], row["record_key"]): row["person"] for row in records}
    for table in (table for table in tables.values() if table.person is not None):
        key = "_source_file || ':' || _source_row" if table.files else table.key[0]
        cursor.execute(f"select {key}, {table.subject} from {table.label} where {table.subject} is not null")
        is_token = not table.files and table.column(table.key[0]).identifier
        for record, subject in cursor:
            if person := done.get((table.label, finding_key(record) if is_token else str(record))):
                who[table.system.name, subject][person] += 1
    cursor.execute("select system, subject, person_id from matching.person_records where valid_to is null")
    ours, theirs = defaultdict(list), defaultdict(list)
    for system, subject, person_id in cursor:
        if persons := who.get((system, subject)):
            person = persons.most_common(1)[0][0]
            ours[person_id].append((system, person))
            theirs[person].append((system, person_id))
    made, real, right = Counter(), Counter(), Counter()
    for groups, pairs in ((ours.values(), made), (theirs.values(), real)):
        for (one, a), (other, b) in (pair for group in groups for pair in combinations(sorted(group), 2)):
            between = f"{one} and {other}" if one != other else f"{one} alone"
            pairs.update(("all", between))
            if pairs is made and a == b:
                right.update(("all", between))
    return [
        {
            "systems": systems,
            "pairs": real[systems],
            "made": made[systems],
            "precision %": _percent(right[systems], made[systems]),
            "recall %": _percent(right[systems], real[systems]),
        }
        for systems in sorted(real.keys() | made.keys(), key=lambda name: (-real[name], name))
    ]


def score_addresses(cursor, done: list[dict]) -> tuple[list[dict], list[dict]]:
    """How many records have their home's key, whole and, where the text alone has to do, by what was done to it."""
    cursor.execute(
        "select raw_table, record_key, address_key, uprn_token is not null, "
        "address_premises_token is not null and address_street_token is not null "
        "from conformed.bridge_addresses_records "
        "inner join conformed.int_addresses_unioned using (raw_table, record_key)"
    )
    found = {(table, record): facts for table, record, *facts in cursor}
    places = ((row, found.get((row["raw_table"], row["record_key"]))) for row in done if row["address"])
    records = [row | dict(zip(("key", "uprn", "is_whole"), facts, strict=True)) for row, facts in places if facts]
    clean, homes = defaultdict(Counter), defaultdict(Counter)
    for row in records:
        if not row["edits"] and row["is_whole"]:
            clean[row["address"]][row["key"]] += 1
        if not _changed(row):
            homes[row["key"]][row["address"]] += 1
    judged = [row for row in records if row["edits"] and row["address"] in clean]
    right, total = Counter(), Counter()
    for row in judged:
        is_right = row["key"] == clean[row["address"]].most_common(1)[0][0]
        by = "UPRN" if row["uprn"] else "another home" if _changed(row) else "text"
        for group in (by, *(row["edits"].split("|") if by == "text" else ())):
            total[group] += 1
            right[group] += is_right
    placed = sum(sum(found.values()) for found in homes.values())
    alone = sum(found.most_common(1)[0][1] for found in homes.values())
    whole = [
        {"measure": "records with an address", "records": len(records), "%": ""},
        *(
            {"measure": measure, "records": total[group], "%": _of(right, total, group)}
            for group, measure in MEASURES.items()
        ),
        {"measure": "under the key of another home", "records": placed - alone, "%": _percent(placed - alone, placed)},
    ]
    groups = sorted(total.keys() - MEASURES.keys(), key=lambda group: (-total[group], group))
    return whole, [{"done": group, "records": total[group], "back %": _of(right, total, group)} for group in groups]


def _changed(row: dict) -> bool:
    return any(edit.split(":")[0] in ANOTHER_HOME for edit in row["edits"].split("|"))


def _of(right: Counter, total: Counter, group: object) -> str:
    return _percent(right[group], total[group])


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.2f}" if whole else ""


if __name__ == "__main__":
    main()
