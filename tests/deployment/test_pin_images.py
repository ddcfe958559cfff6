"""infra/pin_images.sh on copies of the files, with a stand-in for `docker`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support import ROOT

FILES = ("docker-compose.yml", "Dockerfile")
IMAGE = re.compile(r"^ *(?:image:|FROM) (\S+:\S+)", re.MULTILINE)
DOCKER = """#!/bin/sh
[ "$1 $2 $3 $4 $5" = "buildx imagetools inspect --format {{.Manifest.Digest}}" ] || exit 9
echo "sha256:$(printf '%s' "$6$SEED" | sha256sum | cut -c 1-64)"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in FILES:
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def pin(folder: Path, docker: str, seed: str) -> subprocess.CompletedProcess[str]:
    program = folder / "bin" / "docker"
    program.parent.mkdir(exist_ok=True)
    program.write_text(docker)
    program.chmod(0o755)
    return subprocess.run(
        [str(ROOT / "infra" / "pin_images.sh"), str(folder)],
        env={**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}", "SEED": seed},
        capture_output=True,
        text=True,
        check=False,
    )


def images(folder: Path) -> list[str]:
    return [one for name in FILES for one in IMAGE.findall((folder / name).read_text("utf-8"))]


def test_every_foreign_image_gets_its_digest(folder: Path) -> None:
    before = [image.partition("@")[0] for image in images(folder)]
    pinned = []
    for seed in ("now", "later"):
        assert pin(folder, DOCKER, seed).returncode == 0
        pinned.append(images(folder))
        assert [image.partition("@")[0] for image in pinned[-1]] == before
    for now, later in zip(*pinned, strict=True):
        if not now.startswith("smallprint-"):
            assert re.fullmatch(r"\S+@sha256:[0-9a-f]{64}", later)
            assert now != later


def test_an_answer_without_a_digest_changes_nothing(folder: Path) -> None:
    before = images(folder)
    done = pin(folder, "#!/bin/sh\necho unauthorized\n", "")
    assert done.returncode == 1
    assert "names no digest of" in done.stderr
    assert images(folder) == before
