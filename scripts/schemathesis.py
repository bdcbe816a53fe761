"""Runs schemathesis over a server on demo data, as scripts/schemathesis describes it."""

import datetime
import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid

URL, WORK = sys.argv[1:3]
EXAMPLES = os.environ.get("EXAMPLES", "8")
# One of them alone, when something is looked for.
ONLY = os.environ.get("AS")
TOOL = os.path.join(os.path.dirname(sys.executable), "schemathesis")
# A login of each role.
LOGINS = ["admin", "supervisor1", "cashier", "auditor", "officer1", "seller1", "partner", "risk", "finance"]
# How often the server may say that it is asked too often.
PATIENCE = 20
# The number of somebody who buys a phone of the demo's shop.
CUSTOMER = "+254712345678"
# End the caller's session, whose id the tool finds in a list: what came after it would all be refused.
ENDS = ["/v1/sessions/revocation", "/v1/sessions/{id}/revocation"]
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


def ask(path, token=None, body=None, version=None):
    """The JSON of an answer, and the version it names."""
    headers = {"Content-Type": "application/json", "Idempotency-Key": str(uuid.uuid4())}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    if version:
        headers["If-Match"] = version
    data = None if body is None else json.dumps(body).encode()
    for _ in range(PATIENCE):
        try:
            with urllib.request.urlopen(urllib.request.Request(URL + path, data, headers)) as answer:
                return json.load(answer), answer.headers["ETag"]
        except urllib.error.HTTPError as error:
            if error.code != 429:
                raise
            # On a fast machine the tool's own guesses have used up what an address may guess: as the server says.
            time.sleep(int(error.headers["Retry-After"]))
    sys.exit(f"{path} answers 429 however long one waits")


def call(path, token=None, body=None):
    return ask(path, token, body)[0]


def sign_in(login):
    return call("/v1/tokens", body={"login": login, "password": "daybook-demo"})


def renewed(session):
    """An access token of now: those of the beginning are good for 15 minutes, and all runs take longer on a slow machine."""
    return call("/v1/tokens/refresh", body={"refresh_token": session["refresh_token"]})["access_token"]


def code_of(phone):
    """The one-time code that went to a number: into the server's log, where the demo's messages go."""
    call("/v1/sessions/codes", body={"phone": phone})
    sent = re.compile(rf'to="{re.escape(phone)}" text="[^"]*?\b(\d{{6}})\b')
    for _ in range(100):
        with open(os.path.join(WORK, "server.log"), encoding="utf-8") as log:
            found = sent.findall(log.read())
        if found:
            return found[-1]
        time.sleep(0.1)
    sys.exit("no code for the customer is in the server's log")


def customer():
    """The token of a customer who bought a phone, and by the beginning of paths the ids of what he has."""
    token = call("/v1/sessions", body={"phone": CUSTOMER, "code": code_of(CUSTOMER)})["access_token"]
    for kind in ["credit_check", "data_processing"]:
        consent = {"id": str(uuid.uuid4()), "kind": kind, "text_version": "2026-03", "given": True}
        call("/v1/me/consents", token, consent)
    ids = {kind: str(uuid.uuid4()) for kind in ["orders", "quotes", "applications", "returns", "disputes"]}
    price = {"minor": 2400000, "currency": "KES"}
    line = {"sku": "PHONE-A15", "title": "Phone A15, 128 GB", "quantity": 1, "amount_minor": price["minor"]}
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    order = {"id": ids["orders"], "channel": "app", "reference": "10002345", "amount": price, "lines": [line], "placed_at": now}
    call("/v1/orders", token, order)
    # The one without a down payment begins when it is signed.
    offers = call(f"/v1/offers?order={ids['orders']}", token)["items"]
    offer = next(offer["id"] for offer in offers if offer["at_acceptance"]["minor"] == 0)
    call("/v1/quotes", token, {"id": ids["quotes"], "offer": offer, "order": ids["orders"]})
    call("/v1/applications", token, {"id": ids["applications"], "quote": ids["quotes"], "cascade_ok": False})
    application = f"/v1/applications/{ids['applications']}"
    version = ask(application, token)[1]
    contract = ask(f"{application}/agreement", token)[1]
    signature = {"document_hash": contract.strip('"'), "method": "app"}
    ids["plans"] = ask(f"{application}/acceptance", token, signature, version)[0]["plan"]
    call(f"/v1/plans/{ids['plans']}/returns", token, {"id": ids["returns"], "reason": "The screen flickers."})
    complaint = {"id": ids["disputes"], "about": "delivery", "words": "Nothing has come yet."}
    call(f"/v1/plans/{ids['plans']}/disputes", token, complaint)
    return token, ids


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


def write_config(name, ids):
    """What the tool is told; a path with one of these ids gets it, where there is one."""
    # Wanted on a write to what has a version; the tool knows no such answer.
    lines = ["hooks = \"hooks.py\"", "[checks.missing_required_header]", "expected-statuses = [400, 401, 403, 404, 406, 415, 422, 428]", ""]
    # It takes good orders and names bad ones in its answer, whatever is wrong with those.
    lines += ["[[operations]]", "include-path = \"/v1/imports/orders\"", "checks.negative_data_rejection.expected-statuses = [200, 400, 401, 403, 404, 406, 409, 415, 422, 428, 429]", ""]
    for path in DOCUMENT["paths"]:
        kind = path.split("/")[2] if path.startswith("/v1/") and "{id}" in path else None
        if kind in ids:
            lines += ["[[operations]]", f"include-path = {json.dumps(path)}", f"parameters = {{ \"path.id\" = {json.dumps(ids[kind])} }}", ""]
    with open(os.path.join(WORK, name), "w", encoding="utf-8") as config:
        config.write("\n".join(lines))


def run(login, token, config, *paths):
    # One worker: the parser of Python 3.11 counts its depth for all threads together, and fails when two meet.
    command = [TOOL, "--config-file", os.path.join(WORK, config), "run", URL + "/openapi.json"]
    command += ["--checks", ",".join(CHECKS), "--max-examples", EXAMPLES, "--seed", "1", "--generation-deterministic"]
    command += ["--phases", "examples,coverage,fuzzing", "--no-color", "--warnings", "off", "--workers", "1"]
    command += paths
    if token:
        command += ["--header", f"Authorization: Bearer {token}"]
    result = subprocess.run(command, capture_output=True, text=True, cwd=WORK, check=False)
    good = result.returncode == 0
    if not good:
        print(f"\nas {login} ({config}):\n{result.stdout}\n{result.stderr}")
    print(f"schemathesis as {login}: {'good' if good else 'found something'}", flush=True)
    return good


def run_signed_in(login, token, config, *paths):
    good = run(login, token, config, *named("--exclude-path", ENDS), *paths)
    try:
        call("/v1/sessions", token)
    except urllib.error.HTTPError as error:
        sys.exit(f"the session of {login} ended before its run did, so little of it was tried: {error}")
    return good


def customers_paths():
    """What a customer may call; the rest refuses him as it does any stranger to it."""
    def his(item):
        return any("customer" in operation.get("x-roles", []) for operation in item.values())
    paths = [path for path, item in DOCUMENT["paths"].items() if his(item)]
    return named("--include-path", paths)


def named(flag, paths):
    return [word for path in paths for word in (flag, path)]


def main():
    # Before the first run: what a run guesses at logins counts against the address, and a fast machine would
    # have to wait for its next sign-in.
    sessions = {login: sign_in(login) for login in LOGINS}
    tokens = {login: session["access_token"] for login, session in sessions.items()}
    token, ids = customer()
    with open(os.path.join(WORK, "hooks.py"), "w", encoding="utf-8") as hooks:
        hooks.write(HOOKS)
    write_config("known.toml", known_ids(tokens))
    write_config("random.toml", {})
    write_config("customer.toml", ids)
    # First, while his token is good.
    good = ONLY not in (None, "customer") or run_signed_in("customer", token, "customer.toml", *customers_paths())
    if ONLY in (None, "nobody"):
        good = run("nobody", None, "random.toml") and good
    for login in LOGINS:
        if ONLY in (None, login):
            config = "known.toml" if login in ("admin", "supervisor1", "cashier") else "random.toml"
            tokens[login] = renewed(sessions[login])
            good = run_signed_in(login, tokens[login], config) and good
    # Somebody's last.
    good = ONLY is not None or run(LOGINS[-1], tokens[LOGINS[-1]], "random.toml", *named("--include-path", ENDS)) and good
    sys.exit(0 if good else 1)


DOCUMENT = call("/openapi.json")
main()
