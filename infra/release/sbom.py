"""Write the bill of materials and the licences of a release: `make sbom`.

    python -m infra.release.sbom [--out build]

Writes `sbom.cdx.json` (CycloneDX, with its own tool) with the run-time packages pinned in
requirements/*.txt and the shipped models, each file with its hash. Also writes `licences.md`. Exits
with 1 if a licence is unknown, or not compatible with Apache-2.0.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from shared.artefacts.loader import sha256
from shared.version import VERSION

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ("run", "kafka", "s3")
"""The requirement files of shipped packages, without tests and training."""

ALLOWED = {
    "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "CC-BY-4.0", "HPND", "ISC",
    "LGPL-3.0-only", "MIT", "MIT-0", "MIT-CMU", "MPL-2.0", "PSF-2.0", "Python-2.0", "Unlicense",
    "US-PD", "Zlib",
}  # fmt: skip
"""Licences by SPDX name. LGPL and MPL are allowed for unchanged libraries."""

NAMED = {
    "License :: OSI Approved :: Apache Software License": "Apache-2.0",
    "License :: OSI Approved :: BSD License": "BSD-3-Clause",
    "License :: OSI Approved :: MIT License": "MIT",
    "License :: OSI Approved :: Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}
"""SPDX names of the licence classifiers of the package index."""

STATED = {"olefile": "BSD-2-Clause", "protobuf": "BSD-3-Clause", "pypdfium2": "BSD-3-Clause"}
"""Licences of packages whose metadata has no SPDX name. We read them in the packages."""

INSIDE = {"tesserocr": {"jbigkit": "GPL-2.0-or-later"}}
"""Libraries in a wheel whose licence we don't allow for packages. NOTICE names them."""


class UnknownLicence(Exception):
    """Something that ships has an unknown or incompatible licence."""


def pinned() -> set[str]:
    """Normalised names of all pinned run-time packages, for any platform."""
    found = set()
    for name in SHIPPED:
        text = (ROOT / "requirements" / f"{name}.txt").read_text("utf-8")
        found |= {normal(one) for one in re.findall(r"^([A-Za-z0-9._-]+)==", text, re.MULTILINE)}
    return found


def normal(name: str) -> str:
    """A name as the package index compares it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def packages() -> dict[str, Any]:
    """The CycloneDX document of this environment, reduced to what ships."""
    command = [sys.executable, "-m", "cyclonedx_py", "environment", "--output-reproducible"]
    command += ["--of", "JSON", "--mc-type", "application", sys.executable]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    document: dict[str, Any] = json.loads(done.stdout)
    wanted = pinned()
    document["components"] = [c for c in document["components"] if normal(c["name"]) in wanted]
    for component in document["components"]:
        for name, licence in INSIDE.get(normal(component["name"]), {}).items():
            library = {"type": "library", "name": name, "licenses": [{"license": {"id": licence}}]}
            component.setdefault("components", []).append(library)
    kept = {c["bom-ref"] for c in document["components"]}
    document["dependencies"] = [
        {**one, "dependsOn": [ref for ref in one.get("dependsOn", []) if ref in kept]}
        for one in document.get("dependencies", [])
        if one["ref"] in kept
    ]
    document["metadata"]["component"] = {
        "bom-ref": "smallprint",
        "type": "application",
        "name": "smallprint",
        "version": VERSION,
        "licenses": [{"license": {"id": "Apache-2.0"}}],
    }
    document["dependencies"].append({"ref": "smallprint", "dependsOn": sorted(kept)})
    return document


def models() -> Iterator[dict[str, Any]]:
    """The base and every shipped specialist as components, with the hash of each file."""
    folder = ROOT / "models" / "artefacts"
    for path in sorted(folder.iterdir()):
        if path.name.startswith("base-"):
            provenance = json.loads((path / "provenance.json").read_text("utf-8"))
            yield model("base", path.name.removeprefix("base-"), path, provenance["licence"])
            continue
        for version in sorted(path.iterdir()):
            yield model(path.name, version.name, version, licence_of(version))


def licence_of(version: Path) -> str:
    """The licence in the manifest of a model. Raises UnknownLicence."""
    for path in sorted(version.glob("*.json")):
        described = json.loads(path.read_text("utf-8"))
        if isinstance(described, dict) and "licence" in described:
            return str(described["licence"])
    raise UnknownLicence(f"no manifest in {version.relative_to(ROOT)} says a licence")


def model(name: str, version: str, folder: Path, licence: str) -> dict[str, Any]:
    """A CycloneDX component of a model. `licence` has the licence, then the data sources."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {
        "bom-ref": f"model:{name}@{version}",
        "type": "machine-learning-model",
        "name": name,
        "version": version,
        "description": licence,
        "licenses": [{"license": {"name": one}} for one in spdx(licence)],
        "components": [
            {
                "bom-ref": f"file:{name}@{version}/{path.relative_to(folder)}",
                "type": "file",
                "name": str(path.relative_to(folder)),
                "hashes": [{"alg": "SHA-256", "content": sha256(path)}],
            }
            for path in files
        ],
    }


def spdx(licence: str) -> list[str]:
    """The SPDX names at the start of a manifest's text, such as `CC BY 4.0 and public: learned from
    …`.

    `public` are works without rights, such as filings with the SEC (US-PD, no SPDX name).
    """
    names = re.sub(r"\(.*?\)", "", licence.partition(":")[0]).split(" and ")
    words = {"CC BY 4.0": "CC-BY-4.0", "public": "US-PD"}
    return [words.get(one.strip(), one.strip()) for one in names]


def licences(component: Mapping[str, Any]) -> list[str]:
    """The SPDX licences of a component. Raises UnknownLicence."""
    name = normal(component["name"])
    if name in STATED:
        return [STATED[name]]
    found: list[str] = []
    for one in component.get("licenses") or []:
        if "expression" in one:
            names = re.sub(r"\b(AND|OR|WITH)\b", " ", one["expression"])
            found += re.findall(r"[A-Za-z0-9.-]+", names)
        else:
            licence = one["license"]
            found.append(licence.get("id") or NAMED.get(licence["name"], licence["name"]))
    known = [one for one in dict.fromkeys(found) if one in ALLOWED]
    wrong = [one for one in found if one not in ALLOWED and not one.startswith("License :: ")]
    if not known or wrong:
        raise UnknownLicence(
            f"{component['name']} {component['version']}: {', '.join(wrong) or 'no licence'} is not"
            " known to fit our licence: check it and add it to infra/release/sbom.py,"
            " or use another package"
        )
    return known


def inside(component: Mapping[str, Any]) -> list[str]:
    """The libraries of INSIDE in a package, each with its licence."""
    libraries = INSIDE.get(normal(component["name"]), {})
    return [f"with {name} under {licence} (see NOTICE)" for name, licence in libraries.items()]


def table(components: list[dict[str, Any]]) -> str:
    """The list of licences for people."""
    rows = [
        f"| {c['name']} | {c['version']} | {', '.join([*licences(c), *inside(c)])} |"
        for c in sorted(components, key=lambda c: (c["type"], normal(c["name"])))
    ]
    return (
        f"# What smallprint {VERSION} ships, and under which licence\n\n"
        "Made by `make sbom`. smallprint itself: Apache-2.0.\n\n"
        "| package or model | version | licence |\n| --- | --- | --- |\n" + "\n".join(rows) + "\n"
    )


def main(arguments: list[str] | None = None) -> int:
    """Write both files. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m infra.release.sbom", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--out", type=Path, default=ROOT / "build", help="folder (build)")
    out = parser.parse_args(arguments).out
    document = packages()
    try:
        document["components"] += models()
        listed = table(document["components"])
    except UnknownLicence as error:
        print(f"sbom: {error}", file=sys.stderr)
        return 1
    out.mkdir(parents=True, exist_ok=True)
    (out / "sbom.cdx.json").write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    (out / "licences.md").write_text(listed, "utf-8")
    count = len(document["components"])
    print(f"{count} packages and models: {out / 'sbom.cdx.json'}, {out / 'licences.md'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
