"""The page of `lockgate check`: the picture and the remarks in one HTML file."""

import base64
from collections.abc import Sequence
from importlib import resources

import jinja2

from lockgate.describe.remarks import Remark
from lockgate.system.readable_line import shown


def page_of(name: str, summary: str, remarks: Sequence[Remark], picture: bytes) -> str:
    """The page; every text is escaped."""
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=True, finalize=shown)
    template = (resources.files("lockgate.describe") / "templates" / "check.html.j2").read_text(encoding="utf-8")
    encoded = base64.b64encode(picture).decode()
    return environment.from_string(template).render(name=name, summary=summary, remarks=remarks, picture=encoded)
