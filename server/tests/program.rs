//! The program itself, as its users run it: configuration, refusals, serving and stopping.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

fn daybook(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_daybook"));
    command.current_dir(dir).env_remove("DAYBOOK_DB").env_remove("DAYBOOK_CONFIG").env("DAYBOOK_LOG", "warn");
    command
}

fn run(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A running server, killed when the test ends.
struct Serving {
    child: Child,
    address: String,
}

impl Serving {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on http://").expect("the one line").to_owned();
        Self { child, address }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    fn get(&self, path: &str) -> String {
        self.exchange(&format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"))
    }

    fn get_with(&self, path: &str, token: &str) -> String {
        self.exchange(&format!(
            "GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n"
        ))
    }

    fn post(&self, path: &str, body: &str) -> String {
        let length = body.len();
        self.exchange(&format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
             connection: close\r\n\r\n{body}"
        ))
    }

    fn exchange(&self, request: &str) -> String {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn terminate(&self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn a_flag_wins_over_the_environment_that_over_the_file_and_that_over_the_default() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("daybook.toml"), "db = \"sqlite:file.db\"\n").unwrap();
    let made = |command: &mut Command, name: &str| {
        let output = run(command.arg("migrate"));
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert!(dir.path().join(name).exists(), "{name}");
    };
    let file = dir.path().join("daybook.toml");
    made(&mut daybook(dir.path()), "daybook.db");
    made(daybook(dir.path()).arg("--config").arg(&file), "file.db");
    made(daybook(dir.path()).env("DAYBOOK_CONFIG", &file).env("DAYBOOK_DB", "sqlite:environment.db"), "environment.db");
    let all = &mut daybook(dir.path());
    all.env("DAYBOOK_CONFIG", &file).env("DAYBOOK_DB", "sqlite:other.db").args(["--db", "sqlite:flag.db"]);
    made(all, "flag.db");
    assert!(!dir.path().join("other.db").exists());

    std::fs::write(&file, "databse = \"x\"\n").unwrap();
    let output = run(daybook(dir.path()).arg("--config").arg(&file).arg("migrate"));
    assert!(!output.status.success());
    assert!(text(&output.stderr).contains("databse"), "{}", text(&output.stderr));
}

#[test]
fn a_test_clock_is_refused_on_a_lenders_own_database() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("clock"), "2030-01-01T00:00:00Z").unwrap();
    assert!(run(daybook(dir.path()).arg("migrate")).status.success());
    for arguments in [&["serve", "--listen", "127.0.0.1:0", "--test-clock", "clock"][..], &["migrate", "--test"]] {
        let output = run(daybook(dir.path()).args(arguments));
        assert!(!output.status.success());
        assert!(text(&output.stderr).contains("--test"), "{}", text(&output.stderr));
    }
    let new = ["--db", "sqlite:new.db"];
    let output = run(daybook(dir.path()).args(new).args(["serve", "--test-clock", "clock"]));
    assert!(!output.status.success(), "a new database is a lender's own unless it is made with --test");

    let test = ["--db", "sqlite:test.db"];
    assert!(run(daybook(dir.path()).args(test).args(["migrate", "--test"])).status.success());
    let serve = ["serve", "--listen", "127.0.0.1:0", "--test-clock", "clock"];
    let server = Serving::start(daybook(dir.path()).args(test).args(serve));
    assert!(server.get("/readyz").contains("200 OK"));
}

#[test]
fn an_operator_adds_a_user_and_hands_out_a_code() {
    let dir = tempfile::tempdir().unwrap();
    let add = ["user", "add", "--login", "amina", "--name", "Amina W.", "--role", "officer", "--json"];
    let output = run(daybook(dir.path()).args(add));
    assert!(output.status.success(), "{}", text(&output.stderr));
    let user: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let output = run(daybook(dir.path()).args(["device", "code", "--login", "amina", "--json"]));
    let code: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&code["user"], code["code"].as_str().unwrap().len()), (&user["id"], 14));

    let again = run(daybook(dir.path()).args(add));
    assert!(!again.status.success() && text(&again.stderr).contains("in use"));
    let nobody = run(daybook(dir.path()).args(["device", "code", "--login", "brian"]));
    assert!(!nobody.status.success() && text(&nobody.stderr).contains("brian"));
    let set = |name: &str, value: &str| run(daybook(dir.path()).args(["settings", "set", name, value]));
    assert!(set("currency", "KES").status.success());
    assert!(text(&set("currency", "kes").stderr).contains("ISO 4217"));
    let list = run(daybook(dir.path()).args(["settings", "list", "--json"]));
    let list: serde_json::Value = serde_json::from_slice(&list.stdout).unwrap();
    assert_eq!((&list["currency"], &list["backdated_days_max"]), (&"KES".into(), &"7".into()));
}

/// Goal: what an operator does about sign-ins, keys and the trail, a running server follows without a
/// restart. Method: the program beside its own server.
#[test]
fn an_operator_ends_sign_ins_rotates_keys_and_verifies_the_trail() {
    let dir = tempfile::tempdir().unwrap();
    let json = |output: &Output| -> serde_json::Value {
        assert!(output.status.success(), "{}", text(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let daybook = |arguments: &[&str]| run(daybook(dir.path()).args(arguments));
    let add = ["user", "add", "--login", "grace", "--name", "Grace M.", "--role", "admin", "--json"];
    let made = json(&daybook(&add));
    let server = Serving::start(self::daybook(dir.path()).args(["serve", "--listen", "127.0.0.1:0"]));
    let login = format!("{{\"login\": \"grace\", \"password\": {}}}", made["password"]);
    let answer = server.post("/v1/tokens", &login);
    assert!(answer.contains("201 Created"), "{answer}");
    let tokens: serde_json::Value = serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    let lets_in = || server.get_with("/v1/sessions", tokens["access_token"].as_str().unwrap()).contains("200 OK");
    assert!(lets_in());

    let sessions = json(&daybook(&["user", "sessions", "--login", "grace", "--json"]));
    assert_eq!(sessions["sessions"][0]["id"], tokens["session"]);
    let rotation = json(&daybook(&["keys", "rotate", "--in", "0", "--json"]));
    assert!(lets_in(), "the old key's tokens are good until they end");
    let key = rotation["key"].as_str().unwrap();
    let again = server.post("/v1/tokens", &login);
    assert!(again.contains("201 Created"), "{again}");
    assert!(
        dir.path()
            .join("daybook.db.keys")
            .join(Path::new(rotation["path"].as_str().unwrap()).file_name().unwrap())
            .exists()
    );
    assert_eq!(key.len(), 16);

    let stranger = daybook(&["user", "revoke", "--login", "brian"]);
    assert!(!stranger.status.success() && text(&stranger.stderr).contains("brian"));
    assert_eq!(json(&daybook(&["user", "revoke", "--login", "grace", "--json"]))["ended"], 2);
    assert!(!lets_in(), "at once");
    let common = self::daybook(dir.path())
        .args(["user", "password", "--login", "grace", "--password-stdin"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(!common.status.success() && text(&common.stderr).contains("12 to 128"), "{}", text(&common.stderr));

    assert!(daybook(&["audit", "seal"]).status.success());
    let report = json(&daybook(&["audit", "verify", "--json"]));
    assert_eq!((&report["wrong"], &report["unsealed"]), (&0.into(), &0.into()));
    let head = text(&daybook(&["audit", "head"]).stdout).trim().to_owned();
    assert!(daybook(&["audit", "verify", "--head", &head]).status.success());
    let beyond = format!("999{head}");
    let cut = daybook(&["audit", "verify", "--head", &beyond]);
    assert!(!cut.status.success() && text(&cut.stdout).contains("and had a row 999"), "{}", text(&cut.stdout));
    assert!(text(&daybook(&["audit", "verify", "--head", "x"]).stderr).contains("64 hexadecimal digits"));
}

/// Goal: a request in flight at SIGTERM is answered. Method: half of a body is sent, the signal, then
/// the other half.
#[cfg(unix)]
#[test]
fn what_is_in_flight_is_finished_before_the_server_stops() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Serving::start(daybook(dir.path()).args(["serve", "--listen", "127.0.0.1:0"]));
    assert!(server.get("/healthz").contains("{\"status\":\"ok\"}"));
    let body = b"{\"login\": \"nobody\", \"password\": \"whatever\"}";
    let mut stream = server.connect();
    write!(
        stream,
        "POST /v1/tokens HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nexpect: 100-continue\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    )
    .unwrap();
    // The server asks for the body once the handler reads it: the request is in flight.
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    assert!(line.contains("100 Continue"), "{line}");
    stream.write_all(&body[..10]).unwrap();
    server.terminate();
    while TcpStream::connect(&server.address).is_ok() {
        std::thread::yield_now();
    }
    stream.write_all(&body[10..]).unwrap();
    let mut answer = String::new();
    reader.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("401 Unauthorized") && answer.contains("wrong-login"), "{answer}");
    assert!(server.child.wait().unwrap().success());
}

#[test]
fn an_address_in_use_is_an_error_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = run(daybook(dir.path()).args(["serve", "--listen", &address]));
    assert!(!output.status.success() && text(&output.stderr).contains(&address));
}

#[test]
fn a_demo_is_made_once_and_never_among_other_data() {
    let dir = tempfile::tempdir().unwrap();
    let demo = || run(daybook(dir.path()).args(["demo", "--no-serve"]));
    let first = demo();
    assert!(first.status.success(), "{}", text(&first.stderr));
    let logins = |output: &Output| -> Vec<String> {
        let text = text(&output.stdout);
        text.lines().filter(|line| line.starts_with("officer")).map(|line| line[..9].to_owned()).collect()
    };
    assert_eq!(logins(&first).len(), 8);
    assert_eq!(logins(&demo()), logins(&first), "the same demo, with new codes");

    let verified = run(daybook(dir.path()).args(["verify", "--json"]));
    assert!(verified.status.success(), "{}", text(&verified.stdout));
    let report = run(daybook(dir.path()).args(["report", "ageing", "--as-of", "2100-01-01", "--json"]));
    let report: serde_json::Value = serde_json::from_slice(&report.stdout).unwrap();
    assert_eq!((&report["accounts"], &report["as_of"]), (&1200.into(), &"2100-01-01".into()));

    let other = ["--db", "sqlite:other.db"];
    let add = ["user", "add", "--login", "amina", "--name", "Amina W.", "--role", "officer"];
    assert!(run(daybook(dir.path()).args(other).args(add)).status.success());
    let refused = run(daybook(dir.path()).args(other).args(["demo", "--no-serve"]));
    assert!(!refused.status.success());
    assert!(text(&refused.stderr).contains("is no demo"), "{}", text(&refused.stderr));
}

#[tokio::test]
async fn verify_ends_with_status_1_when_a_balance_is_not_what_the_journal_says() {
    let dir = tempfile::tempdir().unwrap();
    assert!(run(daybook(dir.path()).args(["demo", "--no-serve"])).status.success());
    let path = dir.path().join("daybook.db");
    let db = daybook_server::db::Db::open(&format!("sqlite:{}", path.display())).await.unwrap();
    let mut tx = db.write().await.unwrap();
    daybook_server::on_db!(&mut tx, conn => {
        let tampered = "update account set outstanding_principal = outstanding_principal - 1 where id = 1";
        sqlx::query(tampered).execute(conn).await.map(|_| ())
    })
    .unwrap();
    tx.commit().await.unwrap();
    db.close().await;
    let output = run(daybook(dir.path()).arg("verify"));
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("WRONG"), "{}", text(&output.stdout));
}

/// The files of a folder, and how long each is.
fn files(dir: &Path) -> Vec<(String, u64)> {
    let entries = std::fs::read_dir(dir).unwrap().map(Result::unwrap);
    let mut files: Vec<_> =
        entries.map(|entry| (text(entry.file_name().as_encoded_bytes()), entry.metadata().unwrap().len())).collect();
    files.sort();
    files
}

/// The commands that need a database that is there.
const ON_AN_EXISTING_DATABASE: [&[&str]; 5] = [
    &["verify"],
    &["report", "ageing", "--as-of", "2026-03-31"],
    &["device", "code", "--login", "amina"],
    &["settings", "list"],
    &["settings", "set", "currency", "KES"],
];

#[test]
fn a_mistyped_database_is_an_error_and_not_a_new_lender() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("empty.db"), "").unwrap();
    std::fs::write(dir.path().join("letter.db"), "Dear Grace, this is no database at all.").unwrap();
    let before = files(dir.path());
    for arguments in ON_AN_EXISTING_DATABASE {
        for (name, why) in
            [("typo.db", "daybook migrate"), ("empty.db", "daybook migrate"), ("letter.db", "not a data")]
        {
            let output = run(daybook(dir.path()).args(["--db", &format!("sqlite:{name}")]).args(arguments));
            let said = text(&output.stderr);
            assert!(!output.status.success() && output.stdout.is_empty(), "{arguments:?} on {name}");
            assert!(said.contains(&dir.path().join(name).display().to_string()), "{arguments:?}: {said}");
            assert!(said.contains(why) && said.lines().count() == 1, "{arguments:?}: {said}");
            assert_eq!(files(dir.path()), before, "{arguments:?} on {name}");
        }
    }
    let output = run(daybook(dir.path()).args(["--db", "sqlite:no/such/folder.db", "migrate"]));
    assert!(!output.status.success() && text(&output.stderr).contains("no/such/folder.db"));
}

#[tokio::test]
async fn an_empty_postgresql_is_an_error_and_not_a_new_lender() {
    let Ok(cluster) = std::env::var("DAYBOOK_TEST_POSTGRES") else { return };
    let admin = sqlx::PgPool::connect(&cluster).await.unwrap();
    let name = format!("daybook_program_{}", std::process::id());
    sqlx::query(sqlx::AssertSqlSafe(format!("create database {name}"))).execute(&admin).await.unwrap();
    let url = cluster.replacen("/postgres?", &format!("/{name}?"), 1);
    let dir = tempfile::tempdir().unwrap();
    for arguments in ON_AN_EXISTING_DATABASE {
        let output = run(daybook(dir.path()).args(["--db", &url]).args(arguments));
        let said = text(&output.stderr);
        assert!(!output.status.success() && said.contains(&name) && said.contains("daybook migrate"), "{said}");
        assert_eq!(files(dir.path()), []);
    }
    assert!(run(daybook(dir.path()).args(["--db", &url, "migrate"])).status.success());
    assert!(run(daybook(dir.path()).args(["--db", &url, "verify"])).status.success());
    sqlx::query(sqlx::AssertSqlSafe(format!("drop database {name}"))).execute(&admin).await.unwrap();
}

#[test]
fn a_postgresql_that_is_not_there_is_named_at_once_and_once() {
    let dir = tempfile::tempdir().unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("postgres://daybook:secret@{free}/lender");
    for arguments in [&["migrate"][..], &["verify"], &["serve", "--listen", "127.0.0.1:0"]] {
        let output = run(daybook(dir.path()).args(["--db", &url]).args(arguments));
        let said = text(&output.stderr);
        assert!(!output.status.success() && said.contains(&free.to_string()), "{said}");
        assert_eq!(said.to_lowercase().matches("refused").count(), 1, "{said}");
        assert!(said.lines().count() == 1 && !said.contains("secret"), "{said}");
        assert_eq!(files(dir.path()), []);
    }
}

#[test]
fn a_role_that_does_not_exist_is_answered_with_those_that_do() {
    let dir = tempfile::tempdir().unwrap();
    let output = run(daybook(dir.path()).args(["user", "add", "--login", "a", "--name", "A", "--role", "boss"]));
    let said = text(&output.stderr);
    assert!(!output.status.success() && said.contains("boss"), "{said}");
    for role in ["officer", "call_officer", "supervisor", "cashier", "auditor", "admin"] {
        assert!(said.contains(role), "{role}: {said}");
    }
    assert_eq!(files(dir.path()), []);
}

/// Goal: a backup is put only into an empty database, only whole, and says what it does not hold.
#[test]
fn a_backup_is_checked_and_put_into_an_empty_database_only() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    assert!(run(daybook(dir.path()).arg("migrate")).status.success());
    let told = run(daybook(dir.path()).args(["backup", "one.backup"]));
    assert!(told.status.success() && text(&told.stdout).contains("daybook.db.keys is needed beside it"), "{told:?}");
    let json = run(daybook(dir.path()).args(["backup", ".", "--json"]));
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert!(json["backup"]["rows"].as_u64().unwrap() >= 1, "{json}");
    assert!(Path::new(json["backup"]["file"].as_str().unwrap()).extension().is_some());
    let again = run(daybook(dir.path()).args(["backup", "one.backup"]));
    assert!(!again.status.success() && text(&again.stderr).contains("never overwritten"));

    let whole = std::fs::read(path("one.backup")).unwrap();
    std::fs::write(path("cut.backup"), &whole[..whole.len() - 9]).unwrap();
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 1;
    std::fs::write(path("damaged.backup"), damaged).unwrap();
    std::fs::write(path("other.backup"), b"something else").unwrap();
    let restore = |db: &str, file: &str| {
        run(daybook(dir.path()).args(["--db", &format!("sqlite:{db}"), "--keys", "daybook.db.keys", "restore", file]))
    };
    for (db, file, word) in [
        ("daybook.db", "one.backup", "not empty"),
        ("new.db", "cut.backup", "not a whole backup"),
        ("new.db", "damaged.backup", "not a whole backup"),
        ("new.db", "other.backup", "not a whole backup"),
        ("new.db", "missing.backup", "missing.backup"),
    ] {
        let refused = restore(db, file);
        assert!(!refused.status.success() && text(&refused.stderr).contains(word), "{file}: {refused:?}");
        assert!(!path("new.db").exists(), "{file} leaves nothing behind");
    }
    let restored = restore("new.db", "one.backup");
    assert!(restored.status.success() && text(&restored.stdout).contains("a new epoch"), "{restored:?}");
    let recovery = |arguments: &[&str]| {
        run(daybook(dir.path())
            .args(["--db", "sqlite:new.db", "--keys", "daybook.db.keys", "recovery"])
            .args(arguments))
    };
    assert!(text(&recovery(&["list"]).stdout).contains("not confirmed"));
    assert!(text(&recovery(&["confirm"]).stdout).contains("1 confirmed"));
    let list: serde_json::Value = serde_json::from_slice(&recovery(&["list", "--json"]).stdout).unwrap();
    assert_eq!(list[0]["cause"], "restore");
    let verify = ["--db", "sqlite:new.db", "--keys", "daybook.db.keys", "verify"];
    assert!(run(daybook(dir.path()).args(verify)).status.success());
}

/// Goal: a dossier leaves as a file that is the same each time, and who names none is told what to name.
#[test]
fn a_dossier_is_exported_by_its_accounts_number() {
    let dir = tempfile::tempdir().unwrap();
    assert!(run(daybook(dir.path()).args(["demo", "--no-serve"])).status.success());
    let export = |more: &[&str]| run(daybook(dir.path()).args(["dossier", "export"]).args(more));
    let told = export(&["--account", "KE-000001", "--out", "case.automerge", "--json"]);
    assert!(told.status.success(), "{}", text(&told.stderr));
    let told: serde_json::Value = serde_json::from_slice(&told.stdout).unwrap();
    let file = std::fs::read(dir.path().join("case.automerge")).unwrap();
    assert_eq!(told["bytes"], file.len());
    let id = told["dossier"].as_str().unwrap();
    assert_eq!(export(&[id, "--out", "-"]).stdout, file);
    for (named, why) in [
        (["--account", "nobody's"].as_slice(), "there is no account with this number"),
        (&["2f0e4b0c-3c5e-8c4f-9a43-5d7f2e0f9a11"], "there is no dossier with this id"),
        (&[], "DOSSIER"),
    ] {
        let refused = export(named);
        assert!(!refused.status.success());
        assert!(text(&refused.stderr).contains(why), "{}", text(&refused.stderr));
    }
}
