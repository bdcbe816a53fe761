//! Entries and envelopes.

use daybook_shared::cbor;
use daybook_shared::entry::{Body, ENTRY_BYTES_MAX, Entry};
use daybook_shared::ids::DossierId;
use daybook_shared::money::{Currency, Money};
use daybook_shared::wire::envelope::{Body as Sealed, seal};
use daybook_shared::wire::exchange::Answer as Word;
use daybook_shared::wire::framing::deflate;
use daybook_shared::wire::limits::{ENVELOPE_ITEMS_MAX, INFLATED_BYTES_MAX};
use daybook_tests::sim::raw::Raw;
use daybook_tests::sim::says::words;
use daybook_tests::sim::{KES, Terms, World, forge};
use rand::Rng as _;

use crate::{Scene, on_every_engine};

const USD: Currency = Currency::new(*b"USD").unwrap();

/// Sends one bad entry between two good ones: they post, it ends as said.
fn between_good_ones(scene: &mut Scene, name: &str, bad: Vec<u8>, expected: &str) {
    let Scene { world, raw, acc, .. } = scene;
    let number = raw.number * 2;
    let first = forge::cash(world, raw, *acc, Money::new(10, KES), &format!("GOOD-{number:06}"));
    let last = forge::cash(world, raw, *acc, Money::new(20, KES), &format!("GOOD-{:06}", number + 1));
    let verdicts = raw.upload(world, &[first.encode(), bad, last.encode()], Vec::new());
    let shown: Vec<_> = verdicts.outcomes.iter().map(words).collect();
    assert!(shown[0].starts_with("posted"), "{name}: {shown:?}");
    assert!(shown[1].starts_with(expected), "{name}: {shown:?}, expected {expected}");
    assert!(shown[2].starts_with("posted"), "{name}: {shown:?}");
}

#[test]
fn bytes_that_are_no_entry_are_refused_between_good_neighbours() {
    on_every_engine(|scene| {
        let good = forge::visit(&mut scene.world, &scene.raw, scene.acc).encode();
        let mut random = vec![0; 300];
        scene.world.rng.fill_bytes(&mut random);
        // One map with the id's key twice: the pair is put behind the map's header again.
        let pair = [&[0x00, 0x50][..], &good[3..19]].concat();
        let repeated = [&[good[0] + 1][..], &pair, &good[1..]].concat();
        let nested = [vec![0x81; 200], vec![0x00]].concat();
        let cases: Vec<(&str, Vec<u8>)> = vec![
            ("nothing", Vec::new()),
            ("truncated", good[..good.len() / 2].to_vec()),
            ("one byte short", good[..good.len() - 1].to_vec()),
            ("bytes after the end", [&good[..], &[0]].concat()),
            ("random", random),
            ("nested", nested),
            ("a key twice", repeated),
            ("a map of 2^63 pairs", vec![0xbb, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
            ("a text of 2^62 bytes", [&[0xa1, 0x00, 0x7b, 0x3f][..], &[0xff; 7]].concat()),
            ("an array without an end", vec![0x9f, 0x00]),
            ("over its limit", vec![0x00; ENTRY_BYTES_MAX + 1]),
            ("a float", vec![0xa1, 0x00, 0xfb, 0x40, 0x09, 0x21, 0xfb, 0x54, 0x44, 0x2d, 0x18]),
        ];
        for (name, bad) in cases {
            between_good_ones(scene, name, bad, "refused(MALFORMED)");
        }
    });
}

#[test]
fn an_entry_is_judged_by_what_it_says_between_good_neighbours() {
    on_every_engine(|scene| {
        let other = {
            let (barasa, _) = scene.world.officer("Barasa");
            scene.world.account(barasa, Terms::months(3))
        };
        let acc = scene.acc;
        let cash = |scene: &mut Scene, amount: Money, receipt: &str| {
            forge::cash(&mut scene.world, &scene.raw, acc, amount, receipt)
        };
        let first = cash(scene, Money::new(5, KES), "BOOK7-000001");
        between_good_ones(scene, "good", first.encode(), "posted");
        let mut same_id = cash(scene, Money::new(6, KES), "BOOK7-000002");
        same_id.head.id = first.head.id;
        between_good_ones(scene, "an id with other bytes", same_id.encode(), "refused(ID_TAKEN)");
        between_good_ones(scene, "the same once more", first.encode(), "posted");
        let again = cash(scene, Money::new(7, KES), "BOOK7-000001");
        between_good_ones(scene, "a receipt number twice", again.encode(), "held(DUP_RECEIPT)");
        let theirs = forge::cash(&mut scene.world, &scene.raw, other, Money::new(8, KES), "BOOK7-000003");
        between_good_ones(scene, "another officer's case", theirs.encode(), "held(NOT_ENTITLED)");
        let mut nowhere = cash(scene, Money::new(9, KES), "BOOK7-000004");
        nowhere.head.dossier = DossierId::from([9; 16]);
        between_good_ones(scene, "a dossier nobody has", nowhere.encode(), "held(NOT_ENTITLED)");
        let mut foreign = cash(scene, Money::new(9, KES), "BOOK7-000005");
        foreign.head.device = [8; 16].into();
        between_good_ones(scene, "another device's", foreign.encode(), "refused(FOREIGN)");
        for (name, amount, expected) in [
            ("zero", Money::new(0, KES), "refused(AMOUNT)"),
            ("negative", Money::new(-1, KES), "refused(AMOUNT)"),
            ("as low as it goes", Money::new(i64::MIN, KES), "refused(AMOUNT)"),
            ("as high as it goes", Money::new(i64::MAX, KES), "refused(AMOUNT)"),
            ("absurd", Money::new(9_000_000, KES), "held(AMOUNT)"),
            ("another currency", Money::new(10, USD), "held(CURRENCY_MISMATCH)"),
        ] {
            let receipt = format!("BOOK8-{:06}", scene.raw.number);
            let entry = cash(scene, amount, &receipt);
            between_good_ones(scene, name, entry.encode(), expected);
        }
        let mut ahead = cash(scene, Money::new(11, KES), "BOOK7-000006");
        if let Body::Repayment(repayment) = &mut ahead.body {
            repayment.value_date = scene.world.today().plus_days(400);
        }
        between_good_ones(scene, "a date ahead", ahead.encode(), "posted");
        assert!(scene.world.outcome(ahead.head.id).contains("VALUE_DATE_AHEAD"));
        let mut without = cash(scene, Money::new(12, KES), "BOOK7-000007");
        if let Body::Repayment(repayment) = &mut without.body {
            repayment.receipt = None;
        }
        between_good_ones(scene, "cash without a receipt", without.encode(), "refused(FIELD)");
    });
}

#[test]
fn numbers_that_do_not_fit_take_nothing() {
    on_every_engine(|scene| {
        let Scene { world, raw, acc, .. } = scene;
        let mut envelope = |raw: &mut Raw| {
            let entry: Entry = forge::visit(world, raw, *acc);
            (entry.head.id, raw.seal(&[entry.encode()], Vec::new()))
        };
        let (first_id, first) = envelope(raw);
        let before_second = raw.clone();
        let (_, second) = envelope(raw);
        let mut fork = before_second.clone();
        let (forked_id, forked) = envelope(&mut fork);
        let (third_id, third) = envelope(raw);
        let world = &scene.world;
        // A gap.
        let word = raw.words(world, &[second.clone(), third.clone()]);
        assert!(
            matches!(word[..], [Word::Expect { number, .. }, Word::Expect { .. }] if number == before_second.number),
            "{word:?}"
        );
        assert_eq!(world.outcome(first_id), "unknown");
        // In order, and again.
        let taken = raw.words(world, &[first.clone(), second.clone()]);
        assert!(taken.iter().all(|word| matches!(word, Word::Taken { .. })), "{taken:?}");
        assert_eq!(raw.words(world, &[first, second]), taken, "a replay gets the answer again");
        // The same number with other content.
        assert_eq!(raw.words(world, &[forked]), [Word::Reactor]);
        assert_eq!(world.outcome(forked_id), "unknown");
        // The next number on another chain.
        let mut header = raw.header();
        header.number = raw.number;
        header.previous = daybook_shared::ids::EnvelopeId([7; 32]);
        let (_, stranger) = seal(&raw.signer, &header, &Sealed::default());
        assert_eq!(raw.words(world, &[stranger]), [Word::Reactor]);
        assert!(matches!(raw.words(world, &[third])[..], [Word::Taken { .. }]));
        assert_eq!(world.outcome(third_id), "noted");
        // A request number that does not go up.
        raw.deposits = false;
        raw.request -= 1;
        let answer = raw.send(world, &[]);
        assert_eq!((answer.status, answer.code().as_str()), (409, "stale-request"));
        assert_eq!(answer.json()["last"], raw.request);
    });
}

#[test]
fn bodies_that_are_no_requests_take_nothing_and_cost_little() {
    on_every_engine(|scene| {
        let Scene { world, raw, acc, .. } = scene;
        let entry = forge::visit(world, raw, *acc);
        let good = deflate(&cbor::to_vec(&Raw::request(&[raw.clone().seal(&[entry.encode()], Vec::new())])));
        let mut random = vec![0; 2000];
        world.rng.fill_bytes(&mut random);
        let bomb = deflate(&vec![0; INFLATED_BYTES_MAX + 1]);
        let claims = [
            vec![0x8c, 0x01, 0xf6, 0x1a, 0, 1, 0, 0, 0x00],
            vec![0x9b, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        ]
        .concat();
        let cases: Vec<(&str, Vec<u8>, u16)> = vec![
            ("nothing", Vec::new(), 422),
            ("truncated", good[..good.len() / 2].to_vec(), 422),
            ("random", random, 422),
            ("no zstd", b"hello".to_vec(), 422),
            ("a bomb", bomb, 413),
            ("huge claims", deflate(&claims), 422),
            ("another shape", deflate(&cbor::to_vec(&vec![1_u8, 2, 3])), 422),
            ("nested", deflate(&[vec![0x81; 100_000], vec![0x00]].concat()), 422),
        ];
        for (name, body, status) in cases {
            let answer = raw.post(world, "/v1/sync", body.clone());
            assert_eq!(answer.status, status, "{name}: {}", answer.json());
            assert_eq!(raw.post(world, "/v1/deposit", body).status, status, "{name}");
        }
        assert_eq!(world.outcome(entry.head.id), "unknown");
        assert_eq!(raw.post(world, "/v1/sync", good).status, 200);
        assert_eq!(world.outcome(entry.head.id), "noted");
    });
}

#[test]
fn envelopes_that_are_none_are_refused_and_consume_nothing() {
    on_every_engine(|scene| {
        let Scene { world, raw, acc, .. } = scene;
        let visit = forge::visit(world, raw, *acc);
        let good = raw.clone().seal(&[visit.encode()], Vec::new());
        let many = Sealed { entries: vec![vec![0].into(); ENVELOPE_ITEMS_MAX + 1], board: Vec::new() };
        let (_, many) = seal(&raw.signer, &raw.header(), &many);
        let mut random = vec![0; 500];
        world.rng.fill_bytes(&mut random);
        let mut other_form = good.clone();
        other_form[1] = 1;
        let mut other_packing = good.clone();
        other_packing[2] = 9;
        let mut bomb_inside = good.clone();
        bomb_inside[2] = 1;
        let cases: Vec<(&str, Vec<u8>, &str)> = vec![
            ("nothing", Vec::new(), "envelope_malformed"),
            ("truncated", good[..good.len() / 2].to_vec(), "envelope_malformed"),
            ("random", random, "envelope_malformed"),
            ("another form", other_form, "envelope_form"),
            ("another packing", other_packing, "envelope_form"),
            ("a body that does not inflate", bomb_inside, "envelope_malformed"),
            ("too many items", many, "envelope_items"),
        ];
        for (name, bytes, code) in cases {
            let word = raw.words(world, &[bytes]);
            assert_eq!(word, [Word::Refused { code: code.to_owned() }], "{name}");
        }
        assert!(matches!(raw.words(world, &[good])[..], [Word::Taken { .. }]));
        assert_eq!(world.outcome(visit.head.id), "noted");
    });
}

/// Goal: no sum of money wraps or loses any. Method: cash of 2^53 - 1 a capture, until an officer's cash
/// in hand is beyond 64 bits; what does not fit fails in the database and is held without a charge.
#[test]
fn cash_beyond_what_a_sum_can_hold_is_held_uncharged() {
    on_every_engine(|scene| {
        let Scene { world, raw, acc, amina, .. } = scene;
        let absurd = |world: &mut World, raw: &Raw, numbers: std::ops::Range<u32>| -> Vec<Vec<u8>> {
            let amount = Money::new(Money::MINOR_MAX, KES);
            let cash = |n| forge::cash(world, raw, *acc, amount, &format!("BOOK7-{n:06}")).encode();
            numbers.map(cash).collect()
        };
        let first = absurd(world, raw, 0..1000);
        let held = raw.upload(world, &first, Vec::new());
        assert!(held.outcomes.iter().all(|outcome| words(outcome) == "held(AMOUNT)"));
        assert_eq!(world.cash_in_hand(*amina), 1000 * Money::MINOR_MAX);
        let rest = absurd(world, raw, 1000..1030);
        let envelope = raw.seal(&rest, Vec::new());
        // It fails twice, by whichever way it comes in, before what does not fit is held.
        let failed = (0..3).take_while(|_| raw.send(world, std::slice::from_ref(&envelope)).status == 500).count();
        assert_eq!(failed, if raw.deposits { 1 } else { 2 });
        let answered = raw.words(world, &[envelope]);
        let Word::Taken { outcomes, .. } = &answered[0] else { panic!("{answered:?}") };
        let said: Vec<_> = outcomes.iter().map(words).collect();
        assert_eq!(said, [vec!["held(AMOUNT)"; 24], vec!["held(FAILED)"; 6]].concat());
        assert_eq!(world.cash_in_hand(*amina), 1024 * Money::MINOR_MAX);
    });
}
