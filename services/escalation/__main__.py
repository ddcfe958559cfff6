"""`python -m services.escalation api|worker|relay|migrate|all`."""

from services.escalation.bootstrap import build
from shared.runtime.main import main

if __name__ == "__main__":
    raise SystemExit(main(build))
