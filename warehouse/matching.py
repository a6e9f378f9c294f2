"""Person matching: links the vault's identity records of one person across systems, and gives each person an id.

Splink (a Fellegi-Sunter model; Ministry of Justice) gives the probability that two records are of one person. Its
parameters are in person_model.json and change only by `train` and a review. Groups of records grow from the most
probable pair. A pair that would join two NHS numbers, two UPNs or different birth dates, or two forenames with one
birth date in one system, waits for a steward decision. Clear values stay in the memory of this process, which writes
tokens, probabilities and random ids.
"""

import io
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from psycopg2 import extensions as pg

from ingestion.contracts import System
from ingestion.postgres import take_lock, value_of
from warehouse.errors import VaultError
from warehouse.person_model import Pair, candidate_pairs
from warehouse.person_records import memory_database, read_people

MATCH_THRESHOLD = 0.95  # probability; a steward decides the pairs between REVIEW_THRESHOLD and this
NULL = r"\N"  # in COPY

KEEP = """
    analyze found;
    create temporary table given on commit drop as
    with before as (  -- also of a record that was deleted for a while
        select distinct on (system, subject) system, subject, person_id
        from matching.person_records order by system, subject, valid_from desc
    ), held as (
        select system, subject, person_id, min(valid_from) as since
        from matching.person_records group by system, subject, person_id
    ), ages as (
        select person_id, min(since) as since from held group by person_id
    ), shares as (
        select group_no, person_id, count(*) as records, min(since) as since
        from found inner join before using (system, subject) inner join held using (system, subject, person_id)
        group by group_no, person_id
    ), claims as (
        select distinct on (person_id) person_id, group_no from shares order by person_id, records desc, since, group_no
    ), kept as (
        select distinct on (group_no) group_no, person_id
        from claims inner join ages using (person_id) order by group_no, ages.since, person_id
    ), former as (  -- a group that is apart again has the id that its records had before they were joined
        select group_no, person_id, count(*) as records, max(valid_from) as latest
        from found inner join matching.person_records using (system, subject)
        where group_no not in (select group_no from kept) and person_id not in (select person_id from kept)
        group by group_no, person_id
    ), reclaimed as (
        select distinct on (person_id) person_id, group_no, latest
        from former order by person_id, records desc, group_no
    ), restored as (
        select distinct on (group_no) group_no, person_id
        from reclaimed order by group_no, latest desc, person_id
    ), settled as (
        select * from kept union all select * from restored
    )
    select group_no, coalesce(settled.person_id, gen_random_uuid()) as person_id, settled.person_id is null as is_new
    from (select distinct group_no from found) as groups left join settled using (group_no);
    create temporary table named on commit drop as
    select system, subject, person_id, matched_by, match_probability from found inner join given using (group_no);
    update matching.person_records as r set valid_to = now() where valid_to is null and not exists (
        select from named as n where (n.system, n.subject, n.person_id) = (r.system, r.subject, r.person_id)
    );
    update matching.person_records as r
    set matched_by = n.matched_by, match_probability = n.match_probability from named as n
    where (n.system, n.subject) = (r.system, r.subject) and r.valid_to is null
    and (n.matched_by, n.match_probability) is distinct from (r.matched_by, r.match_probability);
    insert into matching.person_records (system, subject, person_id, matched_by, match_probability)
    select * from named as n where not exists (
        select from matching.person_records as r
        where (n.system, n.subject) = (r.system, r.subject) and r.valid_to is null
    );
    select (select count(*) from given), (select count(*) from given where is_new), (
        select count(*) from matching.person_records as r where valid_from = now() and exists (
            select from matching.person_records as b where (b.system, b.subject) = (r.system, r.subject)
            and b.valid_to = now()
        )
    ), (select max(greatest(valid_from, valid_to)) from matching.person_records)
"""


class MatchResult(NamedTuple):
    """Result of a matching run."""

    records: int
    people: int
    new_people: int
    moved_records: int  # to another person
    pairs_to_decide: int
    changed_at: datetime | None  # time of the last change of a record's person


MatchReason = tuple[str, float | None]  # matched_by and match_probability of matching.person_records


class Record(NamedTuple):
    """A person in one system: the token, and every NHS number, birth date, UPN and NINO that the system has."""

    system: str
    subject: str
    nhs_numbers: list[str | None]
    birth_dates: list[str | None]
    upns: list[str | None] = []  # noqa: RUF012 - of a tuple, and never changed
    ninos: list[str | None] = []  # noqa: RUF012


def match(connection: pg.connection, systems: Iterable[System]) -> MatchResult:
    """Matches every record and updates matching.person_records; `connection` has svc_match's login.

    A person keeps the same random id from run to run. When two people become one, the older id stays; when one becomes
    two, the id stays with most of the records. An id is never used for another person.
    """
    with connection, connection.cursor() as cursor, memory_database() as database:
        take_lock(cursor, "matching", is_exclusive=True)
        take_lock(cursor, "raw_tables", is_exclusive=False)  # no erasure, key rotation or build runs at the same time
        read_people(connection, systems, database)
        pairs = candidate_pairs(database)
        found = database.execute(
            "select system, subject, list(distinct nhs_number), list(distinct born), "
            "list_distinct(flatten(list(coalesce(upn, [])))), list_distinct(flatten(list(coalesce(nino, [])))) "
            "from who inner join people using (who) group by system, subject order by any_value(who)"
        ).fetchall()
        records = [Record(*row) for row in found]
        cursor.execute("select is_same, subject, other_subject from matching.decisions where withdrawn_at is null")
        return _store(cursor, records, *_group(records, pairs, cursor.fetchall()))


def decide(
    connection: pg.connection, subject: str, other_subject: str, is_same: bool, reason: str, decided_by: str
) -> None:
    """Records a steward decision on two records, which replaces earlier decisions on them.

    Raises VaultError where matching does not know both records.
    """
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "select count(distinct subject) from matching.person_records where subject = any(%s) and valid_to is null",
            [[subject, other_subject]],
        )
        if value_of(cursor) < 2:
            raise VaultError(
                "Matching does not know both of these tokens. `warehouse match pairs` prints the pairs to decide."
            )
        _withdraw(cursor, subject, other_subject)
        cursor.execute(
            "insert into matching.decisions (subject, other_subject, is_same, reason, decided_by) "
            "values (%s, %s, %s, %s, %s)",
            [subject, other_subject, is_same, reason, decided_by],
        )


def withdraw(connection: pg.connection, subject: str, other_subject: str) -> int:
    """Withdraws the decisions on two records; returns their number."""
    with connection, connection.cursor() as cursor:
        return _withdraw(cursor, subject, other_subject)


def _withdraw(cursor: pg.cursor, subject: str, other_subject: str) -> int:
    cursor.execute(
        "update matching.decisions set withdrawn_at = now() "
        "where withdrawn_at is null and array[subject, other_subject] @> %s",
        [[subject, other_subject]],
    )
    return cursor.rowcount


def _group(
    records: list[Record], pairs: list[Pair], decisions: list[tuple[Any, ...]]
) -> tuple[list[int], dict[int, MatchReason], list[Pair]]:
    """Each record's group, each record's match reason, and the pairs for a steward to decide."""
    number = {record.subject: n for n, record in enumerate(records)}
    group, members = list(range(len(records))), {n: [n] for n in range(len(records))}
    numbers = [set(filter(None, record.nhs_numbers)) for record in records]
    birth_dates = [set(filter(None, record.birth_dates)) for record in records]
    others = [[set(filter(None, values)) for values in (record.upns, record.ninos)] for record in records]
    apart: dict[int, set[int]] = defaultdict(set)
    reasons: dict[int, MatchReason] = {}

    def join(one: int, other: int, reason: MatchReason) -> None:
        into, merged = sorted((group[one], group[other]), key=lambda g: (-len(members[g]), g))
        for n in (one, other):
            reasons.setdefault(n, reason)
        for n in members[merged]:
            group[n] = into
        members[into] += members.pop(merged)
        numbers[into] |= numbers[merged]
        birth_dates[into] |= birth_dates[merged]
        for kept, added in zip(others[into], others[merged], strict=True):
            kept |= added

    for is_same, *subjects in decisions:
        if all(subject in number for subject in subjects):
            one, other = (number[subject] for subject in subjects)
            if not is_same:
                apart[one].add(other)
                apart[other].add(one)
            elif group[one] != group[other]:
                join(one, other, ("steward", None))
    undecided = []
    for pair in pairs:
        into, merged = (group[pair.one], group[pair.other])
        if into == merged:
            continue
        if any(apart[n] & set(members[merged]) for n in members[into] if n in apart):
            continue
        if (
            pair.probability >= MATCH_THRESHOLD
            and len(numbers[into] | numbers[merged]) < 2
            # a pupil may have a former UPN, so the two share one; twins have one each
            and all(not a or not b or a & b for a, b in zip(others[into], others[merged], strict=True))
            and (pair.has_number or pair.has_forename or not _are_twins(records[pair.one], records[pair.other]))
            and all(_may_be_equal(a, b) for a in birth_dates[into] for b in birth_dates[merged])
        ):
            join(pair.one, pair.other, ("number" if pair.has_number else "similarity", pair.probability))
        else:
            undecided.append(pair)
    return group, reasons, [pair for pair in undecided if group[pair.one] != group[pair.other]]


def _are_twins(one: Record, other: Record) -> bool:
    """Whether two records with different forenames are of one system and one birth date, which twins are."""
    return one.system == other.system and bool(set(filter(None, one.birth_dates)) & set(other.birth_dates))


def _may_be_equal(one: str, other: str) -> bool:
    """Whether two birth dates (ISO 8601) differ by at most one digit, or by day and month swapped."""
    return sum(a != b for a, b in zip(one, other, strict=False)) < 2 or one == f"{other[:5]}{other[8:10]}-{other[5:7]}"


def _store(
    cursor: pg.cursor, records: list[Record], group: list[int], reasons: dict[int, MatchReason], undecided: list[Pair]
) -> MatchResult:
    """Updates matching.person_records and matching.pairs from the groups."""
    cursor.execute(
        "create temporary table found (system text, subject text, group_no bigint, matched_by text, "
        "match_probability double precision) on commit drop"
    )
    lines = io.StringIO()
    for n, record in enumerate(records):
        matched_by, probability = reasons.get(n, ("unmatched", None))
        shown = NULL if probability is None else probability
        lines.write(f"{record.system}\t{record.subject}\t{group[n]}\t{matched_by}\t{shown}\n")
    lines.seek(0)
    cursor.copy_expert("copy found from stdin", lines)
    cursor.execute(KEEP)
    ((people, new_people, moved, changed_at),) = cursor.fetchall()
    cursor.execute("delete from matching.pairs")
    lines = io.StringIO(
        "".join(f"{records[one][1]}\t{records[other][1]}\t{probability}\n" for one, other, probability, *_ in undecided)
    )
    cursor.copy_expert("copy matching.pairs (subject, other_subject, match_probability) from stdin", lines)
    return MatchResult(len(records), people, new_people, moved, len(undecided), changed_at)
