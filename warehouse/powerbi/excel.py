"""Connections for Excel (.odc): one file per published table, which opens it by psqlODBC."""

from collections.abc import Iterable
from xml.sax.saxutils import escape

# As docs/how-to/connect-a-report.md recommends; Excel asks for login and password
SETTINGS = "BoolsAsChar=0;TextAsLongVarchar=0;MaxVarcharSize=4000;UseServerSidePrepare=0"
FILE = """\
<html xmlns:o="urn:schemas-microsoft-com:office:office" xmlns="http://www.w3.org/TR/REC-html40">
<head>
<meta http-equiv="Content-Type" content="text/x-ms-odc; charset=utf-8" />
<meta name="ProgId" content="ODC.Table" />
<meta name="SourceType" content="ODBC" />
<title>{name}</title>
<xml id="docprops"><o:DocumentProperties>
<o:Description>{description}</o:Description>
<o:Name>{name}</o:Name>
</o:DocumentProperties></xml>
<xml id="msodc"><odc:OfficeDataConnection xmlns:odc="urn:schemas-microsoft-com:office:odc">
<odc:Connection odc:Type="ODBC">
<odc:ConnectionString>{connection}</odc:ConnectionString>
<odc:CommandType>SQL</odc:CommandType>
<odc:CommandText>{statement}</odc:CommandText>
</odc:Connection>
</odc:OfficeDataConnection></xml>
</head>
<body></body>
</html>
"""


def connection_file(
    server: str, database: str, schema: str, table: str, description: str, columns: Iterable[str]
) -> str:
    """The text of a connection to a table. Keys are left out: Excel's numbers have 15 digits."""
    host, _, port = server.rpartition(":")
    chosen = ", ".join(f'"{column}"' for column in columns if not column.endswith("_key"))
    texts = {
        "name": f"{schema}.{table}",
        "description": description,
        "connection": f"Driver={{PostgreSQL Unicode}};Server={host};Port={port};Database={database};{SETTINGS}",
        "statement": f'select {chosen} from "{schema}"."{table}"',
    }
    return FILE.format(**{name: escape(text) for name, text in texts.items()})
