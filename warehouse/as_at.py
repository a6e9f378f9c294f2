"""The columns of the view `as_at` of each publish set, which warehouse/sql/as_at.sql makes."""

NAME = "as_at"
ALL_SOURCES = "All sources"  # source_name of the row for the whole publish set
COLUMNS = {  # {column: (type, description)}; the type as_at.facts has the same columns
    "source_name": ("text", f'Source system, such as "erp", or "{ALL_SOURCES}" for the publish set as a whole.'),
    "quality_state": (
        "text",
        "Up to date, Incomplete (rows were rejected) or Out of date (a load or a publication is missing). The reasons "
        "are in known_gaps.",
    ),
    "data_up_to_date": (
        "date",
        "Date up to which the published tables have data. Of a source: the latest change that the source recorded or, "
        "without a time of change, the day on which the source was read or its file written. Of all sources: the "
        "earliest as-at date of the tables that have one, or else the earliest date of a source. Empty where the "
        "source gives no date, or was first loaded after the publication.",
    ),
    "last_loaded_at": (
        "timestamp",
        "Time of the last load that succeeded and found data to read, in local time (Europe/London). Of all sources: "
        "the latest.",
    ),
    "published_at": ("timestamp", "Time of the last publication or roll back, in local time (Europe/London)."),
    "tests_passed": (
        "integer",
        "Number of data tests that the published tables passed. Empty for a single source, and for a publication of "
        "release 0.1.",
    ),
    "tests_warned": (
        "integer",
        "Number of data tests that gave a warning. Empty for a single source, and for a publication of release 0.1.",
    ),
    "known_gaps": ("text", 'What is missing or late, in sentences; "None known." if nothing is.'),
}
