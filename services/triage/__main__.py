"""`python -m services.triage api|worker|relay|migrate|all`."""

from services.triage.bootstrap import build
from shared.runtime.main import main

if __name__ == "__main__":
    raise SystemExit(main(build))
