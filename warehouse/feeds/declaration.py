"""Report feeds as exposures declare them in `meta.feed`: file, format, readers, chart and deliveries."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ingestion import ROOT
from ingestion.columns import Name, Text
from ingestion.contract_yaml import describe_errors, read_yaml
from warehouse.errors import WarehouseError
from warehouse.outgoing import KINDS

FORMATS = {"csv": ".csv", "csv_for_excel": ".csv", "xlsx": ".xlsx", "parquet": ".parquet"}


class Delivery(BaseModel):
    """A recipient of the feed's file."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    to: Name
    """Recipient. The variable DELIVER_<TO> has the URL of its folder or mail server."""
    rows: dict[Text, list[Text]] = {}
    """The recipient's rows, if not all: {column: values}."""
    working_day: int | None = Field(None, ge=1, le=20)
    """Working day of the month on which the file is delivered, instead of after each publication."""
    attach: bool = False
    """Whether an e-mail has the file attached, instead of a link to it."""


class Chart(BaseModel):
    """The chart of a workbook: figures as lines over the report's first date column."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    figures: list[Text] = Field(min_length=1)
    rows: dict[Text, list[Text]] = {}
    """The rows that the chart shows, one per date: {column: values}."""


class Feed(BaseModel):
    """What `meta.feed` of an exposure declares."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    file: Annotated[str, Field(pattern=r"^\w[\w .-]*$")]
    format: Literal["csv", "csv_for_excel", "xlsx", "parquet"]
    reader: Text
    when: Text
    replaces: Text | None = None
    may_contain: dict[Text, list[Text]] = {}
    """Kinds of personal data that a column may contain: {column: kinds}."""
    chart: Chart | None = None
    deliver: list[Delivery] = []

    @model_validator(mode="after")
    def _check(self) -> "Feed":
        if not self.file.endswith(FORMATS[self.format]):
            raise ValueError(f"the name of a {self.format} file ends in {FORMATS[self.format]}")
        if self.chart and self.format != "xlsx":
            raise ValueError("only a feed of format xlsx has a chart")
        if unknown := {kind for kinds in self.may_contain.values() for kind in kinds} - KINDS.keys():
            raise ValueError(f"`may_contain` has an unknown kind of value: {', '.join(sorted(unknown))}")
        names = [delivery.to for delivery in self.deliver]
        if doubled := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"`deliver` names {', '.join(sorted(doubled))} twice")
        if self.may_contain and any(delivery.attach for delivery in self.deliver):
            raise ValueError("a file with personal data (`may_contain`) is not attached to an e-mail; remove `attach`")
        return self


@dataclass(frozen=True)
class Column:
    """A column of a report: its type in Postgres, its definition, and the meta of its metric or dimension."""

    data_type: str
    description: str
    meta: dict[str, Any]


@dataclass(frozen=True)
class Report:
    """A published report and its feed."""

    name: str
    publish_set: str
    table: str
    title: str
    description: str
    owner: str
    email: str
    columns: dict[str, Column]
    feed: Feed

    @property
    def label(self) -> str:
        """The table's name for readers."""
        return f"{self.publish_set}.{self.table}"

    @property
    def first_date(self) -> str:
        """The first column of type date."""
        return next(name for name, column in self.columns.items() if column.data_type == "date")


def feed_exposures(manifest: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """{name: exposure} of the exposures that declare a feed."""
    return {exposure["name"]: exposure for exposure in manifest["exposures"].values() if "feed" in _meta(exposure)}


def file_of(exposure: dict[str, Any]) -> str:
    """The name of a feed's file."""
    return str(_meta(exposure)["feed"]["file"])


def report_of(manifest: dict[str, Any], exposure: dict[str, Any]) -> Report:
    """The report of a feed. Raises WarehouseError, with file and line, if its declaration is wrong."""
    nodes = [manifest["nodes"][unique_id] for unique_id in exposure["depends_on"]["nodes"]]
    try:
        feed = Feed.model_validate(_meta(exposure)["feed"])
    except ValidationError as refusal:
        raise WarehouseError(_located(exposure, refusal)) from None
    where = f"{exposure['original_file_path']}: feed {exposure['name']}"
    if len(nodes) != 1 or nodes[0]["fqn"][1:2] != ["marts"]:
        raise WarehouseError(f"{where}: name one published report in `depends_on`.")
    node = nodes[0]
    columns = {
        column["name"]: Column(column["data_type"] or "", column["description"], column["config"].get("meta", {}))
        for column in node["columns"].values()
    }
    filters = [delivery.rows for delivery in feed.deliver] + ([feed.chart.rows] if feed.chart else [])
    named = {
        *feed.may_contain,
        *(feed.chart.figures if feed.chart else ()),
        *(name for each in filters for name in each),
    }
    if unknown := sorted(named - columns.keys()):
        raise WarehouseError(f"{where}: {node['name']} has no column {', '.join(unknown)}.")
    is_dated = any(column.data_type == "date" for column in columns.values())
    if feed.chart and not is_dated:
        raise WarehouseError(f"{where}: {node['name']} has no date column, over which a chart shows figures.")
    return Report(
        name=exposure["name"],
        publish_set=node["fqn"][2],
        table=node["alias"],
        title=exposure["label"] or exposure["name"],
        description=exposure["description"],
        owner=exposure["owner"].get("name") or exposure["owner"]["email"],
        email=exposure["owner"]["email"],
        columns=columns,
        feed=feed,
    )


def _meta(exposure: dict[str, Any]) -> dict[str, Any]:
    meta: dict[str, Any] = exposure["config"].get("meta", exposure["meta"])
    return meta


def _located(exposure: dict[str, Any], refusal: ValidationError) -> str:
    """The errors of a feed's declaration with file and line."""
    shown, root, content = read_yaml(ROOT / exposure["original_file_path"])
    names = [each["name"] for each in content["exposures"]]
    return describe_errors(refusal, root, ("exposures", names.index(exposure["name"]), "feed"), shown)
