"""Ask a process on this machine whether it is ready: exit code 0 or 1, for health checks.

python -m services.proxy.healthcheck PORT [PATH]
"""

import sys
import urllib.error
import urllib.request


def main(port: str, path: str = "/readyz") -> int:
    """Print the fault, if any. Returns the exit code."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://127.0.0.1:{int(port)}{path}", timeout=5):
            return 0
    except urllib.error.HTTPError as error:
        print(f"{error.code}: {error.read(2000).decode('utf-8', 'replace')}")
    except OSError as error:
        print(f"port {port} does not answer: {error}")
    return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
