"""Person matching: links the vault's identity records of one person across systems, and gives each person an id.

Splink (a Fellegi-Sunter model; Ministry of Justice) gives the probability that two records are of one person. Its
parameters are in person_model.json and change only by `train` and a review. Groups of records grow from the most
probable pair. A pair that would join two NHS numbers, two UPNs or different birth dates, or two forenames with one
birth date in one system, waits for a steward decision. Clear values stay in the memory of this process, which writes
tokens, probabilities and random ids.
"""

import io
import json
import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from psycopg2 import extensions as pg

from ingestion.contracts import CONTACT_KINDS, System, Table
from ingestion.postgres import take_lock, value_of
from ingestion.privacy import Keys, normalise
from warehouse.errors import VaultError
from warehouse.vault import decrypted_identities

if TYPE_CHECKING:
    from splink.internals.comparison_level_creator import ComparisonLevelCreator
    from splink.internals.comparison_library import CustomComparison

MODEL = Path(__file__).with_name("person_model.json")
MATCH_THRESHOLD, REVIEW_THRESHOLD = 0.95, 0.5  # probabilities; a steward decides the pairs between both
MULTIPLE_KINDS = ("upn", *CONTACT_KINDS)  # kinds of identifiers of which a person may have several over time
PRIOR = "probability_two_random_records_match"  # in MODEL multiplied by the number of records
NULL = r"\N"  # in COPY
INVALID_VALUE, INVALID_NAME = "^[^>]+$", "^NAM0[13]"  # codes of rule violations: of values not moved, of short names
FORENAME_FORMS = """
    ABIGAIL ABBY ABI|ALBERT BERT AL|ALEXANDER ALEX SANDY XANDER|ALEXANDRA ALEX SANDRA LEXI|ALFRED ALF ALFIE
    FRED|ANDREW ANDY DREW|ANTHONY TONY|ARTHUR ART|BARBARA BARB BABS|BENJAMIN BEN BENNY|BERNARD BERNIE|
    CATHERINE CATH CATHY KATE KATIE KATHERINE KATHRYN KITTY|CHARLES CHARLIE CHAS|CHARLOTTE LOTTIE CHARLIE|
    CHRISTINE CHRIS CHRISSIE|CHRISTOPHER CHRIS KIT|DANIEL DAN DANNY|DAVID DAVE DAVEY|DEBORAH DEB DEBBIE|
    DOROTHY DOT DOTTIE DOLLY|EDITH EDIE|EDWARD ED EDDIE TED TEDDY NED|ELEANOR ELLIE NELL NORA|ELIZABETH LIZ
    LIZZIE BETH BETTY ELSIE LIBBY ELIZA|EMILY EM EMMY|EMMA EM|FLORENCE FLO FLOSSIE|FRANCES FRAN FANNY|
    FRANCIS FRANK FRANKIE|FREDERICK FRED FREDDIE|GEORGE GEORGIE|GEORGINA GEORGIE GINA|GERALD GERRY|GREGORY
    GREG|HAROLD HARRY HAL|HARRIET HATTIE|HENRY HARRY HAL|HUGH HUGO|IMOGEN IMMY|ISAAC ZAC IKE|ISABELLA
    BELLA IZZY ISABEL|JACOB JAKE|JAMES JIM JIMMY JAMIE|JANET JAN|JENNIFER JEN JENNY|JESSICA JESS JESSIE|
    JOAN JOANIE|JOANNA JO JOANNE|JOHN JACK JOHNNY|JONATHAN JON|JOSEPH JOE JOEY|JOSEPHINE JO JOSIE|JOSHUA
    JOSH|KENNETH KEN|LAWRENCE LARRY LAURIE|LEONARD LEN LENNY LEO|LOUIS LOU LEWIS|LUCAS LUKE|MARGARET
    MAGGIE MEG PEGGY MARGE RITA DAISY|MARTIN MARTY|MARY MOLLY POLLY MAY|MATTHEW MATT|MAXWELL MAX|MEGAN MEG|
    MICHAEL MIKE MICK MICKEY|MOHAMMED MUHAMMAD MOHAMED MOHAMMAD MO|NATALIE NAT|NATHANIEL NAT NATHAN|NICHOLAS
    NICK NICKY|NICOLA NICKY NIKKI|OLIVER OLLIE|OLIVIA LIV LIVVY|PAMELA PAM|PATRICIA PAT TRISH|PATRICK PAT
    PADDY|PETER PETE|PHILIP PHIL PIP|PHILIPPA PIPPA|REBECCA BECKY BEX|RICHARD DICK RICK RICH RICHIE|ROBERT
    BOB BOBBY ROB ROBBIE BERT|RONALD RON RONNIE|ROSEMARY ROSE ROSIE|SAMANTHA SAM|SAMUEL SAM SAMMY|SARAH
    SALLY SADIE SARA|STANLEY STAN|STEPHEN STEVE STEVEN|SUSAN SUE SUSIE|THEODORE THEO TED|THERESA TERRY
    TESS|THOMAS TOM TOMMY|TIMOTHY TIM|TOBIAS TOBY|VERONICA RONNIE|VICTORIA VICKY TORI|VINCENT VINCE|
    VIOLET VI|WILLIAM BILL BILLY WILL LIAM|ZACHARY ZAC
"""  # forms of one forename, separated by bars
# One row per distinct set of attributes of a record. `who` numbers the records.
PEOPLE = r"""
    create macro words(text) as list_filter(
        string_split_regex(
            regexp_replace(
                regexp_replace(
                    upper(strip_accents(text)), '^\s*((MR|MRS|MS|MISS|DR|REV|PROF)\b\.?\s*)+', ''
                ), '[^A-Z ]', '', 'g'
            ), ' +'
        ), lambda word: word <> ''
    );
    create table who as select row_number() over (order by system, subject) - 1 as who, system, subject
    from (select distinct system, subject from attributes);
    create table people as
    with attribute_sets as (
        select distinct who.who, words(forename)[1] as forename, words(surname)[-1] as surname, born, nhs_number
        from attributes inner join who using (system, subject)
    ), forms as (
        select form, list(number) as forms
        from (select form, number from given_forms) group by form
    ), identifier_lists as (
        select who.who, {lists}
        from identifiers inner join who using (system, subject) group by who.who
    )
    select
        row_number() over (order by attribute_sets.who, forename, surname, born, nhs_number) as unique_id,
        attribute_sets.*, forms.forms, identifier_lists.* exclude (who)
    from attribute_sets left join forms on attribute_sets.forename = forms.form
    left join identifier_lists on attribute_sets.who = identifier_lists.who;
    drop table attributes; drop table identifiers
"""

# A group keeps the oldest person id of which most records are in the group, or as many as elsewhere and the first
# holder is here; otherwise it gets a new id
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
    """A person in one system: the token, and every NHS number, birth date and UPN that the system has."""

    system: str
    subject: str
    nhs_numbers: list[str | None]
    birth_dates: list[str | None]
    upns: list[str | None] = []  # noqa: RUF012 - of a tuple, and never changed


class Pair(NamedTuple):
    """Two records, by their numbers in `who`: match probability, whether they share an NHS number or UPN, and whether
    their forenames agree.
    """

    one: int
    other: int
    probability: float
    has_number: bool
    has_forename: bool = True


def match(connection: pg.connection, systems: Iterable[System]) -> MatchResult:
    """Matches every record and updates matching.person_records; `connection` has svc_match's login.

    A person keeps the same random id from run to run. When two people become one, the older id stays; when one becomes
    two, the id stays with most of the records. An id is never used for another person.
    """
    with connection, connection.cursor() as cursor, _database() as database:
        take_lock(cursor, "matching", is_exclusive=True)
        take_lock(cursor, "raw_tables", is_exclusive=False)  # no erasure, key rotation or build runs at the same time
        _read_people(connection, systems, database)
        pairs = _candidate_pairs(database)
        found = database.execute(
            "select system, subject, list(distinct nhs_number), list(distinct born), "
            "list_distinct(flatten(list(coalesce(upn, [])))) "
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


def train(connection: pg.connection, systems: Iterable[System]) -> None:
    """Estimates the model's parameters from the vault's identity records, and writes MODEL."""
    import splink.comparison_level_library as level
    import splink.comparison_library as comparison
    from splink import DuckDBAPI, Linker, SettingsCreator, block_on

    def compared(name: str, *levels: "ComparisonLevelCreator") -> "CustomComparison":
        agreeing: list[ComparisonLevelCreator | dict[str, Any]] = [level.NullLevel(name), *levels, level.ElseLevel()]
        return comparison.CustomComparison(output_column_name=name, comparison_levels=agreeing)

    near = level.CustomLevel("damerau_levenshtein(born_l, born_r) = 1", "one digit")
    swapped = level.CustomLevel(
        "born_l = substr(born_r, 1, 5) || substr(born_r, 9, 2) || '-' || substr(born_r, 6, 2)", "day and month swapped"
    )
    shared = {name: level.ArrayIntersectLevel(name, min_intersection=1) for name in (*MULTIPLE_KINDS, "forms")}
    settings = SettingsCreator(
        link_type="dedupe_only",
        comparisons=[
            compared(
                "forename",
                level.ExactMatchLevel("forename", term_frequency_adjustments=True),
                shared["forms"],
                level.JaroWinklerLevel("forename", 0.88),
            ),
            compared(
                "surname",
                level.ExactMatchLevel("surname", term_frequency_adjustments=True),
                level.JaroWinklerLevel("surname", 0.9),
            ),
            compared(
                "born",
                level.ExactMatchLevel("born"),
                swapped,
                near.configure(m_probability=0.005, fix_m_probability=True),
            ),
            comparison.ExactMatch("nhs_number").configure(
                m_probabilities=[0.99, 0.01], u_probabilities=[1e-7, 1 - 1e-7]
            ),
            *(compared(name, shared[name]) for name in ("upn", "email", "telephone")),
            compared("address", shared["address"], shared["postcode"]),
        ],
        blocking_rules_to_generate_predictions=[
            block_on("nhs_number"),
            block_on("upn", arrays_to_explode=["upn"]),
            block_on("email", arrays_to_explode=["email"]),
            block_on("born", "substr(surname, 1, 2)"),
            block_on("born", "substr(forename, 1, 2)"),
            block_on("address", "substr(forename, 1, 1)", arrays_to_explode=["address"]),
            block_on("postcode", "surname", arrays_to_explode=["postcode"]),
            block_on("telephone", "surname", arrays_to_explode=["telephone"]),
        ],
        additional_columns_to_retain=["who"],
    )
    with connection, _database() as database:
        _read_people(connection, systems, database)
        linker = Linker("people", settings, DuckDBAPI(database))
        training = linker.training
        training.estimate_probability_two_random_records_match(
            [block_on("nhs_number"), block_on("born", "surname")], 0.8
        )
        training.estimate_u_using_random_sampling(max_pairs=2_000_000, seed=1)
        for given in (block_on("born", "surname"), block_on("born", "forename"), block_on("forename", "surname")):
            training.estimate_parameters_using_expectation_maximisation(given)
        model = linker.misc.save_model_to_json()
        ((people,),) = database.execute("select count(*) from people").fetchall()
    del model["linker_uid"]  # different each time
    model[PRIOR] *= people  # so that the model fits any number of people
    MODEL.write_text(json.dumps(model, indent=1) + "\n", encoding="utf-8")


@contextmanager
def _database() -> Iterator[duckdb.DuckDBPyConnection]:
    """A database in memory, which writes no clear value to a disk."""
    logging.getLogger("splink").setLevel(logging.ERROR)
    database = duckdb.connect(config={"temp_directory": "", "memory_limit": "3GB", "threads": 2})
    try:
        yield database
    finally:
        database.close()


def _read_people(connection: pg.connection, systems: Iterable[System], database: duckdb.DuckDBPyConnection) -> None:
    """Fills `people` from the vault: names, birth dates, identifiers, addresses and contact details."""
    database.execute(
        "create table attributes (system text, subject text, forename text, surname text, born text, nhs_number text);"
        "create table identifiers (system text, subject text, kind text, value text)"
    )
    with connection.cursor() as cursor:
        cursor.execute("select exists (select from vault.identities)")
        keys = Keys.current(cursor) if value_of(cursor) else None  # an empty vault needs no key
    if keys:
        for table in (table for system in systems for table in system.tables if table.is_matching_source):
            for clear in decrypted_identities(connection, table, keys):
                _add_identities(database, table, keys, clear)
    forms = [(form, n) for n, line in enumerate(FORENAME_FORMS.split("|")) for form in line.split()]
    database.register("given_forms", pa.table({"form": [form for form, _ in forms], "number": [n for _, n in forms]}))
    lists = ", ".join(f"list(distinct value) filter (where kind = '{kind}') as {kind}" for kind in MULTIPLE_KINDS)
    database.execute(PEOPLE.format(lists=lists))


def _add_identities(database: duckdb.DuckDBPyConnection, table: Table, keys: Keys, clear: pa.Table) -> None:
    """Adds a chunk of identity records to `attributes` and `identifiers`, without values that violate a rule."""
    texts = {name: clear[name] for name in clear.column_names}
    forms, codes = normalise(table, texts)
    values: dict[str, list[pa.ChunkedArray]] = defaultdict(list)
    for column in table.identifiers:
        value = forms[column.name][""]
        if column.name in codes:
            value = _without(value, codes[column.name], INVALID_VALUE)
        values[column.kind].append(pc.if_else(pc.equal(value, ""), None, value))
        if column.identifier == "address":  # finds an address without a postcode by street and town
            values["address"].append(forms[column.name]["street"])
    subject = table.subject_column
    who = {
        "system": pa.repeat(table.system.name, len(clear)),
        "subject": keys.tokens_of_normalised(subject, table, forms[subject.name][""]),
    }
    if table.person is not None:
        empty = pa.nulls(len(clear), pa.string())
        names = [_without(texts[name], codes[name], INVALID_NAME) for name in table.person] or [empty]
        added = pa.table(
            who
            | {"forename": names[0], "surname": names[-1]}
            | {kind: (values.get(kind) or [empty])[0] for kind in ("date_of_birth", "nhs_number")}
        )
        database.from_arrow(added).filter("subject is not null").insert_into("attributes")
    for kind in MULTIPLE_KINDS:
        for value in values[kind]:
            added = pa.table(who | {"kind": pa.repeat(kind, len(clear)), "value": value})
            database.from_arrow(added).filter("subject is not null and value is not null").insert_into("identifiers")


def _without(values: pa.ChunkedArray, codes: pa.ChunkedArray, violations: str) -> pa.ChunkedArray:
    """The values, with null for those whose codes match the pattern `violations`."""
    return pc.if_else(pc.fill_null(pc.match_substring_regex(codes, violations), False), None, values)


def _candidate_pairs(database: duckdb.DuckDBPyConnection) -> list[Pair]:
    """Pairs of records that may be of one person, the most probable first.

    A household shares surname, address and telephone. So without a common number the forenames have to agree, and
    without a common birth date or e-mail address they have to be equal. Equal forenames without a common telephone
    count only for people over 16 or without a birth date, because a child may have a parent's name.
    """
    ((people,),) = database.execute("select count(*) from people").fetchall()
    if not people:
        return []
    from splink import DuckDBAPI, Linker

    adult_born_before = date.today() - timedelta(365.25 * 16)
    model = json.loads(MODEL.read_text(encoding="utf-8"))
    model[PRIOR] /= people
    linker = Linker("people", model, DuckDBAPI(database))
    predictions = linker.inference.predict(threshold_match_probability=REVIEW_THRESHOLD).physical_name
    rows = database.execute(
        "select least(who_l, who_r) as one, greatest(who_l, who_r) as other, max(match_probability), "
        "bool_or(gamma_nhs_number > 0 or gamma_upn > 0) as has_number, "
        f"bool_or(forename_l = forename_r or list_has_any(forms_l, forms_r)) as has_forename from {predictions} "
        "where who_l <> who_r and (gamma_nhs_number > 0 or gamma_upn > 0 "
        "or (gamma_forename > 0 and (gamma_born > 0 or gamma_email > 0)) or (forename_l = forename_r "
        f"and (gamma_telephone > 0 or coalesce(born_l, born_r, '') < '{adult_born_before}'))) "
        "group by all order by has_number desc, 3 desc, 1, 2"
    ).fetchall()
    return [Pair(*row) for row in rows]


def _group(
    records: list[Record], pairs: list[Pair], decisions: list[tuple[Any, ...]]
) -> tuple[list[int], dict[int, MatchReason], list[Pair]]:
    """Each record's group, each record's match reason, and the pairs for a steward to decide."""
    number = {record.subject: n for n, record in enumerate(records)}
    group, members = list(range(len(records))), {n: [n] for n in range(len(records))}
    numbers = [set(filter(None, record.nhs_numbers)) for record in records]
    birth_dates = [set(filter(None, record.birth_dates)) for record in records]
    upns = [set(filter(None, record.upns)) for record in records]
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
        upns[into] |= upns[merged]

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
            and (not upns[into] or not upns[merged] or upns[into] & upns[merged])
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
