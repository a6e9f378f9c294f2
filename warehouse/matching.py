"""Who is who across systems: links the identity records in the vault, in clear, and gives each person an id.

Splink (a Fellegi-Sunter model; Ministry of Justice) says how likely it is that two records are one person's. Its
parameters are in person_model.json, and change only when somebody trains it anew and has that reviewed. Groups grow
from the likeliest pair on; one that would make one person of two NHS numbers or birth dates is left to a steward.
Clear values stay in this process's memory; what it writes are tokens, probabilities and random ids.
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
from ingestion.pipeline import BUILD_LOCK
from ingestion.postgres import value_of
from ingestion.privacy import Keys, normalise
from warehouse.vault import VaultError, opened

if TYPE_CHECKING:
    from splink.internals.comparison_level_creator import ComparisonLevelCreator
    from splink.internals.comparison_library import CustomComparison

MODEL = Path(__file__).with_name("person_model.json")
SURE, POSSIBLE = 0.95, 0.5  # probabilities: from the one on it is one person, between both a steward decides
MANY = ("upn", *CONTACT_KINDS)  # kinds of which a person may have several over time
CHANCE = "probability_two_random_records_match"  # in MODEL times the number of records: so many more each has
NULL = r"\N"  # as COPY reads it
UNFIT, NO_NAME = "^[^>]+$", "^NAM0[13]"  # faults of values that did not move; of names of which too little is left
FORMS = """
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
"""  # of forenames: each line's are names that one person may go by
# One row for each way in which a record's person has been described; `who` numbers the records
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
    from (select distinct system, subject from described);
    create table people as
    with spelt as (
        select distinct who.who, words(forename)[1] as forename, words(surname)[-1] as surname, born, nhs_number
        from described inner join who using (system, subject)
    ), forms as (
        select form, list(number) as forms
        from (select form, number from given_forms) group by form
    ), many as (
        select who.who, {lists}
        from held inner join who using (system, subject) group by who.who
    )
    select
        row_number() over (order by spelt.who, forename, surname, born, nhs_number) as unique_id,
        spelt.*, forms.forms, many.* exclude (who)
    from spelt left join forms on spelt.forename = forms.form left join many on spelt.who = many.who;
    drop table described; drop table held
"""

# Each group takes the oldest of the ids of which most records are in it, or else a new one
KEEP = """
    analyze found;
    create temporary table given on commit drop as
    with before as (  -- also of a record that was away for a while
        select distinct on (system, subject) system, subject, person_id
        from matching.person_records order by system, subject, valid_from desc
    ), ages as (
        select person_id, min(valid_from) as since from matching.person_records group by person_id
    ), shares as (
        select group_no, person_id, count(*) as records
        from found inner join before using (system, subject) group by group_no, person_id
    ), claims as (
        select distinct on (person_id) person_id, group_no from shares order by person_id, records desc, group_no
    ), kept as (
        select distinct on (group_no) group_no, person_id
        from claims inner join ages using (person_id) order by group_no, since, person_id
    )
    select group_no, coalesce(kept.person_id, gen_random_uuid()) as person_id, kept.person_id is null as is_new
    from (select distinct group_no from found) as groups left join kept using (group_no);
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


class Matched(NamedTuple):
    """What a run of matching found and changed."""

    records: int
    people: int
    new_people: int
    moved_records: int  # to another person than before
    pairs_to_decide: int
    changed_at: datetime | None  # when last a record became another person's


How = tuple[str, float | None]  # what brought a record to its person, and how likely the pair was


class Record(NamedTuple):
    """What the vault holds of a person, in one system: the token, and each NHS number and birth date written there."""

    system: str
    subject: str
    nhs_numbers: list[str | None]
    births: list[str | None]


class Pair(NamedTuple):
    """Two records (numbers of `who`) that may be one person's: how likely, and whether a number says so."""

    one: int
    other: int
    probability: float
    has_number: bool


def match(connection: pg.connection, systems: Iterable[System]) -> Matched:
    """Says of each record of a person whose it is, in matching.person_records; `connection` is svc_match's.

    A person's id is random, and kept from run to run. Where two people turn out to be one, the older id stays; where
    one turns out to be two, it stays with most of the records. No id is given to anybody else.
    """
    with connection, connection.cursor() as cursor, _database() as database:
        cursor.execute("select pg_advisory_xact_lock(hashtext('matching'))")
        # nobody is erased, no key is changed and no build reads meanwhile
        cursor.execute("select pg_advisory_xact_lock_shared(hashtext(%s))", [BUILD_LOCK])
        _gather(connection, systems, database)
        pairs = _pairs(database)
        found = database.execute(
            "select system, subject, list(distinct nhs_number), list(distinct born) "
            "from who inner join people using (who) group by all order by any_value(who)"
        ).fetchall()
        records = [Record(*row) for row in found]
        cursor.execute("select is_same, one, other from matching.decisions where withdrawn_at is null")
        return _keep(cursor, records, *_grouped(records, pairs, cursor.fetchall()))


def decide(connection: pg.connection, one: str, other: str, is_same: bool, reason: str, by: str) -> None:
    """Writes down what a steward decided of two records, in the place of what was decided of them before.

    Raises VaultError where matching knows no such record.
    """
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "select count(distinct subject) from matching.person_records where subject = any(%s) and valid_to is null",
            [[one, other]],
        )
        if value_of(cursor) < 2:
            raise VaultError("one of these tokens is no record's that is matched; `warehouse match pairs` shows some")
        _withdraw(cursor, one, other)
        cursor.execute(
            "insert into matching.decisions (one, other, is_same, reason, decided_by) values (%s, %s, %s, %s, %s)",
            [one, other, is_same, reason, by],
        )


def withdraw(connection: pg.connection, one: str, other: str) -> int:
    """Takes back what was decided of two records; how many decisions."""
    with connection, connection.cursor() as cursor:
        return _withdraw(cursor, one, other)


def _withdraw(cursor: pg.cursor, one: str, other: str) -> int:
    cursor.execute(
        "update matching.decisions set withdrawn_at = now() where withdrawn_at is null and array[one, other] @> %s",
        [[one, other]],
    )
    return cursor.rowcount


def train(connection: pg.connection, systems: Iterable[System]) -> None:
    """Learns from what the vault holds how often values of one person and of two agree, and writes MODEL."""
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
    shared = {name: level.ArrayIntersectLevel(name, min_intersection=1) for name in (*MANY, "forms")}
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
        _gather(connection, systems, database)
        linker = Linker("people", settings, DuckDBAPI(database))
        learn = linker.training
        learn.estimate_probability_two_random_records_match([block_on("nhs_number"), block_on("born", "surname")], 0.8)
        learn.estimate_u_using_random_sampling(max_pairs=2_000_000, seed=1)
        for given in (block_on("born", "surname"), block_on("born", "forename"), block_on("forename", "surname")):
            learn.estimate_parameters_using_expectation_maximisation(given)
        learned = linker.misc.save_model_to_json()
        ((people,),) = database.execute("select count(*) from people").fetchall()
    del learned["linker_uid"]  # another each time
    learned[CHANCE] *= people  # the model is for any number of people
    MODEL.write_text(json.dumps(learned, indent=1) + "\n", encoding="utf-8")


@contextmanager
def _database() -> Iterator[duckdb.DuckDBPyConnection]:
    """A database in memory that writes nothing to a disk: it holds clear values."""
    logging.getLogger("splink").setLevel(logging.ERROR)
    database = duckdb.connect(config={"temp_directory": "", "memory_limit": "3GB", "threads": 2})
    try:
        yield database
    finally:
        database.close()


def _gather(connection: pg.connection, systems: Iterable[System], database: duckdb.DuckDBPyConnection) -> None:
    """Fills `people` from the vault: names, birth dates, numbers, and where and how each can be reached."""
    database.execute(
        "create table described (system text, subject text, forename text, surname text, born text, nhs_number text);"
        "create table held (system text, subject text, kind text, value text)"
    )
    with connection.cursor() as cursor:
        cursor.execute("select exists (select from vault.identities)")
        keys = Keys.current(cursor) if value_of(cursor) else None  # nobody needs a key to open nothing
    if keys:
        for table in (table for system in systems for table in system.tables if table.is_matching_source):
            for clear in opened(connection, table, keys):
                _take(database, table, keys, clear)
    forms = [(form, n) for n, line in enumerate(FORMS.split("|")) for form in line.split()]
    database.register("given_forms", pa.table({"form": [form for form, _ in forms], "number": [n for _, n in forms]}))
    lists = ", ".join(f"list(distinct value) filter (where kind = '{kind}') as {kind}" for kind in MANY)
    database.execute(PEOPLE.format(lists=lists))


def _take(database: duckdb.DuckDBPyConnection, table: Table, keys: Keys, clear: pa.Table) -> None:
    """Takes from identity records what tells who somebody is, each value in its field, and none that is at fault."""
    texts = {name: clear[name] for name in clear.column_names}
    spelt, codes = normalise(table, texts)
    values: dict[str, list[pa.ChunkedArray]] = defaultdict(list)
    for column in table.identifiers:
        value = spelt[column.name][""]
        if column.name in codes:
            value = _without(value, codes[column.name], UNFIT)
        values[column.kind].append(pc.if_else(pc.equal(value, ""), None, value))
        if column.identifier == "address":  # one whose postcode nobody wrote is found by street and town
            values["address"].append(spelt[column.name]["street"])
    subject = table.subject_column
    who = {
        "system": pa.repeat(table.system.name, len(clear)),
        "subject": keys.tokens_of_normalised(subject, table, spelt[subject.name][""]),
    }
    if table.person is not None:
        nothing = pa.nulls(len(clear), pa.string())
        names = [_without(texts[name], codes[name], NO_NAME) for name in table.person] or [nothing]
        told = pa.table(
            who
            | {"forename": names[0], "surname": names[-1]}
            | {kind: (values.get(kind) or [nothing])[0] for kind in ("date_of_birth", "nhs_number")}
        )
        database.from_arrow(told).filter("subject is not null").insert_into("described")
    for kind in MANY:
        for value in values[kind]:
            told = pa.table(who | {"kind": pa.repeat(kind, len(clear)), "value": value})
            database.from_arrow(told).filter("subject is not null and value is not null").insert_into("held")


def _without(values: pa.ChunkedArray, codes: pa.ChunkedArray, faults: str) -> pa.ChunkedArray:
    """The values, but for those that have one of the faults (a pattern of codes)."""
    return pc.if_else(pc.fill_null(pc.match_substring_regex(codes, faults), False), None, values)


def _pairs(database: duckdb.DuckDBPyConnection) -> list[Pair]:
    """Pairs of records that may be one person's, the likeliest first.

    People of one household share a surname, an address and a telephone: without a number in common their forenames
    have to agree; and where neither number, birth date nor e-mail address tells them apart, letter for letter. There
    a child is not taken for a parent of that name: whoever gets in touch is seldom a child.
    """
    ((people,),) = database.execute("select count(*) from people").fetchall()
    if not people:
        return []
    from splink import DuckDBAPI, Linker

    grown_up = date.today() - timedelta(365.25 * 16)
    model = json.loads(MODEL.read_text(encoding="utf-8"))
    model[CHANCE] /= people
    linker = Linker("people", model, DuckDBAPI(database))
    likely = linker.inference.predict(threshold_match_probability=POSSIBLE).physical_name
    rows = database.execute(
        "select least(who_l, who_r) as one, greatest(who_l, who_r) as other, max(match_probability), "
        f"bool_or(gamma_nhs_number > 0 or gamma_upn > 0) as has_number from {likely} "
        "where who_l <> who_r and (gamma_nhs_number > 0 or gamma_upn > 0 "
        "or (gamma_forename > 0 and (gamma_born > 0 or gamma_email > 0)) or (forename_l = forename_r "
        f"and (gamma_telephone > 0 or coalesce(born_l, born_r, '') < '{grown_up}'))) "
        "group by all order by has_number desc, 3 desc, 1, 2"
    ).fetchall()
    return [Pair(*row) for row in rows]


def _grouped(
    records: list[Record], pairs: list[Pair], decisions: list[tuple[Any, ...]]
) -> tuple[list[int], dict[int, How], list[Pair]]:
    """Each record's group, what brought it there, and the pairs that a steward has to decide."""
    number = {subject: n for n, (_, subject, _, _) in enumerate(records)}
    group, members = list(range(len(records))), {n: [n] for n in range(len(records))}
    numbers = [set(filter(None, record.nhs_numbers)) for record in records]
    births = [set(filter(None, record.births)) for record in records]
    apart: dict[int, set[int]] = defaultdict(set)
    brought: dict[int, How] = {}

    def join(one: int, other: int, how: How) -> None:
        into, gone = sorted((group[one], group[other]), key=lambda g: (-len(members[g]), g))
        for n in (one, other):
            brought.setdefault(n, how)
        for n in members[gone]:
            group[n] = into
        members[into] += members.pop(gone)
        numbers[into] |= numbers[gone]
        births[into] |= births[gone]

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
        into, gone = (group[pair.one], group[pair.other])
        if into == gone:
            continue
        if any(apart[n] & set(members[gone]) for n in members[into] if n in apart):
            continue
        if (
            pair.probability >= SURE
            and len(numbers[into] | numbers[gone]) < 2
            and all(_near(a, b) for a in births[into] for b in births[gone])
        ):
            join(pair.one, pair.other, ("number" if pair.has_number else "likeness", pair.probability))
        else:
            undecided.append(pair)
    return group, brought, [pair for pair in undecided if group[pair.one] != group[pair.other]]


def _near(one: str, other: str) -> bool:
    """Whether two birth dates (ISO 8601) may be one that was written wrongly: one digit, or day and month swapped."""
    return sum(a != b for a, b in zip(one, other, strict=False)) < 2 or one == f"{other[:5]}{other[8:10]}-{other[5:7]}"


def _keep(
    cursor: pg.cursor, records: list[Record], group: list[int], brought: dict[int, How], undecided: list[Pair]
) -> Matched:
    """Brings matching.person_records and matching.pairs to what was found."""
    cursor.execute(
        "create temporary table found (system text, subject text, group_no bigint, matched_by text, "
        "match_probability double precision) on commit drop"
    )
    lines = io.StringIO()
    for n, (system, subject, _, _) in enumerate(records):
        how, likely = brought.get(n, ("alone", None))
        lines.write(f"{system}\t{subject}\t{group[n]}\t{how}\t{NULL if likely is None else likely}\n")
    lines.seek(0)
    cursor.copy_expert("copy found from stdin", lines)
    cursor.execute(KEEP)
    ((people, new_people, moved, changed_at),) = cursor.fetchall()
    cursor.execute("delete from matching.pairs")
    lines = io.StringIO(
        "".join(f"{records[one][1]}\t{records[other][1]}\t{likely}\n" for one, other, likely, _ in undecided)
    )
    cursor.copy_expert("copy matching.pairs (one, other, match_probability) from stdin", lines)
    return Matched(len(records), people, new_people, moved, len(undecided), changed_at)
