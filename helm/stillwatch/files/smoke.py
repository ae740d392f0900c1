"""What `helm test` asks of an installed release. Prints one line for each answer; exits 1 if one is wrong."""

import json
import os
import sys
import urllib.error
import urllib.request

failures = 0


def status(url: str, body: object = None) -> int | None:
    """The HTTP status, or None when nobody answers (which is what a closed network looks like)."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


def expect(what: str, got: int | None, wanted: tuple[int | None, ...]) -> None:
    global failures
    failures += got not in wanted
    sys.stdout.write(f"{'ok  ' if got in wanted else 'FAIL'} {what}: {got or 'no answer'}\n")


api = os.environ["API"]
expect("the API is alive", status(f"{api}/healthz"), (200,))
expect("every partition has an owner and the revocations are loaded", status(f"{api}/readyz"), (200,))
stranger = {"target": "account", "account": "helm-test", "action": "observe", "reason": "helm test", "ttl_s": 60}
expect("a stranger may not revoke", status(f"{api}/v1/revocations", stranger), (401, 403))
if os.environ["RAY_AUTH"] == "true":
    expect("a stranger may not run jobs on Ray", status(f"{os.environ['RAY']}/api/jobs/"), (401, 403, None))
sys.exit(1 if failures else 0)
