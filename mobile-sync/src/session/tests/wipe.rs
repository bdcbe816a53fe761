//! The order to erase itself: only the server's, only for this life of this store.

use daybook_shared::ids::{DeploymentId, DeviceId, Epoch, Hash, InstallId};
use daybook_shared::wire::exchange::Frame;
use daybook_shared::wire::sign::{Context, DeviceState, Signed, Signer, WipeOrder};

use crate::capture::{CaptureError, Draft, RepaymentDraft, What};
use crate::enrol;
use crate::session::SyncEnd;
use crate::testing::{Fault, Link, Phone, Server, account, kes, listed, present};
use crate::view::ViewError;

/// The curve's base point: a key as good as any where nothing is left to seal.
const ENVELOPE_KEY: Hash = Hash([9; 32]);

fn order(server: &Server, phone: &Phone) -> WipeOrder {
    let (device, install) = (phone.store.device().unwrap(), phone.store.install().unwrap());
    WipeOrder { device, install, epoch: server.epoch, at: server.now, envelope_key: ENVELOPE_KEY }
}

fn signed(server: &Server, order: &WipeOrder) -> Signed {
    Signed::seal(&server.signer, Context::Wipe, server.deployment, order)
}

/// A phone that holds a case and a capture with its verdict.
fn holding() -> (Server, Phone) {
    let mut server = Server::new();
    let mut phone = Phone::enrolled(&mut server);
    server.hand_out(vec![listed(&[1]), present(1, 1, 1, 3)]);
    phone.cash(1, 100);
    phone.sync(&mut server);
    (server, phone)
}

#[test]
fn an_order_that_is_not_for_this_store_erases_nothing() {
    let (mut server, mut phone) = holding();
    let good = order(&server, &phone);
    let stranger = Signer::from_seed(&[66; 32]);
    let for_another = |change: fn(&mut WipeOrder)| {
        let mut other = good.clone();
        change(&mut other);
        signed(&server, &other)
    };
    let mut altered = signed(&server, &good);
    altered.payload[3] ^= 1;
    let mut renamed = Signed::seal(&stranger, Context::Wipe, server.deployment, &good);
    renamed.key = server.signer.public().id();
    let cases = [
        ("a stranger's", Signed::seal(&stranger, Context::Wipe, server.deployment, &good)),
        ("a stranger's in the server's name", renamed),
        ("altered", altered),
        ("of another context", Signed::seal(&server.signer, Context::Block, server.deployment, &good)),
        ("of another lender", Signed::seal(&server.signer, Context::Wipe, DeploymentId::from([1; 16]), &good)),
        ("another device's", for_another(|order| order.device = DeviceId::from([1; 16]))),
        ("another install's", for_another(|order| order.install = InstallId::from([1; 16]))),
        ("of another history", for_another(|order| order.epoch = Epoch([9; 8]))),
    ];
    for (what, wipe) in cases {
        server.head = Frame { wipe: Some(wipe), ..Frame::default() };
        let report = phone.sync(&mut server);
        assert_eq!((report.end, report.retries), (SyncEnd::UpToDate, 1), "{what}");
        assert_eq!(phone.store.wiped_at().unwrap(), None, "{what}");
        assert_eq!((phone.store.dossiers().unwrap().len(), phone.store.own_entries().unwrap().len()), (1, 1), "{what}");
    }
}

#[test]
fn an_order_is_carried_out_once_and_is_worth_nothing_to_who_is_enrolled_anew() {
    let (mut server, mut phone) = holding();
    let (device, order) = (phone.store.device().unwrap(), order(&server, &phone));
    server.state = DeviceState::Wipe;
    server.head = Frame { wipe: Some(signed(&server, &order)), ..Frame::default() };
    // The answer to the deposit is lost: the key stays until it is known that the server has everything.
    let mut link = Link::with([Fault::None, Fault::AnswerLost]);
    let report = phone.sync_over(&mut server, &mut link);
    assert_eq!((report.end, report.round_trips), (SyncEnd::Locked(DeviceState::Wipe), 3));
    let said: Vec<_> = server.requests.iter().map(|(path, request)| (*path, request.wiped)).collect();
    let deposit = ("/v1/deposit", Some(true));
    assert_eq!(said[1..], [("/v1/sync", None), deposit, deposit]);
    for opened in 0..2 {
        assert_eq!((phone.store.dossiers().unwrap(), phone.store.own_entries().unwrap()), (vec![], vec![]));
        assert_ne!(phone.store.device().unwrap(), device, "the key and the id are gone");
        let status = phone.store.status(phone.now).unwrap();
        assert_eq!((status.state, status.user, status.lease_until, status.unsent), ("wiped", None, None, 0));
        assert!(matches!(phone.store.view(phone.now), Err(ViewError::Wiped)), "opened {opened} times");
        let draft = Draft::from(What::Repayment(RepaymentDraft::cash(account(1), kes(100))));
        assert!(matches!(phone.store.capture(draft, phone.now, &mut phone.rng), Err(CaptureError::Wiped)));
        let report = phone.sync(&mut server);
        assert_eq!((report.end, report.round_trips), (SyncEnd::Locked(DeviceState::Wipe), 0));
        phone.reopen();
    }
    // Enrolled anew it is another device, and the old order is not for it.
    server.state = DeviceState::Ok;
    server.installs.clear();
    let request = enrol::enrolment_request(&phone.store, "code", "test").unwrap();
    let answer = server.enrol(&request, &phone.store);
    enrol::accept_enrolment(&mut phone.store, (201, &answer), phone.now, &mut phone.rng).unwrap();
    assert_eq!(phone.store.status(phone.now).unwrap().state, "ok");
    phone.cash(1, 300);
    server.head = Frame { wipe: Some(signed(&server, &order)), ..Frame::default() };
    let report = phone.sync(&mut server);
    assert_eq!((report.end, report.retries), (SyncEnd::UpToDate, 1));
    assert_eq!(phone.store.own_entries().unwrap().len(), 1);
}
