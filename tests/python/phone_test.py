"""The phone's library from Python, against the real server program on SQLite.

Goal: what a host app in another language does (open, enrol, capture offline, sync, read the outcome) works
through the generated bindings, and the app may be killed at any moment. Method: every phone runs in a process
of its own, which is killed with SIGKILL where the story says so; the server's own `verify` has the last word.

Run by `make python`, which sets DAYBOOK_BIN, and PYTHONPATH to the generated sources beside the library.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

import daybook

SERVER = os.environ.get("DAYBOOK_BIN", "target/debug/daybook")


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


def capture_and_die(home, url):
    """A process that captures, says what the phone answered, and is killed without a chance to say goodbye."""
    mine = phone(home, url)
    case = json.loads(mine.caseload())[0]
    draft = {"type": "REPAYMENT", "account": case["account"], "channel": "CASH",
             "amount": {"minor": 25000, "currency": case["outstanding"]["currency"]}}
    captured = mine.capture(json.dumps(draft))
    mine.edit_board(captured.dossier, [daybook.Note.ADD_TAG("paid at home")])
    print(json.dumps({"id": captured.id, "dossier": captured.dossier, "receipt": captured.receipt}), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)


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

    def test_money_captured_before_a_kill_is_posted_once(self):
        home = self.home()
        mine = self.enrolled(home, self.officers[0])
        mine.shut()
        killed = subprocess.run([sys.executable, __file__, "capture-and-die", home, self.url],
                                stdout=subprocess.PIPE, text=True, check=False)
        self.assertEqual(killed.returncode, -signal.SIGKILL)
        captured = json.loads(killed.stdout)
        self.assertTrue(captured["receipt"])
        mine = phone(home, self.url)
        self.assertEqual([entry["id"] for entry in json.loads(mine.unsent())], [captured["id"]])
        owed = json.loads(mine.case(captured["dossier"]))["summary"]["outstanding"]["minor"]
        synced = mine.sync(None)
        self.assertEqual((synced.end, synced.answered), ("up_to_date", 1))
        self.assertEqual(mine.sync(None).answered, 0)
        case = json.loads(mine.case(captured["dossier"]))
        [entry] = [entry for entry in case["entries"] if entry["id"] == captured["id"]]
        self.assertEqual((entry["state"], entry["amount"]["minor"]), ("posted", 25000))
        self.assertEqual(case["summary"]["outstanding"]["minor"], owed - 25000)
        self.assertIn("paid at home", case["board"]["tags"])
        self.assertEqual(json.loads(mine.unsent()), [])
        self.assertEqual(json.loads(mine.cash())["in_hand"][0]["minor"], 25000)
        mine.shut()
        self.run_server("verify")

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
        mine = self.enrolled(home, self.officers[1])
        case = json.loads(mine.caseload())[0]
        visit = {"type": "CALL_ATTEMPT", "account": case["account"],
                 "call": {"channel": "CALL", "number_ref": "PHONE", "dialled_at": "2026-11-26T08:00:00Z",
                          "duration_s": 0, "disposition": "NO_ANSWER"}}
        mine.capture(json.dumps(visit))
        mine.enrol(self.code(self.officers[2]), "python test")
        self.assertEqual(json.loads(mine.caseload()), [])
        self.assertEqual(mine.sync(None).end, "up_to_date")
        theirs = {line["dossier"] for line in json.loads(mine.caseload())}
        self.assertTrue(theirs)
        self.assertNotIn(case["dossier"], theirs)
        mine.shut()


if __name__ == "__main__":
    if sys.argv[1:2] == ["capture-and-die"]:
        capture_and_die(*sys.argv[2:])
    unittest.main()
