//! The road between phones and server in a world where things go wrong: what is under way, moved one
//! piece at a time.

use daybook_mobile_sync::session::{GaveUp, HttpRequest, SyncEnd};
use daybook_mobile_sync::{Event, SyncReport};
use daybook_shared::time::Timestamp;
use rand::RngExt as _;

use super::phone::Step;
use super::server::Answer;
use super::upload::verdicts_of;
use super::weather::{Weather, happens};
use super::world::{On, World};

/// The most pieces an answer comes in.
const PIECES_MAX: usize = 6;
/// How often the server may look at its clock before it dies in the middle of a request.
const READINGS_MAX: i64 = 8;

/// Something under way.
#[derive(Debug)]
enum Flight {
    /// A request on its way up.
    Up { on: On, serial: u64, request: HttpRequest },
    /// A request that nobody waits for any more: late, or a copy.
    Ghost { on: On, request: HttpRequest },
    /// An answer on its way down; `at` bytes of it have arrived.
    Down { on: On, serial: u64, answer: Answer, at: usize, begun: bool, cut: Option<usize> },
    /// A phone that waits.
    Timer { on: On, serial: u64, due: Timestamp },
}

/// Everything under way.
#[derive(Debug, Default)]
pub struct Road {
    flights: Vec<Flight>,
    /// How often something was changed on the way: then phones may see nonsense.
    pub garbled: u64,
}

impl Road {
    /// Whether anything is under way.
    pub fn is_busy(&self) -> bool {
        !self.flights.is_empty()
    }

    /// Begins a sync of a phone that has none going on.
    pub fn begin(&mut self, world: &mut World, on: On) {
        if world.phones[on.0].session.is_some() {
            return;
        }
        world.note(format!("{} begins a sync", world.phones[on.0].name));
        let now = world.now();
        let step = world.phones[on.0].begin_sync(now, &mut world.rng);
        self.follow(world, on, step);
    }

    /// Moves something that is under way by one step.
    pub fn advance(&mut self, world: &mut World, weather: &Weather) {
        if self.flights.is_empty() {
            return;
        }
        let index = world.rng.random_range(0..self.flights.len());
        match self.flights.swap_remove(index) {
            Flight::Up { on, serial, request } => self.arrives(world, weather, (on, serial), request),
            Flight::Ghost { on, request } => {
                world.note(format!("a late or second request of {} arrives", world.phones[on.0].name));
                let answer = world.server.answer(&request);
                assert_ne!(answer.status, 500, "{}", answer.json());
            }
            Flight::Down { on, serial, answer, at, begun, cut } => {
                self.comes_down(world, weather, (on, serial), answer, (at, begun, cut));
            }
            Flight::Timer { on, serial, due } => {
                let ahead = due.ms_since(world.now()).max(0);
                world.pass_ms(ahead);
                self.tell(world, (on, serial), Event::TimerFired);
            }
        }
    }

    /// The storm is over: what was late arrives or is forgotten, and nobody waits any more.
    pub fn clear(&mut self, world: &mut World) {
        for flight in std::mem::take(&mut self.flights) {
            if let Flight::Up { request, .. } | Flight::Ghost { request, .. } = flight
                && world.rng.random_ratio(1, 2)
            {
                let answer = world.server.answer(&request);
                assert_ne!(answer.status, 500, "{}", answer.json());
            }
        }
    }

    fn arrives(&mut self, world: &mut World, weather: &Weather, (on, serial): (On, u64), request: HttpRequest) {
        world.uploads.note(on, &request);
        let name = world.phones[on.0].name.clone();
        let rng = &mut world.rng;
        if happens(rng, weather.request_lost) {
            world.note(format!("a request of {name} is lost"));
            return self.tell(world, (on, serial), Event::TransportFailed);
        }
        if happens(rng, weather.request_late) {
            world.note(format!("a request of {name} is late"));
            self.flights.push(Flight::Ghost { on, request });
            return self.tell(world, (on, serial), Event::TransportFailed);
        }
        if happens(rng, weather.request_twice) {
            let copy = request.clone();
            self.flights.push(Flight::Ghost { on, request: copy });
        }
        let rng = &mut world.rng;
        let mut request = request;
        if happens(rng, weather.garbled) && !request.body.is_empty() {
            let at = rng.random_range(0..request.body.len());
            request.body[at] ^= 1 << rng.random_range(0..8);
            self.garbled += 1;
            world.note(format!("a request of {name} is garbled"));
        }
        let answer = if happens(&mut world.rng, weather.server_midway) {
            let readings = world.rng.random_range(1..=READINGS_MAX);
            let answer = world.server.answer_until(&request, readings);
            if answer.is_none() {
                world.note(format!("the server dies in a request of {name}"));
            }
            answer
        } else {
            Some(world.server.answer(&request))
        };
        let Some(answer) = answer else { return self.tell(world, (on, serial), Event::TransportFailed) };
        self.goes_down(world, weather, (on, serial), (&request, answer));
    }

    fn goes_down(
        &mut self,
        world: &mut World,
        weather: &Weather,
        (on, serial): (On, u64),
        (request, answer): (&HttpRequest, Answer),
    ) {
        let name = world.phones[on.0].name.clone();
        world.note(format!("{} of {name}: {} {}", request.path, answer.status, answer.code()));
        assert_ne!(answer.status, 500, "{}", answer.json());
        world.uploads.check_answer(request, &answer);
        if happens(&mut world.rng, weather.answer_lost) {
            world.note(format!("the answer to {name} never leaves"));
            if world.rng.random_ratio(1, 2) {
                world.server.restart();
            }
            return self.tell(world, (on, serial), Event::TransportFailed);
        }
        if serial == world.phones[on.0].serial {
            world.phones[on.0].expect_verdicts(verdicts_of(request, &answer));
        }
        let length = answer.body.len();
        let cut =
            (length > 0 && happens(&mut world.rng, weather.answer_cut)).then(|| world.rng.random_range(0..length));
        let mut answer = answer;
        if length > 0 && happens(&mut world.rng, weather.garbled) {
            let at = world.rng.random_range(0..length);
            answer.body[at] ^= 1 << world.rng.random_range(0..8);
            self.garbled += 1;
            world.note(format!("the answer to {name} is garbled"));
        }
        self.flights.push(Flight::Down { on, serial, answer, at: 0, begun: false, cut });
    }

    fn comes_down(
        &mut self,
        world: &mut World,
        weather: &Weather,
        (on, serial): (On, u64),
        answer: Answer,
        (at, begun, cut): (usize, bool, Option<usize>),
    ) {
        if serial != world.phones[on.0].serial {
            return;
        }
        if happens(&mut world.rng, weather.phone_killed) {
            return reopen(world, on);
        }
        let end = cut.unwrap_or(answer.body.len());
        if begun && at == end {
            let event = if cut.is_some() { Event::TransportFailed } else { Event::BodyEnd };
            return self.tell(world, (on, serial), event);
        }
        let mut next = at;
        let step = if begun {
            let piece = (answer.body.len() / PIECES_MAX).max(1);
            next = (at + world.rng.random_range(1..=2 * piece)).min(end);
            hear(world, on, Event::BodyBytes(&answer.body[at..next]))
        } else {
            let status = Event::Status { status: answer.status, retry_after_ms: answer.retry_after_ms };
            hear(world, on, status)
        };
        match step {
            None => self.flights.push(Flight::Down { on, serial, answer, at: next, begun: true, cut }),
            step => self.follow(world, on, step),
        }
    }

    fn tell(&mut self, world: &mut World, (on, serial): (On, u64), event: Event<'_>) {
        if serial == world.phones[on.0].serial {
            let step = hear(world, on, event);
            self.follow(world, on, step);
        }
    }

    fn follow(&mut self, world: &mut World, on: On, step: Option<Step>) {
        let serial = world.phones[on.0].serial;
        match step {
            None => {}
            Some(Step::Send(request)) => self.flights.push(Flight::Up { on, serial, request }),
            Some(Step::Wait(ms)) => {
                let due = world.now().plus_ms(i64::try_from(ms).unwrap_or(i64::MAX));
                self.flights.push(Flight::Timer { on, serial, due });
            }
            Some(Step::Finished(report)) => self.finished(world, on, &report),
        }
    }

    /// I8 and the protocol: a session over a road that only loses things never sees nonsense.
    fn finished(&mut self, world: &mut World, on: On, report: &SyncReport) {
        let name = world.phones[on.0].name.clone();
        world.note(format!("{name} has synced: {report:?}"));
        let garbled = self.garbled > 0;
        // Two phones with one identity may meet the limit of installs; people sort it out.
        let twins = world.phones.iter().any(|phone| phone.name.starts_with("clone"));
        let possible = match &report.end {
            SyncEnd::UpToDate
            | SyncEnd::LoginRequired
            | SyncEnd::Locked(_)
            | SyncEnd::GaveUp(GaveUp::Unreachable | GaveUp::ServerError(_)) => true,
            SyncEnd::GaveUp(GaveUp::Numbering) | SyncEnd::Rejected { status: 409, .. } => twins,
            SyncEnd::GaveUp(GaveUp::Protocol)
            | SyncEnd::EnvelopeRefused { .. }
            | SyncEnd::Rejected { status: 400 | 401 | 413 | 422, .. } => garbled,
            SyncEnd::Rejected { .. } => false,
        };
        assert!(possible, "{name}: {:?}", report.end);
    }
}

/// A phone hears something.
fn hear(world: &mut World, on: On, event: Event<'_>) -> Option<Step> {
    let now = world.now();
    world.phones[on.0].tell(event, now, &mut world.rng)
}

/// An app is killed and started again.
pub fn reopen(world: &mut World, on: On) {
    let now = world.now();
    world.note(format!("{} is killed and started again", world.phones[on.0].name));
    world.phones[on.0].kill();
    world.phones[on.0].open(now, &mut world.rng);
}
