"""`python -m services.extraction api|worker|relay|migrate|all`."""

from services.extraction.bootstrap import build
from shared.runtime.main import main

if __name__ == "__main__":
    raise SystemExit(main(build))
