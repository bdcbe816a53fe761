//! The file: durable, sealed, told apart from its old copies.

use std::time::Duration;

use daybook_shared::wire::outcome::{Outcome, OutcomeState};

use crate::capture::CaptureError;
use crate::store::{GenerationKeeper, KeptInMemory, Store, StoreError};
use crate::testing::{BLOCK, KEY, Phone, Server, account, case, fed, kes, listed, present, rng};

#[test]
fn a_capture_is_there_after_the_app_was_killed() {
    let mut server = Server::new();
    let mut phone = Phone::enrolled(&mut server);
    let captured = phone.cash(1, 500);
    phone.reopen();
    assert_eq!(phone.store.unanswered().unwrap(), [captured.id]);
    let next = phone.cash(1, 500);
    assert_eq!(next.receipt.unwrap().to_string(), format!("{BLOCK}-000002"), "the number before is taken");
    assert_ne!(next.id, captured.id);
}

#[test]
fn nothing_personal_can_be_read_from_the_file() {
    let mut server = Server::new();
    let mut phone = Phone::enrolled(&mut server);
    let captured = phone.cash(1, 500);
    server.hand_out(vec![listed(&[1]), present(1, 1, 1, 3)]);
    phone.sync(&mut server);
    let bytes = phone.store.entries_of(case(1)).unwrap().remove(0).1;
    server.hand_out(vec![fed(1, 4, &foreign(&bytes), Outcome::accepted(OutcomeState::Noted, vec![]))]);
    phone.sync(&mut server);
    let lease = server.lease(14);
    let seed = phone.store.signer().unwrap().seed();
    let path = phone.file();
    phone.reopen();
    let copy = phone.back_up("copy");
    let mut file = std::fs::read(copy).unwrap();
    for suffix in ["-wal", "-journal"] {
        file.extend(std::fs::read(path.with_file_name(format!("store{suffix}"))).unwrap_or_default());
    }
    let holds = |needle: &[u8]| file.windows(needle.len()).any(|window| window == needle);
    assert!(holds(captured.id.as_bytes()), "ids are in the open, so this test can find something");
    for secret in ["Amina", "Njeri", "+254700", "behind the school", "Wanjiru", "Otieno", "caseload 1"] {
        assert!(!holds(secret.as_bytes()), "{secret}");
    }
    assert!(!holds(&bytes[..40]), "the beginning of an entry");
    assert!(!holds(&bytes[bytes.len() - 20..]), "the end of an entry");
    assert!(!holds(lease.as_bytes()) && !holds(&seed), "secrets");
}

/// The same entry under another id and device, as a colleague's would be.
fn foreign(bytes: &[u8]) -> Vec<u8> {
    let mut entry = daybook_shared::entry::Entry::decode(bytes).unwrap();
    entry.head.id = daybook_shared::ids::EntryId::from([0x77; 16]);
    entry.head.device = daybook_shared::ids::DeviceId::from([0x78; 16]);
    entry.encode()
}

#[test]
fn what_cannot_be_opened_says_why() {
    let mut phone = Phone::new();
    let now = phone.now;
    let copy = phone.back_up("copy");
    let open = |path: &std::path::Path, key: &[u8; 32]| {
        Store::open(path, key, Box::<KeptInMemory>::default(), now, &mut rng(1)).map(drop)
    };
    assert!(matches!(open(&copy, &[8; 32]), Err(StoreError::WrongKey)));
    assert!(open(&copy, &KEY).is_ok());
    assert!(matches!(open(&phone.file(), &KEY), Err(StoreError::InUse)), "the phone has it open");

    let garbage = phone.dir.path().join("garbage");
    std::fs::write(&garbage, vec![0x5a; 8192]).unwrap();
    assert!(matches!(open(&garbage, &KEY), Err(StoreError::Corrupt)));

    let newer = phone.back_up("newer");
    rusqlite::Connection::open(&newer).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let own = i64::try_from(super::MIGRATIONS.len()).unwrap();
    assert!(matches!(open(&newer, &KEY), Err(StoreError::TooNew { found: 99, known }) if known == own));
}

#[test]
fn a_full_disk_loses_nothing_and_says_so() {
    let mut server = Server::new();
    let mut phone = Phone::enrolled(&mut server);
    let first = phone.cash(1, 100);
    phone.store.limit_pages(1);
    let mut stored = vec![first.id];
    let refused = loop {
        let draft = crate::capture::What::Repayment(crate::capture::RepaymentDraft::cash(account(1), kes(100)));
        match phone.store.capture(draft.into(), phone.now, &mut phone.rng) {
            Ok(captured) => stored.push(captured.id),
            Err(error) => break error,
        }
        assert!(stored.len() < 1000, "the limit is never met");
    };
    assert!(matches!(refused, CaptureError::Store(StoreError::DiskFull)), "{refused:?}");
    phone.reopen();
    assert_eq!(phone.store.unanswered().unwrap(), stored);
    let next = phone.cash(1, 100).receipt.unwrap();
    assert_eq!(next.number() as usize, stored.len() + 1, "the refused capture took no receipt number");
}

#[test]
fn an_old_copy_gets_a_new_install_and_packs_again_what_has_no_verdict() {
    let mut server = Server::new();
    let mut phone = Phone::enrolled(&mut server);
    let (a, b) = (phone.cash(1, 100), phone.cash(1, 200));
    phone.store.seal_pending(phone.now, &mut phone.rng).unwrap();
    let install = phone.store.install().unwrap();
    let backup = phone.back_up("backup");
    phone.sync(&mut server);
    assert!(phone.store.unanswered().unwrap().is_empty());

    phone.restore(&backup);
    assert!(phone.store.began_new_install());
    assert_ne!(phone.store.install().unwrap(), install);
    assert_eq!(phone.store.unanswered().unwrap(), [a.id, b.id]);
    let c = phone.cash(1, 300);
    assert!(c.provisional, "the old block is closed");
    assert!(c.receipt.as_ref().unwrap().series().starts_with('P'));
    assert_eq!(c.receipt.unwrap().number(), 1);
    assert_eq!(phone.cash(1, 300).receipt.unwrap().number(), 2, "gapless");

    let block = server.block(phone.store.install().unwrap());
    server.head.receipt_block = Some(block);
    phone.sync(&mut server);
    assert!(phone.store.unanswered().unwrap().is_empty());
    assert_eq!(server.taken.len(), 4);
    assert!(!phone.cash(1, 400).provisional, "a block for the new install was granted");

    phone.reopen();
    assert!(!phone.store.began_new_install(), "noticed once");
}

#[test]
fn a_killed_app_is_no_old_copy_even_when_the_host_was_not_told() {
    let mut phone = Phone::new();
    let install = phone.store.install().unwrap();
    for _ in 0..3 {
        phone.reopen();
        let kept = phone.keeper.load().unwrap();
        phone.keeper.save(kept - 1).unwrap();
    }
    phone.reopen();
    assert_eq!(phone.store.install().unwrap(), install);
}

/// Goal: a number on paper is never given again by a copy of the file, however soon after the copy it
/// was given. Method: copy the living file, take receipts offline, put the copy back.
#[test]
fn a_copy_older_than_a_receipt_is_noticed() {
    let mut server = Server::new();
    let mut phone = Phone::enrolled(&mut server);
    let first = phone.cash(1, 100).receipt.unwrap();
    // An open file is locked: this is what a backup that runs beside the app would have read.
    let copy = phone.back_up("copy");
    let generation = i64::try_from(phone.store.read().phone().unwrap().generation).unwrap();
    rusqlite::Connection::open(&copy).unwrap().execute("update phone set generation = ?1", [generation]).unwrap();
    let second = phone.cash(1, 200).receipt.unwrap();
    phone.restore(&copy);
    assert!(phone.store.began_new_install());
    let again = phone.cash(1, 300);
    assert!(again.provisional && again.receipt.is_some_and(|again| again != first && again != second));

    // The same for provisional numbers.
    let copy = phone.back_up("provisional");
    let generation = i64::try_from(phone.store.read().phone().unwrap().generation).unwrap();
    rusqlite::Connection::open(&copy).unwrap().execute("update phone set generation = ?1", [generation]).unwrap();
    let third = phone.cash(1, 400).receipt.unwrap();
    phone.restore(&copy);
    assert!(phone.store.began_new_install());
    assert_ne!(phone.cash(1, 500).receipt.unwrap(), third);
}

#[test]
fn an_enrolled_store_on_another_handset_is_an_old_copy_once() {
    let mut server = Server::new();
    let mut phone = Phone::enrolled(&mut server);
    let copy = phone.back_up("copy");
    phone.cash(1, 100);
    let install = phone.store.install().unwrap();
    phone.keeper = KeptInMemory::default();
    phone.restore(&copy);
    assert!(phone.store.began_new_install());
    assert_ne!(phone.store.install().unwrap(), install);
    assert!(phone.cash(1, 200).provisional);
    phone.reopen();
    assert!(!phone.store.began_new_install());
}

/// A host that cannot keep anything from now on.
#[derive(Debug)]
struct Broken(u64);

impl GenerationKeeper for Broken {
    fn load(&mut self) -> std::io::Result<u64> {
        Ok(self.0)
    }

    fn save(&mut self, _: u64) -> std::io::Result<()> {
        Err(std::io::Error::other("broken"))
    }
}

/// Goal: a kill between the two writes of an opening. Method: a host that fails at the second.
#[test]
fn a_kill_between_store_and_host_neither_hides_nor_invents_an_old_copy() {
    let mut phone = Phone::new();
    let open = |path: &std::path::Path, keeper: Box<dyn GenerationKeeper>, now| {
        Store::open(path, &KEY, keeper, now, &mut rng(3))
    };
    let fresh = phone.dir.path().join("fresh");
    assert!(matches!(open(&fresh, Box::new(Broken(0)), phone.now), Err(StoreError::Keeper(_))));
    let store = open(&fresh, Box::<KeptInMemory>::default(), phone.now).unwrap();
    assert!(!store.began_new_install(), "killed before its first generation was kept");

    let mut server = Server::new();
    phone = Phone::enrolled(&mut server);
    let copy = phone.back_up("copy");
    assert!(matches!(open(&copy, Box::new(Broken(0)), phone.now), Err(StoreError::Keeper(_))));
    let store = open(&copy, Box::<KeptInMemory>::default(), phone.now).unwrap();
    assert!(store.began_new_install(), "still as old as it was");
}

#[test]
fn a_capture_whose_generation_cannot_be_kept_is_a_capture() {
    let mut server = Server::new();
    let mut phone = Phone::enrolled(&mut server);
    phone.store.keeper = Box::new(Broken(0));
    let captured = phone.cash(1, 100);
    assert_eq!(phone.store.unanswered().unwrap(), [captured.id]);
    let install = phone.store.install().unwrap();
    phone.reopen();
    assert_eq!(phone.store.install().unwrap(), install, "a host that is behind is no old copy");
}

/// Goal: a reboot does not open what had lapsed before it.
#[test]
fn trusted_time_outlives_the_boot() {
    let mut server = Server::new();
    let mut phone = Phone::enrolled(&mut server);
    let reboot = |phone: &mut Phone, boot: u8| {
        phone.now = crate::Moment { boot_id: daybook_shared::ids::BootId([boot; 8]), boot_ms: 5, ..phone.now };
        phone.reopen();
    };
    let trusted = |phone: &Phone| phone.store.read().phone().unwrap().trusted(phone.now);
    let heard = trusted(&phone);
    phone.pass_ms(3_600_000);
    phone.cash(1, 100);
    reboot(&mut phone, 2);
    assert_eq!(trusted(&phone), heard.plus_ms(3_601_000), "as it was at the capture");
    phone.pass_ms(1000);
    assert_eq!(trusted(&phone), heard.plus_ms(3_601_000), "and stands still until the server is heard");
    phone.reopen();
    assert_eq!(trusted(&phone), heard.plus_ms(3_601_000));

    server.now = server.now.plus_ms(3_700_000);
    phone.sync(&mut server);
    phone.pass_ms(20 * 86_400_000);
    phone.reopen();
    assert!(phone.store.view(phone.now).is_err(), "lapsed");
    reboot(&mut phone, 3);
    assert!(phone.store.view(phone.now).is_err(), "still lapsed");
}

#[test]
fn five_hundred_cases_open_at_once() {
    let mut server = Server::new();
    let mut phone = Phone::enrolled(&mut server);
    let mut frames = vec![listed(&[1])];
    for n in 0..500_u16 {
        let mut frame = present(1, 1, 1, 3);
        frame.dossiers = Some(vec![daybook_shared::ids::DossierId::from(u128::from(n + 1).to_be_bytes())]);
        frames.push(frame);
    }
    server.hand_out(frames);
    phone.sync(&mut server);
    assert_eq!(phone.store.dossiers().unwrap().len(), 500);
    #[expect(clippy::disallowed_methods, reason = "how long opening takes is what is tested")]
    let begun = std::time::Instant::now();
    phone.reopen();
    assert!(begun.elapsed() < Duration::from_millis(200), "{:?}", begun.elapsed());
}
