//! Which law an offer is made under: the regimes this build knows, and those the lender adds as data.

use daybook_shared::quote::{Breach, Quote, Regime, check_quote};

use super::policy::Standing;
use crate::settings::Settings;

/// All regimes, the lender's own first: one of his that has a known code takes its place.
pub fn all(settings: &Settings) -> Vec<Regime> {
    let mut regimes = read(&settings.regimes).unwrap_or_default();
    let known = [Regime::open(), Regime::sama_bnpl()];
    let added: Vec<_> = known.into_iter().filter(|known| regimes.iter().all(|own| own.code != known.code)).collect();
    regimes.extend(added);
    regimes
}

/// The regime with this code.
pub fn find(settings: &Settings, code: &str) -> Option<Regime> {
    all(settings).into_iter().find(|regime| &*regime.code == code)
}

/// Regimes as the lender's setting spells them: a JSON array, or nothing.
pub fn read(text: &str) -> Option<Vec<Regime>> {
    if text.is_empty() { Some(Vec::new()) } else { serde_json::from_str(text).ok() }
}

/// What of a quote a regime forbids for a customer who stands so.
pub fn breaches(regime: &Regime, quote: &Quote, standing: &Standing) -> Vec<Breach> {
    check_quote(quote, standing.outstanding_minor, standing.birth_date, regime)
}
