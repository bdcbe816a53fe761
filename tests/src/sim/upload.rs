//! Everything phones ever uploaded, and what is true of every exchange.

use std::collections::BTreeMap;

use daybook_mobile_sync::session::HttpRequest;
use daybook_shared::entry::Entry;
use daybook_shared::ids::{EntryId, EnvelopeId};
use daybook_shared::wire::catalogue::{CatalogueHeld, CataloguePage};
use daybook_shared::wire::envelope::Envelope;
use daybook_shared::wire::exchange::{Answer as Word, Frame, Request};
use daybook_shared::wire::framing::{FrameReader, inflate};
use daybook_shared::wire::limits::{BUDGET_BYTES_MIN, FRAME_BYTES_AIM, INFLATED_BYTES_MAX};
use daybook_shared::wire::outcome::Outcome;

use super::server::Answer;
use super::world::On;

/// What a response may carry beyond the budget: the head, and the frame in which the budget ends.
/// The largest single item is a board; worlds keep them below this.
const OVER_BUDGET_BYTES_MAX: usize = 4 * FRAME_BYTES_AIM;

/// All envelopes that left a phone, each once, in the order they first left.
#[derive(Debug, Default)]
pub struct UploadLog {
    /// The phone it first left from and its bytes.
    pub envelopes: Vec<(On, Vec<u8>)>,
    known: BTreeMap<EnvelopeId, usize>,
    /// Exchanges so far.
    pub exchanges: u64,
    /// Bytes of request and response bodies so far.
    pub bytes: (u64, u64),
}

/// A request's body, if it is an exchange.
pub fn request_of(request: &HttpRequest) -> Option<Request> {
    let body = inflate(&request.body, INFLATED_BYTES_MAX).ok()?;
    minicbor::decode(&body).ok()
}

/// The whole frames of a response's body.
pub fn frames_of(body: &[u8]) -> Vec<Frame> {
    FrameReader::new().push(body).unwrap_or_default()
}

/// How many bytes of a response's body make its first frame whole.
pub fn first_frame_bytes(body: &[u8]) -> usize {
    (1..=body.len()).find(|length| !frames_of(&body[..*length]).is_empty()).expect("a response has a frame")
}

/// The verdicts of an answer, by entry.
pub fn verdicts_of(request: &HttpRequest, answer: &Answer) -> BTreeMap<EntryId, Outcome> {
    let mut verdicts = BTreeMap::new();
    let Some(request) = request_of(request).filter(|_| answer.status == 200) else { return verdicts };
    let sent: Vec<_> = request.envelopes.iter().filter_map(|bytes| Envelope::decode(bytes).ok()).collect();
    for answer in frames_of(&answer.body).into_iter().flat_map(|frame| frame.answers.unwrap_or_default()) {
        let Word::Taken { outcomes, .. } = answer.answer else { continue };
        let envelope = sent.iter().find(|envelope| envelope.header.number == answer.number);
        let entries = envelope.into_iter().flat_map(|envelope| &envelope.body.entries);
        for (bytes, outcome) in entries.zip(outcomes) {
            verdicts.extend(Entry::decode(bytes).ok().map(|entry| (entry.head.id, outcome)));
        }
    }
    verdicts
}

impl UploadLog {
    /// Notes the envelopes of a request.
    pub fn note(&mut self, on: On, request: &HttpRequest) {
        self.exchanges += 1;
        self.bytes.0 += request.body.len() as u64;
        let Some(request) = request_of(request) else { return };
        for bytes in request.envelopes {
            let Ok(envelope) = Envelope::decode(&bytes) else { continue };
            if self.known.insert(envelope.id, self.envelopes.len()).is_none() {
                self.envelopes.push((on, bytes.to_vec()));
            }
        }
    }

    /// I8: an answer stays in its budget, has one last frame, and each frame of it makes progress.
    pub fn check_answer(&mut self, request: &HttpRequest, answer: &Answer) {
        self.bytes.1 += answer.body.len() as u64;
        if answer.status != 200 || request.path != "/v1/sync" {
            return;
        }
        let Some(asked) = request_of(request) else { return };
        let frames = frames_of(&answer.body);
        assert!(!frames.is_empty(), "I8: a response without a frame");
        let answers = 64 * frames.iter().flat_map(|frame| frame.answers.iter().flatten()).count();
        let items: usize = asked.envelopes.iter().map(|envelope| envelope.len()).sum();
        let budget = asked.budget_bytes.max(BUDGET_BYTES_MIN) as usize;
        let most = budget + OVER_BUDGET_BYTES_MAX + answers + items + 1024;
        assert!(answer.body.len() <= most, "I8: {} bytes where at most {most} are due", answer.body.len());
        let ended = frames.iter().filter_map(|frame| frame.end).count();
        assert_eq!(ended, 1, "I8: a response has one last frame");
        check_progress(&asked, &frames);
    }
}

/// I8: a frame with news of dossiers moves a cursor, so that what came before is never asked for again.
fn check_progress(asked: &Request, frames: &[Frame]) {
    let mut cursors: BTreeMap<_, _> =
        asked.cursors.iter().map(|known| (known.caseload, known.cursor.clone())).collect();
    for frame in frames {
        let mut moved = false;
        for new in frame.cursors.iter().flatten() {
            let caseload = frame.feeds.iter().flatten().nth(usize::from(new.caseload));
            let caseload = *caseload.expect("I8: a cursor of a caseload that the frame does not name");
            moved |= cursors.insert(caseload, new.cursor.clone()).as_ref() != Some(&new.cursor);
        }
        let has_news = frame.deltas.iter().flatten().next().is_some() || frame.gone.iter().flatten().next().is_some();
        assert!(moved || !has_news, "I8: a frame with news that moves no cursor");
    }
    check_offers(asked, frames);
}

/// I8: a page of offers follows what the phone has, so that no offer is skipped, and brings the list forward.
fn check_offers(asked: &Request, frames: &[Frame]) {
    let mut held = asked.catalogue;
    for page in frames.iter().filter_map(|frame| frame.catalogue.as_ref()) {
        let CataloguePage { catalogue, from, count, offers, .. } = page;
        let before = held.expect("I8: offers for a phone that keeps none");
        let follows = *from == 0 || before == CatalogueHeld { catalogue: *catalogue, count: *from };
        assert!(follows && (*count == 0 || !offers.is_empty()), "I8: a page of offers that brings nothing forward");
        let come = u16::try_from(offers.len()).expect("a page has few offers");
        held = Some(CatalogueHeld { catalogue: *catalogue, count: from + come });
    }
}
