//! The catalogue: the offers in force that a phone may quote from, as the server makes the list.
//!
//! A phone says which catalogue it has and how many offers of it, in their order; the server sends what is
//! missing, a page a frame, and nothing when nothing is. A list that changed is another list and comes from its
//! start; the phone goes on with the one before until the new one is whole. An offer travels as bytes
//! ([`Offered`](crate::quote::Offered)), so that one which a phone cannot read costs it that offer and no other.

use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};

use crate::cbor;
use crate::ids::sha256;

/// What a phone has: as much of a list as has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct CatalogueHeld {
    /// Names the list: [`catalogue_hash`]; 0 for an empty one.
    #[n(0)]
    pub catalogue: u64,
    /// How many offers of it, from the first.
    #[n(1)]
    pub count: u16,
}

/// What holds for every quote of a list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct CatalogueRules {
    /// Offers in force that the list has no room for: quotes of them are made online.
    #[n(0)]
    pub left_out: u16,
    /// How many days after its day the server still takes a quote that was made without a connection.
    #[n(1)]
    pub offline_days: u16,
    /// How many hours a quote stands once the server has taken it.
    #[n(2)]
    pub quote_hours: u16,
}

/// A part of the list.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct CataloguePage {
    /// Which list: [`catalogue_hash`].
    #[n(0)]
    pub catalogue: u64,
    /// How many offers come before this page.
    #[n(1)]
    pub from: u16,
    /// How many the list has.
    #[n(2)]
    pub count: u16,
    /// What holds for all of them.
    #[n(3)]
    pub rules: CatalogueRules,
    /// The next offers of the list.
    #[n(4)]
    pub offers: Vec<ByteVec>,
}

/// Names a list by what it says; 0 for one without offers, and only for that.
pub fn catalogue_hash(rules: &CatalogueRules, offers: &[Vec<u8>]) -> u64 {
    if offers.is_empty() {
        return 0;
    }
    let head = cbor::to_vec(rules);
    let lengths: Vec<[u8; 8]> = offers.iter().map(|offer| (offer.len() as u64).to_be_bytes()).collect();
    let mut parts: Vec<&[u8]> = vec![b"daybook/catalogue/1", &head];
    parts.extend(lengths.iter().zip(offers).flat_map(|(length, offer)| [length.as_slice(), offer.as_slice()]));
    let hash = sha256(&parts);
    u64::from_be_bytes(*hash.first_chunk().expect("a hash has 32 bytes")).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_named_by_all_it_says_and_in_which_order() {
        let rules = CatalogueRules { left_out: 0, offline_days: 7, quote_hours: 24 };
        let (a, b) = (vec![1, 2], vec![3]);
        let lists = [
            (rules, vec![a.clone(), b.clone()]),
            (rules, vec![b.clone(), a.clone()]),
            (rules, vec![vec![1], vec![2, 3]]),
            (rules, vec![a.clone()]),
            (CatalogueRules { left_out: 1, ..rules }, vec![a.clone()]),
            (CatalogueRules { offline_days: 8, ..rules }, vec![a.clone()]),
            (CatalogueRules { quote_hours: 25, ..rules }, vec![a]),
        ];
        let names: std::collections::BTreeSet<_> =
            lists.iter().map(|(rules, offers)| catalogue_hash(rules, offers)).collect();
        assert_eq!((names.len(), names.contains(&0)), (lists.len(), false));
        assert_eq!(catalogue_hash(&rules, &[]), 0);
    }
}
