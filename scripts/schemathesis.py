"""Runs schemathesis over a server on demo data, as scripts/schemathesis describes it."""

import json
import os
import subprocess
import sys
import urllib.request

URL, WORK = sys.argv[1:3]
EXAMPLES = os.environ.get("EXAMPLES", "8")
TOOL = os.path.join(os.path.dirname(sys.executable), "schemathesis")
# A login of each role; nobody is None.
LOGINS = [None, "admin", "supervisor1", "cashier", "auditor", "officer1", "seller1", "partner", "risk", "finance"]
CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "missing_required_header",
    "ignored_auth",
]
# Bodies of the phones' exchange are bytes.
HOOKS = """
import schemathesis

@schemathesis.serializer("application/vnd.daybook.sync+cbor")
def exchange(ctx, value):
    return value if isinstance(value, bytes) else str(value).encode(errors="replace")
"""


def call(path, token=None, body=None):
    """The JSON of an answer."""
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(URL + path, data, headers)) as answer:
        return json.load(answer)


def sign_in(login):
    return call("/v1/tokens", body={"login": login, "password": "daybook-demo"})["access_token"]


def first(token, path, name="id"):
    """The id of the first item of a list, where there is one."""
    items = call(path, token)["items"]
    return items[0][name] if items else None


def known_ids(tokens):
    """Ids that are there, by the beginning of the paths that name them: random ones only ever get a 404."""
    admin, supervisor = tokens["admin"], tokens["supervisor1"]
    users = call("/v1/users?limit=200", admin)["items"]
    ids = {
        # Somebody who may be deactivated without ending the run.
        "users": next((user["id"] for user in users if user["login"] == "officer8"), None),
        "devices": first(supervisor, "/v1/devices"),
        "caseloads": first(supervisor, "/v1/caseloads"),
        "held": first(supervisor, "/v1/held", "entry"),
        "dossiers": first(supervisor, "/v1/held", "dossier"),
        "quarantine": first(supervisor, "/v1/quarantine"),
        "receipts": first(supervisor, "/v1/receipts/unexplained", "first"),
    }
    return {kind: id for kind, id in ids.items() if id}


def write_config(ids):
    """Half of the cases of a path with an id get one that is there: a second config for the same run."""
    document = call("/openapi.json")
    # Wanted on a write to what has a version; the tool knows no such answer.
    head = ["hooks = \"hooks.py\"", "[checks.missing_required_header]", "expected-statuses = [400, 401, 403, 404, 406, 415, 422, 428]", ""]
    lines = []
    for path in document["paths"]:
        kind = path.split("/")[2] if path.startswith("/v1/") and "{id}" in path else None
        if kind in ids:
            lines += ["[[operations]]", f"include-path = {json.dumps(path)}", f"parameters = {{ \"path.id\" = {json.dumps(ids[kind])} }}", ""]
    with open(os.path.join(WORK, "known.toml"), "w", encoding="utf-8") as config:
        config.write("\n".join(head + lines))
    with open(os.path.join(WORK, "random.toml"), "w", encoding="utf-8") as config:
        config.write("\n".join(head))
    with open(os.path.join(WORK, "hooks.py"), "w", encoding="utf-8") as hooks:
        hooks.write(HOOKS)


def run(login, token, config):
    command = [TOOL, "--config-file", os.path.join(WORK, config), "run", URL + "/openapi.json"]
    command += ["--checks", ",".join(CHECKS), "--max-examples", EXAMPLES, "--seed", "1", "--generation-deterministic"]
    command += ["--phases", "examples,coverage,fuzzing", "--no-color", "--warnings", "off", "--workers", "2"]
    if token:
        command += ["--header", f"Authorization: Bearer {token}"]
    result = subprocess.run(command, capture_output=True, text=True, cwd=WORK, check=False)
    if result.returncode != 0:
        print(f"\nas {login or 'nobody'} ({config}):\n{result.stdout}\n{result.stderr}")
    return result.returncode == 0


def main():
    # Before the first run: what a run guesses at logins counts against the address, and a fast machine would
    # have to wait for its next sign-in.
    tokens = {login: sign_in(login) for login in LOGINS if login}
    write_config(known_ids(tokens))
    good = True
    for login in LOGINS:
        config = "known.toml" if login in ("admin", "supervisor1", "cashier") else "random.toml"
        good = run(login, tokens.get(login), config) and good
        print(f"schemathesis as {login or 'nobody'}: {'good' if good else 'found something'}", flush=True)
    sys.exit(0 if good else 1)


main()
