"""What pyproject.toml cannot say: which folders are packages, and what they carry beside code.

`smallprint`, the client, is in shared/client. Everything below services/ and shared/ that is not
Python (pages, migrations, golden files) is part of the package, and so are the shipped artefacts.
The programs that train models are not: they run in a checkout only.
"""

from setuptools import find_packages, setup

setup(
    packages=[
        *find_packages(include=["services*", "shared*", "models"], exclude=["shared.client*"]),
        *("smallprint" + name for name in ["", *("." + p for p in find_packages("shared/client"))]),
    ],
    package_dir={"smallprint": "shared/client"},
    package_data={
        "services": ["**/*"],
        "shared": ["**/*"],
        "models": ["artefacts/**/*"],
        "smallprint": ["**/*"],
    },
    exclude_package_data={"": ["*.pyc", "__pycache__/*", "**/__pycache__/*"]},
    include_package_data=False,
)
