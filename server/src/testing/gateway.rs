//! An SMS gateway on this machine that does as it is told: also what no gateway should. A thread of its own, so
//! that any test's runtime can ask it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

/// What it does with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doing {
    /// It takes it.
    Takes,
    /// It answers 400.
    Refuses,
    /// It answers 429.
    IsBusy,
    /// It takes it, and answers 500.
    FailsAfterTaking,
    /// It takes it, and hangs up without an answer.
    HangsUpAfterTaking,
    /// It takes it, and says nothing for ever.
    NeverAnswers,
    /// It answers with another address.
    SendsElsewhere,
}

/// A message that it took, and perhaps sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// The number.
    pub to: String,
    /// The words.
    pub text: String,
    /// The request's headers.
    pub headers: String,
}

#[derive(Debug)]
struct Shared {
    doing: Doing,
    taken: Vec<Taken>,
    /// Connections on which nothing is ever said.
    silent: Vec<TcpStream>,
}

/// The gateway, for the setting `sms_url` and the body that is the default.
#[derive(Debug, Clone)]
pub struct StubGateway {
    /// Where it takes messages.
    pub url: String,
    shared: Arc<Mutex<Shared>>,
}

impl StubGateway {
    /// Starts it on a free port; it runs as long as the process.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("this machine has a free port");
        let url = format!("http://{}/messages", listener.local_addr().expect("it is bound"));
        let shared = Arc::new(Mutex::new(Shared { doing: Doing::Takes, taken: Vec::new(), silent: Vec::new() }));
        let stub = Self { url, shared };
        let served = stub.clone();
        std::thread::spawn(move || {
            // A client that breaks off is the test's own affair.
            listener.incoming().flatten().for_each(|stream| drop(served.serve(stream)));
        });
        stub
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it does from now on.
    pub fn set(&self, doing: Doing) {
        self.lock().doing = doing;
    }

    /// All that it took, in order.
    pub fn taken(&self) -> Vec<Taken> {
        self.lock().taken.clone()
    }

    /// The words that went to a number, in order.
    pub fn texts_to(&self, number: &str) -> Vec<String> {
        self.taken().into_iter().filter(|taken| taken.to == number).map(|taken| taken.text).collect()
    }

    /// The one-time code that last went to a number.
    pub fn code_for(&self, number: &str) -> String {
        let text = self.texts_to(number).pop().unwrap_or_else(|| panic!("no message went to {number}"));
        let is_code = |word: &&str| word.len() == 6 && word.bytes().all(|byte| byte.is_ascii_digit());
        let found = text.split(|c: char| !c.is_ascii_digit()).find(is_code);
        found.unwrap_or_else(|| panic!("no code in {text:?}")).to_owned()
    }

    fn serve(&self, stream: TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        let (mut headers, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            if line.trim().is_empty() {
                break;
            }
            let line = line.to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
            headers.push_str(&line);
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let word = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        let taken = Taken { to: word("to"), text: word("text"), headers };
        self.answer(stream, taken)
    }

    fn answer(&self, mut stream: TcpStream, message: Taken) -> std::io::Result<()> {
        let mut shared = self.lock();
        let status = match shared.doing {
            Doing::Takes => Some("202 Accepted"),
            Doing::Refuses => Some("400 Bad Request"),
            Doing::IsBusy => Some("429 Too Many Requests"),
            Doing::FailsAfterTaking => Some("500 Internal Server Error"),
            Doing::SendsElsewhere => Some("307 Temporary Redirect"),
            Doing::HangsUpAfterTaking | Doing::NeverAnswers => None,
        };
        if !matches!(shared.doing, Doing::Refuses | Doing::IsBusy | Doing::SendsElsewhere) {
            shared.taken.push(message);
        }
        if shared.doing == Doing::NeverAnswers {
            shared.silent.push(stream);
            return Ok(());
        }
        drop(shared);
        let Some(status) = status else { return Ok(()) };
        write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\nlocation: {}\r\n\r\n", self.url)
    }
}
