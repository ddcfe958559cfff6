"""Put the calibration set beside the newest forest, from its out-of-fold predictions, and show what
it promises.

    python -m models.triage.guarantee

Of each filing of the part `own` (sound ones, and copies with an error) it has the company, whether
it is broken, how sure the surest doubt was, and whether that names the error.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from models.triage.scores import FOLDER, of, predictions
from services.triage.guarantee import Calibration, promise
from services.triage.risk import GUARANTEE_FILE, MANIFEST_FILE, NAME, read_manifest
from shared.artefacts import newest, sha256
from shared.errors import SettingsError

ARTEFACTS = Path(__file__).resolve().parent.parent / "artefacts"
LEVEL = 0.95
RISKS, SHARES = (0.05, 0.1, 0.2), (0.5, 0.2, 0.1, 0.05, 0.01)


def calibration_of(folder: Path = FOLDER) -> Calibration:
    """The set that the committed predictions make."""
    own = of("own", predictions(folder))
    return Calibration(
        np.array([p["company"] for p in own], np.int64),
        np.array([p["type"] is not None for p in own]),
        np.array([bool(p["right"] and p["right"][0]) for p in own]),
        np.array([p["risk"] for p in own], float),
    )


def put(artefacts: Path, known: Calibration, version: str) -> None:
    """Write the set beside the newest forest and its digest into the manifest. Raises SettingsError
    if the predictions are of another version.
    """
    folder = newest(artefacts, NAME, MANIFEST_FILE)
    path = folder / MANIFEST_FILE
    if read_manifest(path).version != version:
        raise SettingsError(f"the predictions are of version {version}, not of {folder}")
    (folder / GUARANTEE_FILE).write_bytes(known.to_bytes())
    manifest = json.loads(path.read_text("utf-8"))
    manifest["sha256"][GUARANTEE_FILE] = sha256(folder / GUARANTEE_FILE)
    path.write_text(json.dumps(manifest, indent=1) + "\n", "utf-8")


def table(known: Calibration) -> str:
    """From which confidence on findings are told, by risk and share of broken filings."""
    lines = [
        "| at most wrong | " + " | ".join(f"{share:.0%} broken" for share in SHARES) + " |",
        "| --- |" + " --- |" * len(SHARES),
    ]
    for risk in RISKS:
        made = [promise(known, risk, LEVEL, share) for share in SHARES]
        cells = [f"{one.threshold:.2f}" if one.threshold else "not attainable" for one in made]
        lines.append(f"| {risk:.0%} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> int:
    """The program. Returns the exit code."""
    known = calibration_of()
    put(ARTEFACTS, known, predictions(FOLDER)[0]["version"])
    print(f"{known.companies} companies, {len(known.risk)} filings\n\n{table(known)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
