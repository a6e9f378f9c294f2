"""Contracts of two small systems with personal data."""

BASIS = {"lawful_basis": "UK GDPR article 6(1)(e) public task: trying"}
PEOPLE = {
    "name": "people",
    "load": "history",
    "key": ["person_no"],
    "subject": "person_no",
    "columns": {"person_no": "text", "nhs_no": "text", "surname": "text", "born": "date", "need": "text"},
    "identifiers": {"person_no": "person_number", "nhs_no": "nhs_number", "surname": "name", "born": "date_of_birth"},
}
VISITS = {
    "name": "visits",
    "load": "merge",
    "key": ["visit_no"],
    "cursor": "visited_at",
    "subject": "nhs",
    "retained_from": "visited_at",
    "retention": "P6Y",
    "disposal": 1,
    "columns": {"visit_no": "bigint", "nhs": "text", "visited_at": "timestamptz", "note": "text"},
    "identifiers": {"nhs": "nhs_number"},
}
