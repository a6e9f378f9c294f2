"""Pseudonymise identifiers at extraction: tokens go to the raw table, encrypted identity records to the vault.

A token is `k<version>_` and 128 bits of keyed BLAKE2b (RFC 7693) over the normalised value. Each kind of identifier has
its own derived key, so the same NHS number has the same token in every system. A record's clear values are encrypted
with AES-256-GCM under a key derived from the vault key and the record's salt; without the salt they cannot be
decrypted.
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

from ingestion import ROOT, addresses
from ingestion.casting import as_text
from ingestion.columns import Column
from ingestion.contracts import SourceError, Table
from ingestion.standards import month_of_birth, move_misplaced
from ingestion.tables import Reject

KEY_BYTES = 32
PSEUDONYM_PATTERN = "^k[0-9]+_[0-9a-f]{32}$"
SEPARATOR, EMPTY = "\0s", "\0n"  # between an identity's values, and for a null; no text has a NUL (tables.conform)
NONCE = bytes(12)  # each key encrypts one record only
MAX_CACHE_BYTES = 24_000_000  # identities of this load whose tokens are cached
# kinds of which each value belongs to one person
UNIQUE_KINDS = {"nhs_number", "nino", "upn", "utr", "employee_number", "person_number"}
CONTENT, RECORD = "the content", "the record"  # no column of a table has a space in its name
HASH_BYTES = 16
# a line of Pseudonymiser.file
RECORD_COLUMNS = "record_id bytea, subject text, tokens text[], salt bytea, encrypted bytea"


def _capitals_without(pattern: str) -> Callable[[pa.ChunkedArray], pa.ChunkedArray]:
    """A function that turns texts into capitals and removes what the pattern matches."""
    return lambda texts: pc.replace_substring_regex(pc.utf8_upper(pc.utf8_normalize(texts, "NFKC")), pattern, "")


def _number(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.utf8_ltrim(_capitals_without("[^0-9A-Z]")(texts), "0")  # a numeric column has lost its leading zeros


def _telephone(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.replace_substring_regex(_capitals_without(r"[^0-9+]")(texts), r"^(\+44|0044)0?", "0")


# Normalisation of each kind before hashing; an address has several canonical forms (ingestion.addresses)
NORMALISERS: dict[str, Callable[[pa.ChunkedArray], pa.ChunkedArray]] = {
    "nhs_number": lambda texts: pc.utf8_lpad(_capitals_without("[^0-9]")(texts), 10, "0"),
    "nino": _capitals_without("[^0-9A-Z]"),
    "upn": _capitals_without("[^0-9A-Z]"),
    "utr": _capitals_without("[^0-9]"),
    "employee_number": _number,
    "person_number": _number,  # scoped to the system: the same number in another system has another token
    "name": _capitals_without(r"^\s*(?:(?:MR|MRS|MS|MISS|DR|REV|PROF)\b\.?\s*)+|[^\p{L}]"),
    "date_of_birth": _capitals_without(r"\s"),
    "postcode": _capitals_without("[^0-9A-Z]"),
    "uprn": _number,
    "email": _capitals_without(r"\s"),
    "telephone": _telephone,
}


CanonicalForms = dict[str, pa.ChunkedArray]  # {form: texts}; "" is the canonical form, the others are fallbacks


def canonical_forms(kind: str, texts: pa.ChunkedArray) -> CanonicalForms:
    """The texts in each canonical form of their kind."""
    return addresses.canonical_forms(texts) if kind == "address" else {"": NORMALISERS[kind](texts)}


def normalise(table: Table, texts: dict[str, pa.ChunkedArray]) -> tuple[dict[str, CanonicalForms], dict[str, pa.Array]]:
    """{identifier: canonical forms}, misplaced values moved, and {identifier: codes of violated rules}."""
    kinds = {column.name: column.kind for column in table.identifiers}
    forms = {name: canonical_forms(kind, texts[name]) for name, kind in kinds.items()}
    corrected, codes = move_misplaced(kinds, texts, {name: form[""] for name, form in forms.items()})
    moved = [name for name in kinds if corrected[name] is not texts[name]]
    return forms | {name: canonical_forms(kinds[name], corrected[name]) for name in moved}, codes


class Keys:
    """One version of the vault key and the keys derived from it. The vault key is kept outside the database."""

    def __init__(self, version: int, key: bytes):
        self.version, self._key = version, key
        self.fingerprint = self._derive("fingerprint").hex()[:16]

    @staticmethod
    def file() -> Path:
        """Path of the key file: VAULT_KEY_FILE, by default vault.key in the working folder."""
        home = Path(os.environ.get("WAREHOUSE_HOME", ROOT / ".warehouse"))
        return Path(os.environ.get("VAULT_KEY_FILE") or home / "vault.key")

    @classmethod
    def read_all(cls) -> dict[int, "Keys"]:
        """{version: keys} of the key file; raises SourceError if the file is missing or invalid."""
        file = cls.file()
        try:
            held = json.loads(file.read_text(encoding="utf-8"))
            keys = {int(version): bytes.fromhex(key) for version, key in held.items()}
            if not keys or {len(key) for key in keys.values()} != {KEY_BYTES}:
                raise ValueError
        except FileNotFoundError:
            raise SourceError(
                f"no vault key in {file}. Restore it, or create the first key with `warehouse keys new`"
            ) from None
        except (ValueError, AttributeError):
            raise SourceError(
                f"{file} is not a vault key file ({{version: {2 * KEY_BYTES} hexadecimal digits}})"
            ) from None
        return {version: cls(version, key) for version, key in keys.items()}

    @classmethod
    def write(cls, versions: dict[int, "Keys"]) -> None:
        """Write the key file atomically, readable by this account only."""
        file = cls.file()
        draft = file.with_suffix(".new")
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400), "w", encoding="utf-8") as out:
            json.dump({version: keys._key.hex() for version, keys in versions.items()}, out)
        draft.replace(file)

    @classmethod
    def generate(cls, version: int) -> "Keys":
        """New random keys."""
        return cls(version, secrets.token_bytes(KEY_BYTES))

    @classmethod
    def current(cls, cursor: pg.cursor) -> "Keys":
        """The keys whose fingerprint the database has; raises SourceError if the key file does not have them."""
        cursor.execute("select version, fingerprint from governance.vault_keys order by version desc limit 1")
        known = cursor.fetchone()
        if known is None:
            raise SourceError("the database has no vault key. Create one with `warehouse keys new`")
        keys = cls.read_all().get(known[0])
        if keys is None or keys.fingerprint != known[1]:
            raise SourceError(f"{cls.file()} does not hold this database's vault key (version {known[0]}, {known[1]})")
        return keys

    def surrogate_key_secret(self) -> str:
        """The secret that the marts' surrogate keys are hashed with: 64 hexadecimal digits."""
        return self._derive("surrogate keys").hex()

    def _derive(self, purpose: str) -> bytes:
        return hashlib.blake2b(purpose.encode(), key=self._key, person=b"warehouse vault", digest_size=32).digest()

    def _hashes(self, purpose: str, values: list[bytes]) -> bytes:
        """The keyed hashes of the values, HASH_BYTES each, concatenated."""
        start, hashes = hashlib.blake2b(key=self._derive(purpose), digest_size=HASH_BYTES), []
        for value in values:
            one = start.copy()  # faster than keying a new hash
            one.update(value)
            hashes.append(one.digest())
        return b"".join(hashes)

    def tokens(self, column: Column, table: Table, texts: pa.ChunkedArray) -> pa.ChunkedArray:
        """The token of each text; null if normalisation leaves nothing, except in a key."""
        return self.tokens_of_normalised(column, table, canonical_forms(column.kind, texts)[""])

    def tokens_of_normalised(self, column: Column, table: Table, values: pa.ChunkedArray) -> pa.ChunkedArray:
        """The token of each value in canonical form."""
        scope = f"{column.kind} {table.system.name}" if column.kind == "person_number" else column.kind
        encoded = values.combine_chunks().dictionary_encode()
        tokens = self._tokens(scope, encoded.dictionary)
        if column.name not in table.key:
            tokens = pc.if_else(pc.equal(pc.utf8_trim(encoded.dictionary, "0"), ""), None, tokens)
        return tokens.take(encoded.indices)

    def tokens_of_names(self, names: list[str]) -> list[str]:
        """The token that each name has in all systems."""
        texts = pa.chunked_array([names], pa.string())
        tokens: list[str] = self._tokens("name", canonical_forms("name", texts)[""].combine_chunks()).to_pylist()
        return tokens

    def _tokens(self, scope: str, values: pa.Array) -> pa.Array:
        hashes = self._hashes(f"token {scope}", values.cast(pa.binary()).to_pylist())
        return pc.binary_join_element_wise(f"k{self.version}_", _split_hashes(hashes.hex().encode(), pa.string()), "")

    def record_ids(self, scope: str, contents: pa.Array) -> pa.Array:
        """The ids of the identity records with these contents; `scope` is their table and columns."""
        return _split_hashes(self._hashes(f"record {scope}", contents.cast(pa.binary()).to_pylist()), pa.binary())

    def encrypt(self, clear: bytes, salt: bytes | None = None) -> tuple[bytes, bytes]:
        """(salt, ciphertext)."""
        salt = salt or os.urandom(16)
        return salt, self._record_cipher(salt).encrypt(NONCE, clear, None)

    def decrypt(self, salt: bytes, ciphertext: bytes) -> bytes:
        """The clear content; raises cryptography.exceptions.InvalidTag for a wrong key or salt."""
        return self._record_cipher(salt).decrypt(NONCE, ciphertext, None)

    def _record_cipher(self, salt: bytes) -> AESGCM:
        return AESGCM(hashlib.blake2b(salt, key=self._key, person=b"warehouse seal", digest_size=32).digest())

    def encrypt_reject(self, table: Table, reject: Reject) -> Reject:
        """The rejected row for quarantine: its content encrypted, its key with tokens."""
        content = json.loads(reject.content)
        return replace(reject, key=self.key_of(table, content), content=json.dumps(self.encrypt_content(content)))

    def encrypt_content(self, content: dict[str, Any]) -> dict[str, Any]:
        """Encrypt a row of texts; the same row always gives the same ciphertext."""
        clear = json.dumps(content).encode()
        salt, ciphertext = self.encrypt(clear, self._hashes("reject", [clear]))
        return {"_salt": base64.b64encode(salt).decode(), "_encrypted": base64.b64encode(ciphertext).decode()}

    def decrypt_content(self, ciphertext: dict[str, Any]) -> dict[str, Any]:
        """The row of texts that `encrypt_content` encrypted."""
        content: dict[str, Any] = json.loads(
            self.decrypt(base64.b64decode(ciphertext["_salt"]), base64.b64decode(ciphertext["_encrypted"]))
        )
        return content

    def key_of(self, table: Table, row: dict[str, Any]) -> str | None:
        """The key of a row of texts as the raw table has it: with tokens instead of identifiers."""
        if not table.key:
            return None
        parts = []
        for column in map(table.column, table.key):
            text = row.get(column.name)
            if column.identifier and text is not None:
                text = self.tokens(column, table, pa.chunked_array([[text]], pa.string()))[0].as_py()
            parts.append(str(text))
        return "|".join(parts)


class Pseudonymiser:
    """Replaces the identifiers in a table's rows by tokens; writes identity records to `file`, a line each, for COPY.

    `known` are the ids of the records that the vault has (HASH_BYTES each, in order); they are not encrypted again.
    """

    def __init__(self, table: Table, keys: Keys, folder: Path, known: bytes = b""):
        self.table, self.keys = table, keys
        self.names = [column.name for column in table.identifiers]
        self.raw_columns = [name for column in table.identifiers for name in column.raw_columns]
        self.file = folder / f"{table.name}.identities"
        self.file.parent.mkdir(parents=True, exist_ok=True)
        sentinel = pa.array([b"\xff" * (HASH_BYTES + 1)])
        self._known = pa.concat_arrays([_split_hashes(known, pa.binary()), sentinel])
        self._empty_cache = pa.schema([(name, pa.string()) for name in (CONTENT, *self.raw_columns)]).empty_table()
        self._cache = self._empty_cache  # the identities of this load with their tokens

    def __call__(self, rows: pa.Table) -> pa.Table:
        """The rows with tokens instead of identifiers, and companion columns. Faster with many rows per call."""
        texts = [as_text(rows[name]) for name in self.names]
        content = pc.binary_join_element_wise(*texts, SEPARATOR, null_handling="replace", null_replacement=EMPTY)
        content = content.combine_chunks()
        if self._cache.nbytes > MAX_CACHE_BYTES:
            self._cache = self._empty_cache
        positions = pc.index_in(content, self._cache[CONTENT])
        if positions.null_count:
            new = content.filter(pc.is_null(positions)).unique()
            positions = pc.coalesce(
                positions, pc.add(pc.index_in(content, new), pa.scalar(len(self._cache), pa.int32()))
            )
            self._cache = pa.concat_tables([self._cache, self._identities(new, texts, content)]).combine_chunks()
        for name in self.names:
            rows = rows.set_column(rows.column_names.index(name), name, self._cache[name].take(positions))
        for name in (name for name in self.raw_columns if name not in self.names):
            rows = rows.append_column(name, self._cache[name].take(positions))
        pa.default_memory_pool().release_unused()
        return rows

    def _identities(self, new: pa.Array, texts: list[pa.ChunkedArray], content: pa.Array) -> pa.Table:
        """Tokens and violated rules of the identities `new`, distinct values of `content`; encrypts unknown ones."""
        first = pc.index_in(new, content)
        given = {name: text.take(first) for name, text in zip(self.names, texts, strict=True)}
        forms, codes = normalise(self.table, given)
        columns = {f"{name}_fault": code for name, code in codes.items()}
        for column in self.table.identifiers:
            for form, name in column.tokens.items():
                columns[name] = self.keys.tokens_of_normalised(column, self.table, forms[column.name][form])
            if column.identifier == "date_of_birth":
                columns[f"{column.name}_month"] = month_of_birth(forms[column.name][""])
        identities = pa.table({CONTENT: new} | {name: columns[name] for name in self.raw_columns})
        scope = f"{self.table.label} {' '.join(self.names)}"
        record_ids = self.keys.record_ids(scope, new)
        is_new = pc.not_equal(self._known.take(pc.search_sorted(self._known, record_ids)), record_ids)
        self._write(identities.append_column(RECORD, record_ids).filter(is_new))
        return identities

    def _write(self, identities: pa.Table) -> None:
        """Encrypt identities and write each as a line of RECORD_COLUMNS."""
        tokens = [pc.fill_null(identities[name], "null") for name in self.names]
        columns = (
            identities[RECORD].to_pylist(),
            identities[self.table.subject_column.name].to_pylist(),
            pc.binary_join_element_wise(*tokens, ",").to_pylist(),
            identities[CONTENT].to_pylist(),
        )
        names, no_tokens = ",".join(self.names), ",".join(["null"] * len(self.names))
        with self.file.open("a", encoding="utf-8") as out:
            for record_id, subject_token, record_tokens, content in zip(*columns, strict=True):
                if record_tokens != no_tokens:
                    record = record_id.hex()
                    salt, ciphertext = self.keys.encrypt(f"{names}{SEPARATOR}{content}".encode())
                    subject = subject_token or f"r_{record}"
                    out.write(
                        f"\\\\x{record}\t{subject}\t{{{record_tokens}}}\t\\\\x{salt.hex()}\t\\\\x{ciphertext.hex()}\n"
                    )


def parse_identity(clear: bytes) -> dict[str, str]:
    """{column: value} of the filled identifiers of a decrypted record."""
    names, *values = clear.decode().split(SEPARATOR)
    return {name: value for name, value in zip(names.split(","), values, strict=True) if value != EMPTY}


def _split_hashes(hashes: bytes, kind: pa.DataType) -> pa.Array:
    """Concatenated hashes, as bytes or as hexadecimal digits (twice as long), as an array."""
    width = HASH_BYTES if pa.types.is_binary(kind) else 2 * HASH_BYTES
    fixed = pa.Array.from_buffers(pa.binary(width), len(hashes) // width, [None, pa.py_buffer(hashes)])
    return fixed.cast(pa.binary()).cast(kind)
