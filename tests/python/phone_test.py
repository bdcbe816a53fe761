"""The phone's library from Python, against the real server program on SQLite.

Goal: what a host app in another language does (open, enrol, capture offline, sync, read the outcome) works
through the generated bindings, and the app may be killed at any moment. Method: where the story kills an app, the
phone runs in a process of its own, which gets SIGKILL; the server's own `verify` has the last word.

Run by `make python`, which sets DAYBOOK_BIN, and PYTHONPATH to the generated sources beside the library.
"""

import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
from datetime import datetime, timezone
from pathlib import Path
from urllib.parse import urlsplit

import daybook

SERVER = os.environ.get("DAYBOOK_BIN", "target/debug/daybook")
# Minor units of a payment.
AMOUNT = 100


class Host(daybook.Host):
    """Keeps the generation in a file, as an app would outside of its backups."""

    def __init__(self, home):
        self.generation = Path(home) / "generation"

    def load_generation(self):
        return int(self.generation.read_text()) if self.generation.exists() else 0

    def save_generation(self, generation):
        new = self.generation.with_suffix(".new")
        new.write_text(str(generation))
        new.rename(self.generation)

    def boot(self):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()

    def since_boot_ms(self):
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


class Seen(daybook.Progress):
    """Counts what a sync tells."""

    def __init__(self):
        self.frames = 0

    def received(self, frames, bytes_up, bytes_down):
        self.frames = frames

    def waiting(self, why, ms):
        pass


def phone(home, url, language="en"):
    options = daybook.Options(path=f"{home}/store.sqlite", server=url, language=language)
    return daybook.Phone.open(options, bytes(range(32)), Host(home))


def now():
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def repayment(case, minor):
    amount = {"minor": minor, "currency": case["outstanding"]["currency"]}
    return json.dumps({"type": "REPAYMENT", "account": case["account"], "channel": "CASH", "amount": amount})


def capture_until_killed(home, url):
    """A process that captures, and says each id once the phone has it."""
    mine = phone(home, url)
    case = json.loads(mine.caseload())[0]
    while True:
        print(mine.capture(repayment(case, AMOUNT)).id, flush=True)


def sync_until_killed(home, url):
    """A process that syncs and says that it is done, if it lives so long."""
    print(phone(home, url).sync(None).end, flush=True)


def kill_unheard(phone_process, listener, server):
    """Relays what a phone asks, and kills it once the server has begun to answer, of which it hears nothing."""
    listener.settimeout(60)
    ours, _ = listener.accept()
    with ours, socket.create_connection(server) as theirs:
        while True:
            ready, _, _ = select.select([ours, theirs], [], [], 60)
            if theirs in ready:
                phone_process.kill()
                return
            if not ready:
                raise AssertionError("the phone asked for nothing")
            theirs.sendall(ours.recv(65536))


class PhoneTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.db = f"sqlite:{cls.folder.name}/demo.db"
        roster = cls.run_server("demo", "--no-serve").split("\n")
        cls.officers = [line.split()[0] for line in roster if line.split()[1:2] == ["officer"]]
        cls.server = subprocess.Popen([SERVER, "--db", cls.db, "serve", "--listen", "127.0.0.1:0"],
                                      stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        # The first line says where it listens.
        cls.url = cls.server.stdout.readline().strip().removeprefix("listening on ")

    @classmethod
    def tearDownClass(cls):
        cls.server.terminate()
        cls.server.communicate()
        cls.folder.cleanup()

    @classmethod
    def run_server(cls, *arguments):
        done = subprocess.run([SERVER, "--db", cls.db, *arguments], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise AssertionError(f"daybook {' '.join(arguments)}: {done.stdout}{done.stderr}")
        return done.stdout

    def home(self):
        home = tempfile.TemporaryDirectory()
        self.addCleanup(home.cleanup)
        return home.name

    def code(self, officer):
        return json.loads(self.run_server("device", "code", "--login", officer, "--json"))["code"]

    def enrolled(self, home, officer):
        mine = phone(home, self.url)
        mine.enrol(self.code(officer), "python test")
        seen = Seen()
        synced = mine.sync(seen)
        self.assertEqual(synced.end, "up_to_date")
        self.assertGreater(seen.frames, 0)
        return mine

    def failed(self, code):
        context = self.assertRaises(daybook.PhoneError.Failed)
        test = self

        class Failed:
            def __enter__(self):
                context.__enter__()

            def __exit__(self, *error):
                done = context.__exit__(*error)
                test.assertEqual(context.exception.code, code, context.exception.words)
                return done

        return Failed()

    def run_phone(self, what, home, url):
        return subprocess.Popen([sys.executable, __file__, what, home, url], stdout=subprocess.PIPE, text=True)

    def owed_and_in_hand(self, mine, dossier):
        summary = json.loads(mine.case(dossier))["summary"]
        return summary["outstanding"]["minor"], json.loads(mine.cash())["in_hand"][0]["minor"]

    def posted_once(self, mine, dossier, ids, before):
        """All of these payments are posted, each once, here and in the books."""
        states = {entry["id"]: entry["state"] for entry in json.loads(mine.case(dossier))["entries"]}
        self.assertEqual({states.get(entry) for entry in ids}, {"posted"})
        self.assertEqual(json.loads(mine.unsent()), [])
        (owed, in_hand), paid = before, AMOUNT * len(ids)
        self.assertEqual(self.owed_and_in_hand(mine, dossier), (owed - paid, in_hand + paid))
        self.run_server("verify")

    def test_what_was_captured_before_a_kill_is_posted_once(self):
        home = self.home()
        mine = self.enrolled(home, self.officers[0])
        dossier = json.loads(mine.caseload())[0]["dossier"]
        before = self.owed_and_in_hand(mine, dossier)
        mine.shut()
        killed = self.run_phone("capture-until-killed", home, self.url)
        said = [killed.stdout.readline().strip() for _ in range(5)]
        killed.kill()
        said += killed.communicate()[0].split()
        self.assertEqual(killed.returncode, -signal.SIGKILL)
        mine = phone(home, self.url)
        unsent = [entry["id"] for entry in json.loads(mine.unsent())]
        # What the phone had said is here; the one it was about to say may be.
        self.assertEqual(unsent[:len(said)], said)
        self.assertLessEqual(len(unsent), len(said) + 1)
        synced = mine.sync(None)
        self.assertEqual((synced.end, synced.answered), ("up_to_date", len(unsent)))
        self.assertEqual(mine.sync(None).answered, 0)
        self.posted_once(mine, dossier, unsent, before)
        mine.shut()

    def test_a_phone_killed_before_it_hears_the_verdict_hears_it_later(self):
        home = self.home()
        mine = self.enrolled(home, self.officers[1])
        case = json.loads(mine.caseload())[0]
        before = self.owed_and_in_hand(mine, case["dossier"])
        captured = mine.capture(repayment(case, AMOUNT))
        self.assertTrue(captured.receipt)
        mine.edit_board(captured.dossier, [daybook.Note.ADD_TAG(tag="paid at home")])
        mine.shut()
        server = urlsplit(self.url)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            killed = self.run_phone("sync-until-killed", home, f"http://127.0.0.1:{listener.getsockname()[1]}")
            kill_unheard(killed, listener, (server.hostname, server.port))
            self.assertEqual(killed.communicate()[0], "")
        self.assertEqual(killed.returncode, -signal.SIGKILL)
        mine = phone(home, self.url)
        self.assertEqual([entry["id"] for entry in json.loads(mine.unsent())], [captured.id])
        synced = mine.sync(None)
        self.assertEqual((synced.end, synced.answered), ("up_to_date", 1))
        self.assertIn("paid at home", json.loads(mine.case(captured.dossier))["board"]["tags"])
        self.posted_once(mine, captured.dossier, [captured.id], before)
        mine.shut()

    def test_a_photo_goes_after_its_payment(self):
        home = self.home()
        mine = self.enrolled(home, self.officers[2])
        case = json.loads(mine.caseload())[0]
        photo = daybook.File(bytes=os.urandom(300_000), mime="image/jpeg")
        captured = mine.capture(repayment(case, AMOUNT), [photo])
        [waiting] = json.loads(mine.unsent_files())
        self.assertEqual((waiting["entry"], waiting["bytes"], waiting["sent"]), (captured.id, 300_000, 0))
        synced = mine.sync(None)
        self.assertEqual((synced.end, synced.files_sent, synced.files_left), ("up_to_date", 1, 0))
        self.assertEqual(json.loads(mine.unsent_files()), [])
        with self.failed("argument"):
            mine.capture(repayment(case, AMOUNT), [daybook.File(bytes=b"1", mime="image/jpeg", kind="PICTURE")])
        with self.failed("file_size"):
            mine.capture(repayment(case, AMOUNT), [daybook.File(bytes=b"", mime="image/jpeg")])
        mine.shut()

    def test_a_quote_needs_no_network(self):
        mine = self.enrolled(self.home(), self.officers[5])
        shown = json.loads(mine.offers())
        self.assertEqual((len(shown["offers"]), shown["left_out"], shown["unreadable"]), (2, 0, []))
        offer = shown["offers"][0]
        least, currency = offer["amount_min"]["minor"], offer["terms"]["currency"]
        quoted = json.loads(mine.quote(offer["id"], least, currency))
        self.assertEqual(sum(due["amount"]["minor"] for due in quoted["instalments"])
                         + quoted["at_acceptance"]["minor"], quoted["total"]["minor"])
        self.assertEqual(quoted["request"]["offer_version"], offer["version"])
        again = json.loads(mine.quote(offer["id"], least, currency, anchor=quoted["anchor"], channel="app"))
        self.assertEqual((again["hash"], again["id"] == quoted["id"]), (quoted["hash"], False))
        with self.failed("amount_too_low"):
            mine.quote(offer["id"], least - 1, currency)
        with self.failed("unknown_offer"):
            mine.quote("01a3ffac-9f00-7281-9257-9b2ed10dc80f", least, currency)
        with self.failed("anchor"):
            mine.quote(offer["id"], least, currency, anchor="2020-01-01")
        for arguments in [("four", least, currency), (offer["id"], least, "shillings")]:
            with self.failed("argument"):
                mine.quote(*arguments)
        mine.shut()

    def test_every_language_has_every_call(self):
        generated = Path(daybook.__file__).parent.parent
        kotlin = (generated / "kotlin/uniffi/daybook/daybook.kt").read_text()
        swift = (generated / "swift/daybook.swift").read_text()
        calls = [name for name in vars(daybook.Phone) if not name.startswith("_")]
        self.assertIn("capture", calls)
        for call in calls:
            camel = re.sub("_(.)", lambda found: found[1].upper(), call)
            self.assertRegex(kotlin, rf"fun `?{camel}`?\(", "Kotlin")
            self.assertRegex(swift, rf"func `?{camel}`?\(", "Swift")

    def test_an_error_has_a_code_and_words(self):
        home = self.home()
        mine = phone(home, self.url, "sw")
        with self.failed("not_enrolled"):
            mine.caseload()
        with self.failed("enrolment-code-unknown"):
            mine.enrol("AAAA-AAAA-AAAA", "python test")
        with self.failed("draft"):
            mine.capture('{"type": "VISIT", "colour": "red"}')
        with self.failed("draft"):
            account = "01a3ffac-9f00-7281-9257-9b2ed10dc80f"
            mine.capture(json.dumps({"type": "REPAYMENT", "account": account, "channel": "CSAH",
                                     "amount": {"minor": 1, "currency": "KES"}}))
        with self.failed("in_use"):
            phone(home, self.url)
        mine.shut()
        with self.failed("shut"):
            mine.status()

    def test_the_next_officer_takes_the_handset_over(self):
        home = self.home()
        mine = self.enrolled(home, self.officers[3])
        case = json.loads(mine.caseload())[0]
        call = {"type": "CALL_ATTEMPT", "account": case["account"],
                 "call": {"channel": "CALL", "number_ref": "PHONE", "dialled_at": now(),
                          "duration_s": 0, "disposition": "NO_ANSWER"}}
        mine.capture(json.dumps(call))
        mine.enrol(self.code(self.officers[4]), "python test")
        self.assertEqual(json.loads(mine.caseload()), [])
        self.assertEqual(mine.sync(None).end, "up_to_date")
        theirs = {line["dossier"] for line in json.loads(mine.caseload())}
        self.assertTrue(theirs)
        self.assertNotIn(case["dossier"], theirs)
        mine.shut()


if __name__ == "__main__":
    parts = {"capture-until-killed": capture_until_killed, "sync-until-killed": sync_until_killed}
    if len(sys.argv) > 1 and sys.argv[1] in parts:
        parts[sys.argv[1]](*sys.argv[2:])
    else:
        unittest.main()
