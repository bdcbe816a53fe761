//! Offers, and quotes without a connection.

use anyhow::{Result, anyhow, bail};
use daybook_shared::ids::OfferId;
use daybook_shared::money::{Currency, Money};

use super::Phone;
use super::args::Command;
use super::captures::day;
use super::shows::line;
use crate::view::{OfferView, Offers, OfflineQuote, Wanted};

impl Phone<'_> {
    pub(super) fn offers(&self) -> Result<()> {
        let offers = self.store.view(self.clock.now())?.offers()?;
        self.show(&offers, |out| show_offers(out, &offers))
    }

    pub(super) fn quote(&mut self, command: &Command) -> Result<()> {
        let Command::Quote { offer, price, currency, date, channel, order } = command else {
            bail!("not a quote");
        };
        let offers = self.store.view(self.clock.now())?.offers()?.offers;
        let (offer, offered_in) = named(&offers, offer)?;
        let currency: Currency = match currency {
            Some(code) => code.parse()?,
            None => offered_in.map_or_else(|| self.currency(), Ok)?,
        };
        let wanted = Wanted {
            offer,
            price: self.money(price, currency)?,
            anchor: date.as_deref().map(day).transpose()?,
            channel: channel.as_deref().map(str::parse).transpose()?,
            order: order.as_deref().map(str::parse).transpose()?,
        };
        let quoted = self.store.quote(&wanted, self.clock.now(), &mut self.rng)?;
        self.show(&quoted, |out| show_quote(out, &quoted))
    }
}

/// An offer by its id, its id's beginning or its name, and its currency where it is made today. An id that is
/// none of today's is asked for as it is: the answer says what is wrong with it.
fn named(offers: &[OfferView], text: &str) -> Result<(OfferId, Option<Currency>)> {
    let is_meant =
        |offer: &&OfferView| offer.name == text || (text.len() >= 4 && offer.id.to_string().starts_with(text));
    let meant: Vec<_> = offers.iter().filter(is_meant).collect();
    match meant.as_slice() {
        [offer] => Ok((offer.id, Some(offer.terms.currency))),
        [] => {
            let id = text.parse().map_err(|_| anyhow!("no offer {text:?} is made today (daybook-phone offers)"))?;
            Ok((id, None))
        }
        several => bail!("{} offers are called {text:?}: name one by its id (daybook-phone offers)", several.len()),
    }
}

fn show_offers(out: &mut String, offers: &Offers) {
    for offer in &offers.offers {
        let to = offer.valid_to.map(|to| format!(", until {to}")).unwrap_or_default();
        line!(out, "{}  {}", offer.id, offer.name);
        line!(out, "    {} instalments, {} to {}{to}", offer.terms.instalments, offer.amount_min, offer.amount_max);
    }
    line!(out, "{} offers", offers.offers.len());
    if offers.left_out > 0 {
        line!(out, "{} more are in force than a phone has room for: the office quotes them", offers.left_out);
    }
    if !offers.unreadable.is_empty() {
        line!(out, "{} more need a newer version of this program", offers.unreadable.len());
    }
}

fn show_quote(out: &mut String, quoted: &OfflineQuote) {
    let quote = &quoted.quote;
    let money = |minor| Money::new(minor, quote.currency);
    line!(out, "{}: {} for {}", quoted.offer_name, money(quote.total_minor), money(quote.price_minor));
    line!(out, "with the acceptance on {}: {}", quote.anchor, money(quote.at_acceptance_minor()));
    for due in &quote.instalments {
        line!(out, "{:>4}  {}  {}", due.n, due.due_date, money(due.principal + due.interest + due.fee + due.penalty));
    }
    line!(out, "profit {}, fees {}", money(quote.profit_minor), money(quote.fee_minor));
    line!(out, "effective rate {} % ({})", quote.apr.value(), quote.apr.method);
    line!(out, "hash {}", quoted.hash);
    line!(out, "hand in by {}; then it stands {} hours", quoted.hand_in_by, quoted.stands_hours);
    if !quoted.left_to_server.is_empty() {
        line!(out, "the office still asks: {}", quoted.left_to_server.join(", "));
    }
}

#[cfg(test)]
mod tests {
    use daybook_shared::quote::offered::{Audience, Conditions, Window};
    use daybook_shared::quote::{Offered, Regime};

    use super::*;

    fn offer(n: u8, name: &str) -> OfferView {
        let terms = serde_json::json!({
            "currency": "UGX", "kind": "zero_percent", "instalments": 4, "due": { "months_after": 1 },
            "increment_minor": 1, "early_settlement": "full_profit", "waterfall": "instalment_first",
            "apr_method": "eu_ccd",
        });
        let window = Window { from: "2026-11-01".parse().unwrap(), to: None, season: None };
        let (amount_min_minor, amount_max_minor, audience) = (1, 2, Audience::default());
        let offered = Offered {
            id: OfferId::from([n; 16]),
            version: 1,
            name: name.to_owned(),
            terms: serde_json::from_value(terms).unwrap(),
            conditions: Conditions { amount_min_minor, amount_max_minor, audience, window },
            regime: Regime::open(),
            priority: 0,
        };
        offered.into()
    }

    #[test]
    fn an_offer_is_named_by_its_name_its_id_or_the_beginning_of_it() {
        let offers = [offer(1, "Four"), offer(2, "Twelve"), offer(3, "Twelve")];
        let ugx = "UGX".parse().ok();
        let elsewhere = "09090909-0909-0909-0909-090909090909";
        for (text, expected) in [
            ("Four", Some((OfferId::from([1; 16]), ugx))),
            ("0202", Some((OfferId::from([2; 16]), ugx))),
            ("03030303-0303-0303-0303-030303030303", Some((OfferId::from([3; 16]), ugx))),
            (elsewhere, Some((OfferId::from([9; 16]), None))),
            ("Twelve", None),
            ("020", None),
            ("Five", None),
            ("", None),
        ] {
            assert_eq!(named(&offers, text).ok(), expected, "{text}");
        }
    }
}
