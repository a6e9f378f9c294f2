"""Parts identity from content as it is extracted: tokens go on to the raw table, sealed identity records to the vault.

A token is `k<version>_` and 128 bits of keyed BLAKE2b (RFC 7693) over the normalised value, under a key of its own for
each kind of identifier: the same NHS number has the same token in every system. A record's clear values are sealed by
AES-256-GCM under a key that the vault key and the record's own salt make; without the salt nothing opens it again.
"""

import base64
import hashlib
import json
import os
import secrets
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from psycopg2 import extensions as pg

from ingestion import addresses
from ingestion.contracts import ROOT, Column, SourceError, Table
from ingestion.standards import month_of_birth, placed
from ingestion.tables import Reject, as_text

KEY_BYTES = 32
PSEUDONYM = "^k[0-9]+_[0-9a-f]{32}$"
NEXT, EMPTY = "\0s", "\0n"  # between an identity's values, and in place of one; no text has a NUL (tables.conform)
NONCE = bytes(12)  # each key seals one record
REMEMBERED = 24_000_000  # bytes of identities that a load has met and need not think of again
ONE_PERSON = {"nhs_number", "nino", "upn", "utr", "employee_number", "person_number"}  # kinds that nobody shares
CONTENT, RECORD = "the content", "the record"  # columns beside those of a table, whose names have no space
HASH_BYTES = 16
RECORDS = "record_id bytea, subject text, tokens text[], salt bytea, encrypted bytea"  # a line of Splitter.file


def _kept(pattern: str) -> Callable[[pa.ChunkedArray], pa.ChunkedArray]:
    """Capitals without anything that the pattern (of what to drop) matches."""
    return lambda texts: pc.replace_substring_regex(pc.utf8_upper(pc.utf8_normalize(texts, "NFKC")), pattern, "")


def _number(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.utf8_ltrim(_kept("[^0-9A-Z]")(texts), "0")  # a column of numbers has lost them


def _telephone(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.replace_substring_regex(_kept(r"[^0-9+]")(texts), r"^(\+44|0044)0?", "0")


# How a value of each kind is written before it is hashed; of an address there are several spellings
NORMAL: dict[str, Callable[[pa.ChunkedArray], pa.ChunkedArray]] = {
    "nhs_number": lambda texts: pc.utf8_lpad(_kept("[^0-9]")(texts), 10, "0"),
    "nino": _kept("[^0-9A-Z]"),
    "upn": _kept("[^0-9A-Z]"),
    "utr": _kept("[^0-9]"),
    "employee_number": _number,
    "person_number": _number,  # the system's own: another system's same number is another token
    "name": _kept(r"^\s*(?:(?:MR|MRS|MS|MISS|DR|REV|PROF)\b\.?\s*)+|[^\p{L}]"),
    "date_of_birth": _kept(r"\s"),
    "postcode": _kept("[^0-9A-Z]"),
    "uprn": _number,
    "email": _kept(r"\s"),
    "telephone": _telephone,
}


Spellings = dict[str, pa.ChunkedArray]  # of a text; the one that counts is ""


def spellings(kind: str, texts: pa.ChunkedArray) -> Spellings:
    """{spelling: the texts in it}."""
    return addresses.spellings(texts) if kind == "address" else {"": NORMAL[kind](texts)}


def standardised(table: Table, texts: dict[str, pa.ChunkedArray]) -> tuple[dict[str, Spellings], dict[str, pa.Array]]:
    """{identifier: its spellings}, each value in the field where it belongs, and {identifier: codes of its faults}."""
    kinds = {column.name: column.kind for column in table.identifiers}
    came = {name: spellings(kind, texts[name]) for name, kind in kinds.items()}
    in_place, codes = placed(kinds, texts, {name: spelt[""] for name, spelt in came.items()})
    moved = [name for name in kinds if in_place[name] is not texts[name]]
    return came | {name: spellings(kinds[name], in_place[name]) for name in moved}, codes


class Keys:
    """The vault key of one version, and what is derived from it. It stands outside the database."""

    def __init__(self, version: int, key: bytes):
        self.version, self._key = version, key
        self.fingerprint = self._derive("fingerprint").hex()[:16]

    @staticmethod
    def file() -> Path:
        """Where the key is: VAULT_KEY_FILE, by default in the working folder."""
        home = Path(os.environ.get("WAREHOUSE_HOME", ROOT / ".warehouse"))
        return Path(os.environ.get("VAULT_KEY_FILE") or home / "vault.key")

    @classmethod
    def read_all(cls) -> dict[int, "Keys"]:
        """{version: keys} of the key file; raises SourceError where it is missing or is none."""
        file = cls.file()
        try:
            held = json.loads(file.read_text(encoding="utf-8"))
            keys = {int(version): bytes.fromhex(key) for version, key in held.items()}
            if not keys or {len(key) for key in keys.values()} != {KEY_BYTES}:
                raise ValueError
        except FileNotFoundError:
            raise SourceError(
                f"no vault key in {file}: put it back, or make the first by `warehouse keys new`"
            ) from None
        except (ValueError, AttributeError):
            raise SourceError(
                f"{file} is no vault key file ({{version: {2 * KEY_BYTES} hexadecimal digits}})"
            ) from None
        return {version: cls(version, key) for version, key in keys.items()}

    @classmethod
    def write(cls, versions: dict[int, "Keys"]) -> None:
        """Writes the key file, readable by this account only, whole or not at all."""
        file = cls.file()
        draft = file.with_suffix(".new")
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400), "w", encoding="utf-8") as out:
            json.dump({version: keys._key.hex() for version, keys in versions.items()}, out)
        draft.replace(file)

    @classmethod
    def generate(cls, version: int) -> "Keys":
        """New keys from the machine's source of randomness."""
        return cls(version, secrets.token_bytes(KEY_BYTES))

    @classmethod
    def current(cls, cursor: pg.cursor) -> "Keys":
        """The keys that the database works with; raises SourceError without them, or with others."""
        cursor.execute("select version, fingerprint from governance.vault_keys order by version desc limit 1")
        known = cursor.fetchone()
        if known is None:
            raise SourceError("the database has no vault key yet: `warehouse keys new` makes one")
        keys = cls.read_all().get(known[0])
        if keys is None or keys.fingerprint != known[1]:
            raise SourceError(f"{cls.file()} has not the vault key of this database (version {known[0]}, {known[1]})")
        return keys

    def _derive(self, purpose: str) -> bytes:
        return hashlib.blake2b(purpose.encode(), key=self._key, person=b"warehouse vault", digest_size=32).digest()

    def _hashes(self, purpose: str, values: list[bytes]) -> bytes:
        """The keyed hashes of the values, HASH_BYTES each, one after another."""
        start, made = hashlib.blake2b(key=self._derive(purpose), digest_size=HASH_BYTES), []
        for value in values:
            one = start.copy()  # quicker than to begin with the key each time
            one.update(value)
            made.append(one.digest())
        return b"".join(made)

    def tokens(self, column: Column, table: Table, texts: pa.ChunkedArray) -> pa.ChunkedArray:
        """The token of each text; null where nothing is left of it, except in a key."""
        return self.tokens_of(column, table, spellings(column.kind, texts)[""])

    def tokens_of(self, column: Column, table: Table, values: pa.ChunkedArray) -> pa.ChunkedArray:
        """The same, of values in their one spelling."""
        kind = column.kind
        scope = f"{kind} {table.system.name}" if kind == "person_number" else kind
        encoded = values.combine_chunks().dictionary_encode()
        values = encoded.dictionary
        hashes = self._hashes(f"token {scope}", values.cast(pa.binary()).to_pylist())
        made = pc.binary_join_element_wise(f"k{self.version}_", _each(hashes.hex().encode(), pa.string()), "")
        if column.name not in table.key:
            made = pc.if_else(pc.equal(pc.utf8_trim(values, "0"), ""), None, made)
        return made.take(encoded.indices)

    def records(self, place: str, contents: pa.Array) -> pa.Array:
        """The names of identity records of `place` by their contents."""
        return _each(self._hashes(f"record {place}", contents.cast(pa.binary()).to_pylist()), pa.binary())

    def seal(self, clear: bytes, salt: bytes | None = None) -> tuple[bytes, bytes]:
        """(salt, the sealed content)."""
        salt = salt or os.urandom(16)
        return salt, self._record_cipher(salt).encrypt(NONCE, clear, None)

    def open(self, salt: bytes, sealed: bytes) -> bytes:
        """The clear content; raises cryptography.exceptions.InvalidTag where the key or the salt is another."""
        return self._record_cipher(salt).decrypt(NONCE, sealed, None)

    def _record_cipher(self, salt: bytes) -> AESGCM:
        return AESGCM(hashlib.blake2b(salt, key=self._key, person=b"warehouse seal", digest_size=32).digest())

    def seal_reject(self, table: Table, reject: Reject) -> Reject:
        """A row for quarantine whose content is sealed, and whose key has tokens."""
        content = json.loads(reject.content)
        return replace(reject, key=self.key_of(table, content), content=json.dumps(self.seal_content(content)))

    def seal_content(self, content: dict[str, Any]) -> dict[str, Any]:
        """A row of texts, sealed; the same row always to the same."""
        clear = json.dumps(content).encode()
        salt, sealed = self.seal(clear, self._hashes("reject", [clear]))
        return {"_salt": base64.b64encode(salt).decode(), "_encrypted": base64.b64encode(sealed).decode()}

    def open_content(self, sealed: dict[str, Any]) -> dict[str, Any]:
        """The row of texts that `seal_content` sealed."""
        content: dict[str, Any] = json.loads(
            self.open(base64.b64decode(sealed["_salt"]), base64.b64decode(sealed["_encrypted"]))
        )
        return content

    def key_of(self, table: Table, row: dict[str, Any]) -> str | None:
        """The key of a row of texts, with tokens in place of identifiers, as the raw table has it."""
        if not table.key:
            return None
        parts = []
        for column in map(table.column, table.key):
            text = row.get(column.name)
            if column.identifier and text is not None:
                text = self.tokens(column, table, pa.chunked_array([[text]], pa.string()))[0].as_py()
            parts.append(str(text))
        return "|".join(parts)


class Splitter:
    """Parts the identifiers of one table's rows; identity records go to `file`, a line each, ready for COPY.

    `known` are the records that the vault has (HASH_BYTES each, in order), which are not sealed again.
    """

    def __init__(self, table: Table, keys: Keys, folder: Path, known: bytes = b""):
        self.table, self.keys = table, keys
        self.names = [column.name for column in table.identifiers]
        self.landed = [name for column in table.identifiers for name in column.landed]
        self.file = folder / f"{table.name}.identities"
        self.file.parent.mkdir(parents=True, exist_ok=True)
        after_all = pa.array([b"\xff" * (HASH_BYTES + 1)])
        self._known = pa.concat_arrays([_each(known, pa.binary()), after_all])
        self._none = pa.schema([(name, pa.string()) for name in (CONTENT, *self.landed)]).empty_table()
        self._met = self._none  # the identities of this load, each with its tokens

    def __call__(self, rows: pa.Table) -> pa.Table:
        """The rows with tokens in place of identifiers, and what lands beside those. Best given many."""
        texts = [as_text(rows[name]) for name in self.names]
        content = pc.binary_join_element_wise(*texts, NEXT, null_handling="replace", null_replacement=EMPTY)
        content = content.combine_chunks()
        if self._met.nbytes > REMEMBERED:
            self._met = self._none
        places = pc.index_in(content, self._met[CONTENT])
        if places.null_count:
            new = content.filter(pc.is_null(places)).unique()
            places = pc.coalesce(places, pc.add(pc.index_in(content, new), pa.scalar(len(self._met), pa.int32())))
            self._met = pa.concat_tables([self._met, self._identities(new, texts, content)]).combine_chunks()
        for name in self.names:
            rows = rows.set_column(rows.column_names.index(name), name, self._met[name].take(places))
        for name in (name for name in self.landed if name not in self.names):
            rows = rows.append_column(name, self._met[name].take(places))
        pa.default_memory_pool().release_unused()
        return rows

    def _identities(self, new: pa.Array, texts: list[pa.ChunkedArray], content: pa.Array) -> pa.Table:
        """Tokens and faults of each identity in `new`, which stands in `content` beside `texts`; seals the unknown."""
        first = pc.index_in(new, content)
        given = {name: text.take(first) for name, text in zip(self.names, texts, strict=True)}
        spelt, codes = standardised(self.table, given)
        landed = {f"{name}_fault": found for name, found in codes.items()}
        for column in self.table.identifiers:
            for spelling, name in column.tokens.items():
                landed[name] = self.keys.tokens_of(column, self.table, spelt[column.name][spelling])
            if column.identifier == "date_of_birth":
                landed[f"{column.name}_month"] = month_of_birth(spelt[column.name][""])
        found = pa.table({CONTENT: new} | {name: landed[name] for name in self.landed})
        place = f"{self.table.label} {' '.join(self.names)}"
        records = self.keys.records(place, new)
        is_new = pc.not_equal(self._known.take(pc.search_sorted(self._known, records)), records)
        self._write(found.append_column(RECORD, records).filter(is_new))
        return found

    def _write(self, identities: pa.Table) -> None:
        """Seals identities, and writes each as a line of RECORDS."""
        marks = [pc.fill_null(identities[name], "null") for name in self.names]
        columns = (
            identities[RECORD].to_pylist(),
            identities[self.table.subject_column.name].to_pylist(),
            pc.binary_join_element_wise(*marks, ",").to_pylist(),
            identities[CONTENT].to_pylist(),
        )
        names, nobody = ",".join(self.names), ",".join(["null"] * len(self.names))
        with self.file.open("a", encoding="utf-8") as out:
            for name, token, held, content in zip(*columns, strict=True):
                if held != nobody:
                    record, (salt, sealed) = name.hex(), self.keys.seal(f"{names}{NEXT}{content}".encode())
                    subject = token or f"r_{record}"
                    out.write(f"\\\\x{record}\t{subject}\t{{{held}}}\t\\\\x{salt.hex()}\t\\\\x{sealed.hex()}\n")


def identity(opened: bytes) -> dict[str, str]:
    """The identifiers of an opened record, by column; those that are filled."""
    names, *values = opened.decode().split(NEXT)
    return {name: value for name, value in zip(names.split(","), values, strict=True) if value != EMPTY}


def _each(hashes: bytes, kind: pa.DataType) -> pa.Array:
    """Hashes that stand one after another, as bytes or (twice as long) in hexadecimal digits, as an array."""
    width = HASH_BYTES if pa.types.is_binary(kind) else 2 * HASH_BYTES
    fixed = pa.Array.from_buffers(pa.binary(width), len(hashes) // width, [None, pa.py_buffer(hashes)])
    return fixed.cast(pa.binary()).cast(kind)
