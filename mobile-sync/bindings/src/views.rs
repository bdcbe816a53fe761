//! What an app shows, as the JSON that `daybook-phone --json` prints.

use daybook_mobile_sync::view::{Position, View, Wanted};
use daybook_shared::money::Money;
use serde::Serialize;

use crate::error::PhoneError;
use crate::host::moment;
use crate::phone::{Open, Phone};

impl Phone {
    fn shown<T: Serialize, E: Into<PhoneError>>(
        &self,
        show: impl FnOnce(View<'_>) -> Result<T, E>,
    ) -> Result<String, PhoneError> {
        self.with(|open| {
            let view = open.store.view(moment(&*self.host))?;
            json(&show(view).map_err(Into::into)?)
        })
    }
}

fn json(shown: &impl Serialize) -> Result<String, PhoneError> {
    serde_json::to_string(shown).map_err(|error| PhoneError::of("json", error))
}

fn id<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, PhoneError> {
    text.parse().map_err(PhoneError::argument)
}

/// `null` stands for what is not on this phone.
#[uniffi::export]
impl Phone {
    /// How this phone stands: whose it is, what is unsent, the last sync, until when the views are open.
    /// Always shown: it names no customer.
    pub fn status(&self) -> Result<String, PhoneError> {
        self.with(|open| json(&open.store.status(moment(&*self.host))?))
    }

    /// All cases, the most overdue first.
    pub fn caseload(&self) -> Result<String, PhoneError> {
        self.shown(|view| view.caseload())
    }

    /// All cases whose place is known, the nearest first; in millionths of a degree.
    pub fn near(&self, lat_e6: i32, lon_e6: i32) -> Result<String, PhoneError> {
        self.shown(|view| view.near(Position { lat_e6, lon_e6 }))
    }

    /// Cases by name, phone or account number.
    pub fn search(&self, text: String) -> Result<String, PhoneError> {
        self.shown(|view| view.find(&text))
    }

    /// A customer with all accounts here.
    pub fn customer(&self, customer: String) -> Result<String, PhoneError> {
        let customer = id(&customer)?;
        self.shown(|view| view.customer(customer))
    }

    /// One case with all there is about it, by its dossier.
    pub fn case(&self, dossier: String) -> Result<String, PhoneError> {
        let dossier = id(&dossier)?;
        self.shown(|view| view.case(dossier))
    }

    /// Own captures without a verdict.
    pub fn unsent(&self) -> Result<String, PhoneError> {
        self.shown(|view| view.unsent())
    }

    /// Files of own captures that have not arrived, with how far each has come.
    pub fn unsent_files(&self) -> Result<String, PhoneError> {
        self.shown(|view| view.unsent_files())
    }

    /// What is held, refused or was not merged, with the reasons as codes and in words.
    pub fn attention(&self) -> Result<String, PhoneError> {
        self.shown(|view| view.attention())
    }

    /// Cash in the officer's hand, and what a hand-over now would name.
    pub fn cash(&self) -> Result<String, PhoneError> {
        self.shown(|view| view.cash())
    }

    /// Offers to quote from today.
    pub fn offers(&self) -> Result<String, PhoneError> {
        self.shown(|view| view.offers())
    }

    /// Works an offer out without a connection: what it costs, its hash, and under `request` the body to post to
    /// `POST /v1/quotes` later. `anchor` is the day of the acceptance, today if none is given; `channel` (`store`,
    /// `web`, `app`) says where the goods are bought while there is no order. Keep what comes: the phone does not.
    #[uniffi::method(default(anchor = None, channel = None, order = None))]
    pub fn quote(
        &self,
        offer: String,
        price_minor: i64,
        currency: String,
        anchor: Option<String>,
        channel: Option<String>,
        order: Option<String>,
    ) -> Result<String, PhoneError> {
        let wanted = Wanted {
            offer: id(&offer)?,
            price: Money::new(price_minor, id(&currency)?),
            anchor: anchor.as_deref().map(id).transpose()?,
            channel: channel.as_deref().map(id).transpose()?,
            order: order.as_deref().map(id).transpose()?,
        };
        self.with(|Open { store, rng }| json(&store.quote(&wanted, moment(&*self.host), rng)?))
    }

    /// All agents with a file here.
    pub fn agents(&self) -> Result<String, PhoneError> {
        self.shown(|view| view.agents())
    }

    /// One agent with what was recorded.
    pub fn agent(&self, agent: String) -> Result<String, PhoneError> {
        let agent = id(&agent)?;
        self.shown(|view| view.agent(agent))
    }

    /// The officer's own day, today's if no date is given.
    pub fn day(&self, date: Option<String>) -> Result<String, PhoneError> {
        let date = date.as_deref().map(id).transpose()?;
        self.shown(|view| view.day(date.unwrap_or_else(|| view.today())))
    }
}
