"""The people of person matching: names, birth dates, identifiers and contact details, decrypted in memory."""

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from psycopg2 import extensions as pg

from ingestion.contracts import CONTACT_KINDS, System, Table
from ingestion.postgres import value_of
from ingestion.privacy import Keys, normalise
from warehouse.vault import decrypted_identities

MULTIPLE_KINDS = ("upn", "nino", *CONTACT_KINDS)  # kinds of identifiers of which a person may have several over time
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


@contextmanager
def memory_database() -> Iterator[duckdb.DuckDBPyConnection]:
    """A database in memory, which writes no clear value to a disk."""
    logging.getLogger("splink").setLevel(logging.ERROR)
    database = duckdb.connect(config={"temp_directory": "", "memory_limit": "3GB", "threads": 2})
    try:
        yield database
    finally:
        database.close()


def read_people(connection: pg.connection, systems: Iterable[System], database: duckdb.DuckDBPyConnection) -> None:
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
