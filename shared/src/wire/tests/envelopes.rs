//! What is an envelope, and what is not: limits, damage, forms.

use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};
use rand::SeedableRng as _;

use super::samples;
use crate::cbor;
use crate::ids::{EnvelopeId, KeyId};
use crate::wire::envelope::{BoardChange, Body, Envelope, EnvelopeError, Header, seal, sealed_to, unsealed};
use crate::wire::framing::deflate;
use crate::wire::limits::{ANCHORS_MAX, DOSSIER_BOARD_CHANGES_MAX, ENVELOPE_BOARD_CHANGES_MAX, ENVELOPE_ITEMS_MAX};
use crate::wire::sign::Signature;

/// The outer frame, to build what `seal` never would.
#[derive(Clone, Encode, Decode)]
#[cbor(array)]
pub struct Outer {
    #[n(0)]
    pub form: u8,
    #[n(1)]
    pub compression: u8,
    #[n(2)]
    pub key: KeyId,
    #[n(3)]
    pub signature: Signature,
    #[cbor(n(4), with = "minicbor::bytes")]
    pub header: Vec<u8>,
    #[cbor(n(5), with = "minicbor::bytes")]
    pub body: Vec<u8>,
}

pub fn outer() -> Outer {
    minicbor::decode(&sealed(&samples::header(), &samples::body())).unwrap()
}

fn sealed(header: &Header, body: &Body) -> Vec<u8> {
    seal(&samples::phone(), header, body).1
}

fn entries(count: usize) -> Vec<ByteVec> {
    vec![ByteVec::from(vec![0xa0]); count]
}

/// So many changes for each of so many dossiers.
fn changes(dossiers: usize, each: usize) -> Vec<BoardChange> {
    let dossiers = (0..dossiers).map(|n| u8::try_from(n).unwrap());
    dossiers.flat_map(|n| vec![samples::board_change(n); each]).collect()
}

#[test]
fn limits_of_an_envelope() {
    let check = |what: &str, anchors: usize, body: Body, expected: Result<(), EnvelopeError>| {
        let header = Header { anchors: vec![samples::anchor(); anchors], ..samples::header() };
        assert_eq!(Envelope::decode(&sealed(&header, &body)).map(drop), expected, "{what}");
    };
    let (items, board, each) = (ENVELOPE_ITEMS_MAX, ENVELOPE_BOARD_CHANGES_MAX, DOSSIER_BOARD_CHANGES_MAX);
    let full = changes(board / each, each);
    let rest = items - full.len();
    let too_many = Err(EnvelopeError::TooMany);
    check("nothing at all", 0, Body::default(), Ok(()));
    check("1,000 entries", 1, Body { entries: entries(items), board: vec![] }, Ok(()));
    check("1,001 entries", 1, Body { entries: entries(items + 1), board: vec![] }, too_many);
    check("entries and changes, 1,000 in all", 1, Body { entries: entries(rest), board: full.clone() }, Ok(()));
    check("entries and changes, 1,001 in all", 1, Body { entries: entries(rest + 1), board: full }, too_many);
    check("200 changes", 1, Body { entries: vec![], board: changes(board, 1) }, Ok(()));
    check("201 changes", 1, Body { entries: vec![], board: changes(board + 1, 1) }, too_many);
    check("32 changes for a dossier", 1, Body { entries: vec![], board: changes(2, each) }, Ok(()));
    check("33 changes for a dossier", 1, Body { entries: vec![], board: changes(1, each + 1) }, too_many);
    check("8 anchors", ANCHORS_MAX, Body::default(), Ok(()));
    check("9 anchors", ANCHORS_MAX + 1, Body::default(), too_many);
}

#[test]
fn an_envelope_cut_anywhere_or_followed_by_anything_is_none() {
    let bytes = sealed(&samples::header(), &samples::body());
    for len in 0..bytes.len() {
        assert_eq!(Envelope::decode(&bytes[..len]).map(drop), Err(EnvelopeError::Malformed), "{len} bytes");
    }
    let longer = [bytes.as_slice(), &[0]].concat();
    assert_eq!(Envelope::decode(&longer).map(drop), Err(EnvelopeError::Malformed), "a byte after the end");
}

#[test]
fn no_damaged_envelope_verifies() {
    let bytes = sealed(&samples::header(), &samples::body());
    let whole = Envelope::decode(&bytes).unwrap();
    let key = samples::phone().public();
    for place in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[place] ^= 0x01;
        if let Ok(read) = Envelope::decode(&damaged) {
            assert!(!read.verify(&key, samples::deployment()), "byte {place}");
        }
    }
    assert!(whole.verify(&key, samples::deployment()));
}

/// The header is signed with the body, and its length too: no byte can move from one to the other.
#[test]
fn the_id_covers_header_and_body_and_where_one_ends() {
    let (id, _) = seal(&samples::phone(), &samples::header(), &samples::body());
    let next = Header { number: 8, ..samples::header() };
    let fewer = Body { board: vec![], ..samples::body() };
    assert_ne!(seal(&samples::phone(), &next, &samples::body()).0, id);
    assert_ne!(seal(&samples::phone(), &samples::header(), &fewer).0, id);
    assert_eq!(seal(&samples::server(), &samples::header(), &samples::body()).0, id, "the key is not content");
    let whole = outer();
    let id_of = |split: usize| {
        let both = [whole.header.as_slice(), &whole.body].concat();
        let (header, body) = both.split_at(split);
        EnvelopeId(crate::ids::sha256(&[&(header.len() as u64).to_be_bytes(), header, body]))
    };
    assert_eq!(id_of(whole.header.len()), id);
    assert_ne!(id_of(whole.header.len() - 1), id);
}

#[test]
fn a_compressed_body_is_the_same_envelope() {
    let plain = Envelope::decode(&sealed(&samples::header(), &samples::body())).unwrap();
    let mut packed = outer();
    packed.compression = 1;
    packed.body = deflate(&packed.body);
    let packed = Envelope::decode(&cbor::to_vec(&packed)).unwrap();
    assert_eq!(packed, plain);
    assert!(packed.verify(&samples::phone().public(), samples::deployment()));
}

#[test]
fn forms_of_the_future_are_named_as_such() {
    let check = |what: &str, edit: fn(&mut Outer), expected: EnvelopeError| {
        let mut outer = outer();
        edit(&mut outer);
        assert_eq!(Envelope::decode(&cbor::to_vec(&outer)), Err(expected), "{what}");
    };
    check("the relayed form", |outer| outer.form = 1, EnvelopeError::UnknownForm);
    check("another compression", |outer| outer.compression = 2, EnvelopeError::UnknownForm);
    check("a header of format 2", |outer| outer.header[1] = 2, EnvelopeError::UnknownForm);
    check("a body that is no zstd", |outer| outer.compression = 1, EnvelopeError::Malformed);
    check("a byte after the header", |outer| outer.header.push(0), EnvelopeError::Malformed);
    check("a byte after the body", |outer| outer.body.push(0), EnvelopeError::Malformed);
    check("an empty header", |outer| outer.header.clear(), EnvelopeError::Malformed);
    check("an empty body", |outer| outer.body.clear(), EnvelopeError::Malformed);
}

#[test]
fn a_sealed_envelope_is_the_same_one_in_another_wrapping() {
    let secret = [7; 32];
    let public = curve25519_dalek::montgomery::MontgomeryPoint::mul_base_clamped(secret).to_bytes();
    let (id, clear) = seal(&samples::phone(), &samples::header(), &samples::body());
    let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(1);
    let sealed = sealed_to(&public, &clear, &mut rng).unwrap().unwrap();
    assert_eq!(Envelope::decode(&sealed), Err(EnvelopeError::UnknownForm), "nobody reads on without the key");
    let known = |key| (key == crate::wire::sealed::key_id(&public)).then_some(&secret);
    let opened = unsealed(&sealed, known).unwrap().into_owned();
    assert_eq!(opened, clear);
    assert_eq!(Envelope::decode(&opened).unwrap().id, id);
    assert_eq!(unsealed(&clear, |_| None).unwrap(), clear, "a clear one stays as it is");
    assert_eq!(unsealed(&sealed, |_| None), Err(EnvelopeError::UnknownForm));
    assert_eq!(unsealed(&sealed, |_| Some(&[8; 32])), Err(EnvelopeError::Malformed));
    assert_eq!(sealed_to(&public, &sealed, &mut rng), Err(EnvelopeError::UnknownForm));
    assert_eq!(sealed_to(&[0; 32], &clear, &mut rng), Ok(None));
}
