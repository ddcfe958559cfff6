"""Write the calibration set of the newest forest from its out-of-fold predictions.

    python -m models.triage_breaks.guarantee

For each filing of the part `own` it has the company, whether the filing has an error, the
probability of the likeliest suspect, and whether that names the error. Prints the thresholds.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from models.files import MODELS, read_json, write_json
from models.triage_breaks.filings import FOLDER
from models.triage_breaks.scores import of, predictions
from services.triage.checks.classifier import GUARANTEE_FILE, NAME, BreaksManifest
from services.triage.routing.risk_control import Calibration, make_guarantee
from shared.artefacts.loader import newest, sha256
from shared.errors import SettingsError

ARTEFACTS = MODELS / "artefacts"
LEVEL = 0.95
RISKS, SHARES = (0.05, 0.1, 0.2), (0.5, 0.2, 0.1, 0.05, 0.01)


def calibration_of(folder: Path = FOLDER) -> Calibration:
    """Return the set of the committed predictions."""
    own = of("own", predictions(folder))
    return Calibration(
        np.array([p["company"] for p in own], np.int64),
        np.array([p["type"] is not None for p in own]),
        np.array([bool(p["right"] and p["right"][0]) for p in own]),
        np.array([p["risk"] for p in own], float),
    )


def put(artefacts: Path, calibration: Calibration, version: str) -> None:
    """Write the set and its digest into the newest artefact; SettingsError for another version."""
    folder = newest(artefacts, NAME, BreaksManifest.FILE)
    path = folder / BreaksManifest.FILE
    if BreaksManifest.read(folder).version != version:
        raise SettingsError(f"the predictions are from version {version}, not from {folder}")
    (folder / GUARANTEE_FILE).write_bytes(calibration.to_bytes())
    manifest = read_json(path)
    manifest["sha256"][GUARANTEE_FILE] = sha256(folder / GUARANTEE_FILE)
    write_json(path, manifest)


def table(calibration: Calibration) -> str:
    """Return the confidence from which findings are accepted, by risk and share of errors."""
    lines = [
        "| at most wrong | " + " | ".join(f"{share:.0%} broken" for share in SHARES) + " |",
        "| --- |" + " --- |" * len(SHARES),
    ]
    for risk in RISKS:
        made = [make_guarantee(calibration, risk, LEVEL, share).threshold for share in SHARES]
        cells = [f"{threshold:.2f}" if threshold else "not attainable" for threshold in made]
        lines.append(f"| {risk:.0%} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Write the calibration into the artefact and print the table of thresholds."""
    calibration = calibration_of()
    put(ARTEFACTS, calibration, predictions(FOLDER)[0]["version"])
    print(f"{calibration.companies} companies, {len(calibration.risk)} filings\n")
    print(table(calibration))


if __name__ == "__main__":
    main()
