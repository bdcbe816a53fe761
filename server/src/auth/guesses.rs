//! Slows down who guesses: passwords, refresh tokens, enrolment codes, answers of an identity provider.
//!
//! Wrong guesses count by what is guessed at (a login) and by where they come from (an address), each on
//! its own, so that neither one login tried from everywhere nor every login tried from one place is free.
//! A right one clears its login; of its address it takes back itself alone, or somebody with one good
//! login could go on guessing at others for ever.
//!
//! A supervisor's override code is not among them: it is words on an entry, which nobody checks.

use super::throttle::{LOGINS_MAX, Throttle};
use crate::app::App;
use crate::http::names;
use crate::http::peer::Peer;
use crate::http::problem::{Code, Problem};

/// Wrong guesses from one address in a minute, whatever they are at. An office shares an address.
const WRONG_MAX: u32 = 60;

/// All counts.
#[derive(Debug)]
pub struct Guesses {
    logins: Throttle,
    addresses: Throttle,
}

impl Default for Guesses {
    fn default() -> Self {
        Self { logins: Throttle::new(LOGINS_MAX), addresses: Throttle::new(WRONG_MAX) }
    }
}

/// A guess that was let through, to be told how it went. Dropped, it stays counted.
#[derive(Debug)]
#[must_use]
pub struct Guess<'a> {
    guesses: &'a Guesses,
    what: &'static str,
    login: Option<&'a str>,
    address: Option<String>,
}

/// Whether a guess may go on. `what` it is at is for the figures; a login, when it is at one.
pub fn attempt<'a>(
    app: &'a App,
    (what, login): (&'static str, Option<&'a str>),
    peer: &Peer,
) -> Result<Guess<'a>, Problem> {
    let (guesses, now) = (&app.guesses, app.now());
    let address = peer.name();
    let wait = |seconds| {
        metrics::counter!(names::AUTH_REFUSED, "what" => what, "why" => "too_many").increment(1);
        Problem::new(Code::TooManyRequests, "Too many wrong attempts; wait a minute.").retry_after(seconds)
    };
    if let Some(address) = &address {
        guesses.addresses.attempt(address, now).map_err(wait)?;
    }
    if let Some(login) = login {
        guesses.logins.attempt(login, now).map_err(|seconds| {
            // It was no guess: it was not looked at.
            if let Some(address) = &address {
                guesses.addresses.refund(address);
            }
            wait(seconds)
        })?;
    }
    Ok(Guess { guesses, what, login, address })
}

impl Guess<'_> {
    /// It was right.
    pub fn right(self) {
        if let Some(login) = self.login {
            self.guesses.logins.forgive(login);
        }
        if let Some(address) = &self.address {
            self.guesses.addresses.refund(address);
        }
    }

    /// It could not be told whether it was right: it does not count, and clears nothing.
    pub fn undecided(self) {
        if let Some(address) = &self.address {
            self.guesses.addresses.refund(address);
        }
    }

    /// It was wrong; what is answered then.
    pub fn wrong(self, problem: Problem) -> Problem {
        metrics::counter!(names::AUTH_REFUSED, "what" => self.what, "why" => "wrong").increment(1);
        problem
    }
}
