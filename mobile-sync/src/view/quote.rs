//! A quote without a connection: what an offer of this phone's costs, and what is to be posted once there is one.
//!
//! It is the server's quote, from the same terms by the same function: the same bytes and the same hash. What the
//! server asks of a purchase is asked here too, as far as a phone can know it; what is left to the server is named.
//! A quote is stored nowhere: who asks keeps it until it is posted.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use daybook_shared::ids::{OfferId, OrderId, QuoteId};
use daybook_shared::money::Money;
use daybook_shared::quote::figures::Figures;
use daybook_shared::quote::offered::{Channel, Ineligible, Purchase};
use daybook_shared::quote::regime::BreachCode;
use daybook_shared::quote::{Breach, Offered, PriceError, Quote, check_quote_of_anybody};
use daybook_shared::time::Date;
use rand::Rng;
use serde::Serialize;
use serde_json::{Value, json};

use super::{View, ViewError};
use crate::Moment;
use crate::store::{Store, StoreError};

/// What is to be worked out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// The offer.
    pub offer: OfferId,
    /// What the goods cost, or the part of it that is paid in instalments.
    pub price: Money,
    /// The day of the acceptance, from which everything is counted; today if none is given.
    pub anchor: Option<Date>,
    /// Where the goods are bought, while there is no order; an app if it is not said.
    pub channel: Option<Channel>,
    /// The customer's order that it pays for.
    pub order: Option<OrderId>,
}

impl Wanted {
    /// An offer for a price, today.
    pub fn today(offer: OfferId, price: Money) -> Self {
        Self { offer, price, anchor: None, channel: None, order: None }
    }
}

/// A quote that was made on this phone. The server honours it if it makes the same one, and otherwise says what
/// differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OfflineQuote {
    /// Id.
    pub id: QuoteId,
    /// The offer it was made from.
    pub offer: OfferId,
    /// What that is called.
    pub offer_name: String,
    /// The version of the offer that this phone has.
    pub offer_version: u64,
    /// The hash of its content, hexadecimal: what the customer agrees to.
    pub hash: String,
    /// The last day on which the server takes it.
    pub hand_in_by: Date,
    /// How many hours it stands once the server has taken it.
    pub stands_hours: u16,
    /// Codes of what only the server can ask, of the order or of the customer: it may still refuse for these.
    pub left_to_server: Vec<&'static str>,
    /// What it says.
    #[serde(flatten)]
    pub figures: Figures,
    /// The body of `POST /v1/quotes`, whose header `Acting-For` names the customer. Its `offline` is the quote's
    /// bytes.
    pub request: Value,
    /// The quote itself.
    #[serde(skip)]
    pub quote: Quote,
}

/// Why nothing was quoted.
#[derive(Debug, thiserror::Error)]
pub enum QuoteError {
    /// The views are locked.
    #[error(transparent)]
    View(#[from] ViewError),
    /// No such offer is here.
    #[error("this phone has no offer {0}: sync; if it is still missing, it is not made any more")]
    UnknownOffer(OfferId),
    /// A newer build made it.
    #[error("offer {0} needs a newer version of the app: update, or have it quoted online")]
    TooNew(OfferId),
    /// The day of the acceptance is none that the server would take.
    #[error("a quote is made for a day from {from} to {to}, not for {anchor}")]
    Anchor {
        /// The day.
        anchor: Date,
        /// The first that would do.
        from: Date,
        /// The last.
        to: Date,
    },
    /// The offer is not for this purchase.
    #[error("the offer is not for this purchase: {detail}")]
    NotEligible {
        /// Why.
        why: Ineligible,
        /// Why, in words with the limit.
        detail: String,
    },
    /// It cannot be worked out for this price.
    #[error("the offer cannot be worked out for this price: {0}")]
    Price(#[from] PriceError),
    /// The law forbids it, whoever the customer is.
    #[error("the law's limit {} is exceeded", .0.first().map_or("", |breach| breach.code.code()))]
    Law(Vec<Breach>),
}

impl From<StoreError> for QuoteError {
    fn from(error: StoreError) -> Self {
        Self::View(error.into())
    }
}

impl QuoteError {
    /// The stable code, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::View(error) => error.code(),
            Self::UnknownOffer(_) => "unknown_offer",
            Self::TooNew(_) => "offer_too_new",
            Self::Anchor { .. } => "anchor",
            Self::NotEligible { why, .. } => why.code(),
            Self::Price(_) => "price",
            Self::Law(_) => "limit_exceeded",
        }
    }
}

impl Store {
    /// Works an offer out without a connection.
    ///
    /// # Errors
    /// [`QuoteError`]: the views are locked, or the offer is not here, not made on that day or not for this.
    pub fn quote(&self, wanted: &Wanted, now: Moment, rng: &mut dyn Rng) -> Result<OfflineQuote, QuoteError> {
        let view = self.view(now)?;
        let made_at = self.read().phone()?.estimated(now);
        view.quote(wanted, QuoteId::new(made_at, rng))
    }
}

impl View<'_> {
    fn quote(&self, wanted: &Wanted, id: QuoteId) -> Result<OfflineQuote, QuoteError> {
        let catalogue = self.db.catalogue()?;
        let rules = catalogue.rules;
        let bytes = catalogue.offers.iter().find(|bytes| Offered::id_of(bytes) == Some(wanted.offer));
        let bytes = bytes.ok_or(QuoteError::UnknownOffer(wanted.offer))?;
        let offer = Offered::from_bytes(bytes).map_err(|_| QuoteError::TooNew(wanted.offer))?;
        let anchor = wanted.anchor.unwrap_or(self.today);
        let (from, to) = (self.today.plus_days(-i32::from(rules.offline_days)), self.today);
        if !(from..=to).contains(&anchor) {
            return Err(QuoteError::Anchor { anchor, from, to });
        }
        let purchase = purchase(wanted, anchor);
        let fits = offer.conditions.fits(&offer.terms, &purchase);
        fits.map_err(|why| QuoteError::NotEligible { why, detail: detail(&offer, &purchase, why) })?;
        let quote = Quote::make(&offer.terms, wanted.price, anchor)?;
        let breaches = check_quote_of_anybody(&quote, &offer.regime);
        if !breaches.is_empty() {
            return Err(QuoteError::Law(breaches));
        }
        let of_purchase = offer.conditions.left_open(&purchase).into_iter().map(Ineligible::code);
        let of_customer = offer.regime.left_open().into_iter().map(BreachCode::code);
        Ok(OfflineQuote {
            id,
            offer: offer.id,
            offer_version: offer.version,
            hash: quote.hash().to_string(),
            hand_in_by: anchor.plus_days(i32::from(rules.offline_days)),
            stands_hours: rules.quote_hours,
            left_to_server: of_purchase.chain(of_customer).collect(),
            figures: Figures::of(&quote),
            request: request(wanted, id, &offer, &quote),
            offer_name: offer.name,
            quote,
        })
    }
}

/// As the server sees it once it is posted: of an order this phone knows nothing, and of a customer neither.
fn purchase(wanted: &Wanted, on: Date) -> Purchase {
    let (channel, categories) = match wanted.order {
        Some(_) => (None, None),
        None => (Some(channel_of(wanted)), Some([].into())),
    };
    Purchase { amount: wanted.price, channel, segment: None, categories, on }
}

fn channel_of(wanted: &Wanted) -> Channel {
    wanted.channel.unwrap_or(Channel::App)
}

fn request(wanted: &Wanted, id: QuoteId, offer: &Offered, quote: &Quote) -> Value {
    let mut body = json!({
        "id": id,
        "offer": offer.id,
        "offer_version": offer.version,
        "amount": wanted.price,
        "offline": BASE64_STANDARD.encode(quote.to_bytes()),
    });
    match wanted.order {
        Some(order) => body["order"] = json!(order),
        None => body["channel"] = json!(channel_of(wanted)),
    }
    body
}

/// Why an offer is not for a purchase, with the limit.
fn detail(offer: &Offered, purchase: &Purchase, why: Ineligible) -> String {
    let conditions = &offer.conditions;
    let money = |minor| Money::new(minor, offer.terms.currency);
    let (least, most) = (money(conditions.amount_min_minor), money(conditions.amount_max_minor));
    let words = |words: Vec<String>| words.join(", ");
    let codes = |words_of: &mut dyn Iterator<Item = &'static str>| words(words_of.map(str::to_owned).collect());
    match why {
        Ineligible::Currency => format!("it is in {}, the price in {}", offer.terms.currency, purchase.amount.currency),
        Ineligible::AmountTooLow | Ineligible::AmountTooHigh => {
            format!("it is for {least} to {most}, not for {}", purchase.amount)
        }
        Ineligible::OutOfSeason | Ineligible::NotActive => {
            let window = &conditions.window;
            let to = window.to.map(|to| format!(" to {to}")).unwrap_or_default();
            let season = window.season.map(|(from, to)| format!(", from {from} to {to} of each year"));
            format!("on {} it is not made, only from {}{to}{}", purchase.on, window.from, season.unwrap_or_default())
        }
        Ineligible::Channel => {
            format!("it is for orders of {}", codes(&mut conditions.audience.channels.iter().map(|one| one.code())))
        }
        Ineligible::Segment => {
            format!("it is for {} customers", codes(&mut conditions.audience.segments.iter().map(|one| one.code())))
        }
        Ineligible::Category => {
            let categories = words(conditions.audience.categories.iter().cloned().collect());
            format!("it is for goods of {categories}: name the order that says what is bought")
        }
        Ineligible::Regime => "the law forbids it".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use daybook_shared::cbor;
    use daybook_shared::quote::offered::{Audience, Conditions, Segment, Window};
    use daybook_shared::quote::{Regime, Terms};
    use daybook_shared::wire::catalogue::{CatalogueHeld, CataloguePage, CatalogueRules};
    use daybook_shared::wire::exchange::Frame;

    use super::*;
    use crate::session::SyncEnd;
    use crate::testing::{Phone, Server, kes};

    fn terms(kind: &Value, instalments: u16) -> Terms {
        let terms = json!({
            "currency": "KES", "kind": kind, "instalments": instalments, "due": { "months_after": 1 },
            "increment_minor": 1, "early_settlement": "declining_rebate", "waterfall": "instalment_first",
            "apr_method": "sama_2023",
        });
        serde_json::from_value(terms).unwrap()
    }

    fn id(n: u8) -> OfferId {
        OfferId::from([n; 16])
    }

    /// An offer for 100.00 to 1,000.00, made in November 2026.
    fn offered(n: u8) -> Offered {
        let window = Window { from: "2026-11-01".parse().unwrap(), to: "2026-11-30".parse().ok(), season: None };
        Offered {
            id: id(n),
            version: 3,
            name: format!("Offer {n}"),
            terms: terms(&json!("zero_percent"), 4),
            conditions: Conditions {
                amount_min_minor: 10_000,
                amount_max_minor: 100_000,
                audience: Audience::default(),
                window,
            },
            regime: Regime::open(),
            priority: 0,
        }
    }

    fn told(offers: &[Vec<u8>]) -> (Server, Phone) {
        let mut server = Server::new();
        let mut phone = Phone::enrolled(&mut server);
        let rules = CatalogueRules { left_out: 2, offline_days: 7, quote_hours: 24 };
        let count = u16::try_from(offers.len()).unwrap();
        let offers = offers.iter().map(|offer| offer.clone().into()).collect();
        let page = CataloguePage { catalogue: 9, from: 0, count, rules, offers };
        server.hand_out(vec![Frame { catalogue: Some(page), ..Frame::default() }]);
        assert_eq!(phone.sync(&mut server).end, SyncEnd::UpToDate);
        (server, phone)
    }

    fn ask(phone: &mut Phone, wanted: &Wanted) -> Result<OfflineQuote, QuoteError> {
        phone.store.quote(wanted, phone.now, &mut phone.rng)
    }

    #[test]
    fn a_quote_says_all_that_the_server_would_and_what_is_to_be_posted() {
        let (server, mut phone) = told(&[offered(1).to_bytes()]);
        let asked = server.requests.last().unwrap().1.catalogue;
        assert_eq!(asked, Some(CatalogueHeld::default()), "it said that it has none");
        let quoted = ask(&mut phone, &Wanted::today(id(1), kes(40_000))).unwrap();
        let expected = Quote::make(&offered(1).terms, kes(40_000), "2026-11-22".parse().unwrap()).unwrap();
        assert_eq!((&quoted.quote, &quoted.hash), (&expected, &expected.hash().to_string()));
        assert_eq!((quoted.hand_in_by.to_string().as_str(), quoted.stands_hours), ("2026-11-29", 24));
        assert_eq!(quoted.left_to_server, [""; 0]);
        let body = json!({
            "id": quoted.id, "offer": id(1), "offer_version": 3, "amount": { "minor": 40_000, "currency": "KES" },
            "channel": "app", "offline": BASE64_STANDARD.encode(expected.to_bytes()),
        });
        assert_eq!(quoted.request, body);
        let json = serde_json::to_value(&quoted).unwrap();
        assert_eq!((&json["total"]["minor"], &json["apr"]["method"]), (&json!(40_000), &json!("sama_2023")));
        let again = ask(&mut phone, &Wanted::today(id(1), kes(40_000))).unwrap();
        assert_eq!((again.hash == quoted.hash, again.id == quoted.id), (true, false));
    }

    #[test]
    fn what_cannot_be_quoted_says_why() {
        let mut limited = offered(2);
        limited.conditions.audience = Audience {
            channels: [Channel::Store].into(),
            segments: [Segment::Returning].into(),
            categories: ["phones".to_owned()].into(),
        };
        let currency = "KES".parse().ok();
        let law = Regime { currency, outstanding_max_minor: Some(50_000), ..Regime::sama_bnpl() };
        let of_law = Offered { regime: law, ..offered(3) };
        let mut newer = offered(4).to_bytes();
        let at = newer.windows(5).position(|window| window == b"sama_").unwrap();
        newer[at] = b'S';
        let offers = [offered(1).to_bytes(), limited.to_bytes(), of_law.to_bytes(), newer];
        let (_, mut phone) = told(&offers);
        let good = Wanted::today(id(1), kes(40_000));
        let on = |day: &str| Some(day.parse().unwrap());
        let order = Some(OrderId::from([7; 16]));
        let store = Some(Channel::Store);
        let cases = [
            (good, Ok(vec![])),
            (Wanted { anchor: on("2026-11-15"), ..good }, Ok(vec![])),
            (Wanted { anchor: on("2026-11-14"), ..good }, Err("anchor")),
            (Wanted { anchor: on("2026-11-23"), ..good }, Err("anchor")),
            (Wanted { offer: id(9), ..good }, Err("unknown_offer")),
            (Wanted { offer: id(4), ..good }, Err("offer_too_new")),
            (Wanted { price: Money::new(40_000, "UGX".parse().unwrap()), ..good }, Err("currency")),
            (Wanted { price: kes(9_999), ..good }, Err("amount_too_low")),
            (Wanted { price: kes(100_001), ..good }, Err("amount_too_high")),
            (Wanted { price: kes(-1), ..good }, Err("amount_too_low")),
            (Wanted { offer: id(2), ..good }, Err("channel")),
            (Wanted { offer: id(2), channel: store, ..good }, Err("category")),
            (Wanted { offer: id(2), order, ..good }, Ok(vec!["channel", "segment", "category"])),
            (Wanted { offer: id(3), ..good }, Ok(vec!["OUTSTANDING", "AGE"])),
            (Wanted { offer: id(3), price: kes(50_001), ..good }, Err("limit_exceeded")),
        ];
        for (wanted, expected) in cases {
            let came = ask(&mut phone, &wanted);
            let came = came.map(|quoted| quoted.left_to_server).map_err(|error| error.code());
            assert_eq!(came, expected, "{wanted:?}");
        }
        let words = ask(&mut phone, &Wanted { price: kes(9_999), ..good }).unwrap_err().to_string();
        assert_eq!(words, "the offer is not for this purchase: it is for KES 100.00 to KES 1000.00, not for KES 99.99");
    }

    #[test]
    fn an_offer_is_shown_while_it_is_made() {
        let mut later = offered(2);
        later.conditions.window.from = "2026-11-25".parse().unwrap();
        let (_, mut phone) = told(&[offered(1).to_bytes(), later.to_bytes(), vec![0x81, 0x01]]);
        let shown = |phone: &Phone| {
            let offers = phone.store.view(phone.now).unwrap().offers().unwrap();
            assert_eq!((offers.left_out, offers.unreadable.len()), (2, 0));
            offers.offers.iter().map(|offer| offer.id).collect::<Vec<_>>()
        };
        assert_eq!(shown(&phone), [id(1)]);
        let early = ask(&mut phone, &Wanted::today(id(2), kes(40_000))).unwrap_err();
        assert_eq!(early.code(), "out_of_season");
        phone.pass_ms(3 * 86_400_000);
        assert_eq!(shown(&phone), [id(1), id(2)]);
        phone.pass_ms(7 * 86_400_000);
        assert_eq!(shown(&phone), []);
    }

    #[test]
    fn offers_are_sealed_and_locked_with_the_views() {
        let (mut server, mut phone) = told(&[offered(1).to_bytes()]);
        let sealed: Vec<u8> =
            phone.store.read().conn.query_row("select bytes from offer", [], |row| row.get(0)).unwrap();
        assert!(!sealed.windows(7).any(|window| window == b"Offer 1"));
        assert!(cbor::check(&sealed, 4).is_err());
        server.lapsed = true;
        phone.sync(&mut server);
        let locked = ask(&mut phone, &Wanted::today(id(1), kes(40_000))).unwrap_err();
        assert_eq!(locked.code(), "login_required");
    }
}
