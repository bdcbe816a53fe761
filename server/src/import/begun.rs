//! Payments that customers began in the app, where a line is their money: a gateway says which payment it is, or a
//! statement has the reference that the gateway gave it before. They settle once, whoever comes first.

use std::collections::BTreeMap;

use daybook_shared::entry::Channel;
use daybook_shared::ids::{AccountId, DossierId, PaymentId};
use daybook_shared::time::Timestamp;

use super::money_in::{Confirmed, Line};
use crate::batch_row;
use crate::db::{Tx, batch};
use crate::journey::payments::state::Purpose;
use crate::portfolio::payment::PaymentState;
use crate::portfolio::status::AccountStatus;
use crate::sync::world::{LineKey, line_key};

/// A payment that was begun.
#[derive(Debug, Clone, Copy)]
pub struct Begun {
    /// The payment.
    pub uid: PaymentId,
    /// How far it is.
    pub state: PaymentState,
    /// What it is for.
    pub purpose: Purpose,
    /// Key of the account it is for.
    pub account_id: i64,
    /// Key of the account's unit.
    pub unit_id: i64,
    /// The account's case.
    pub dossier: DossierId,
}

impl Begun {
    /// Whether it may be the money that its account waited for to begin.
    pub fn held_back(&self) -> bool {
        self.purpose == Purpose::DownPayment && self.is_settled()
    }

    /// Whether its money came before.
    pub fn is_settled(&self) -> bool {
        !matches!(self.state, PaymentState::Pending | PaymentState::Failed | PaymentState::Expired)
    }
}

batch_row! {
    struct NamedKey { channel: Channel => "text", external_ref: String => "text", begun: PaymentId => "uuid" }
}
batch_row! {
    struct ReferenceKey { channel: Channel => "text", external_ref: String => "text" }
}

#[derive(sqlx::FromRow)]
struct BegunRow {
    channel: Channel,
    external_ref: String,
    uid: PaymentId,
    state: PaymentState,
    purpose: Purpose,
    account_id: i64,
    unit_id: i64,
    account: AccountId,
    status: AccountStatus,
}

const SELECT_NAMED: &str = "select v.channel, v.external_ref, p.uid, p.state, b.purpose, a.id as account_id, a.unit_id,
       a.uid as account, a.status
     from v join payment p on p.uid = v.begun join app_payment b on b.payment_uid = p.uid
       join account a on a.id = b.account_id";
const SELECT_BY_REFERENCE: &str = "select v.channel, v.external_ref, p.uid, p.state, b.purpose, a.id as account_id,
       a.unit_id, a.uid as account, a.status
     from v join payment p on p.external_ref = v.external_ref and p.channel = v.channel
       join app_payment b on b.payment_uid = p.uid join account a on a.id = b.account_id
     where p.state in ('pending', 'failed', 'expired')";

/// The payments that lines are the money of. What a gateway names wins over what has the same reference.
pub async fn of_lines(tx: &mut Tx, lines: &[Line]) -> sqlx::Result<BTreeMap<LineKey, Begun>> {
    let keys: BTreeMap<LineKey, Option<Confirmed>> =
        lines.iter().map(|line| (line_key(&line.channel, &line.external_ref), line.confirms)).collect();
    let by_reference = keys.keys().cloned().map(|(channel, external_ref)| ReferenceKey { channel, external_ref });
    let named = keys.iter().filter_map(|((channel, external_ref), begun)| {
        Some(NamedKey { channel: channel.clone(), external_ref: external_ref.clone(), begun: begun.as_ref()?.payment })
    });
    let mut rows: Vec<BegunRow> = batch::fetch(tx, &by_reference.collect::<Vec<_>>(), SELECT_BY_REFERENCE).await?;
    // Of several under one reference, which no gateway gives, the oldest.
    rows.sort_unstable_by_key(|row| std::cmp::Reverse(row.uid));
    rows.extend(batch::fetch::<_, BegunRow>(tx, &named.collect::<Vec<_>>(), SELECT_NAMED).await?);
    let begun = |row: BegunRow| {
        let BegunRow { channel, external_ref, uid, state, purpose, account_id, unit_id, account, status } = row;
        // Once the account has begun, what was for its down payment is money like any other.
        let purpose = if status == AccountStatus::Pending { purpose } else { purpose.once_active() };
        let begun = Begun { uid, state, purpose, account_id, unit_id, dossier: DossierId::case(account) };
        ((channel, external_ref), begun)
    };
    Ok(rows.into_iter().map(begun).collect())
}

batch_row! {
    struct BegunKey { uid: PaymentId => "uuid" }
}

/// In the order in which others lock them that are about several.
const LOCK: &str = "select b.payment_uid from v join app_payment b on b.payment_uid = v.uid
     order by b.payment_uid for no key update of b";

/// Locks the rows of payments that were begun, after their accounts.
pub async fn lock<'a>(tx: &mut Tx, begun: impl Iterator<Item = &'a Begun>) -> sqlx::Result<()> {
    let keys: Vec<_> = begun.map(|begun| BegunKey { uid: begun.uid }).collect();
    if tx.is_postgres() {
        batch::fetch::<_, (PaymentId,)>(tx, &keys, LOCK).await?;
    }
    Ok(())
}

batch_row! {
    /// A payment that has its money.
    pub struct Settled {
        /// The payment.
        uid: PaymentId => "uuid",
        /// The payment that is the same money and has the effect, if it is another.
        same_as: Option<PaymentId> => "uuid",
        /// When it was found out.
        at: Timestamp => "timestamptz",
        /// Until when who asked its gateway has it in hand; none when somebody else says so.
        in_hand: Option<Timestamp> => "timestamptz",
    }
}

/// Where it was not the gateway who said so, it is asked once more, where it was to be: it knows what it keeps of the
/// money. A hint that came meanwhile stands.
const SETTLE: &str = "update app_payment set stage = 'paid', failure = null, same_as = v.same_as, settled_at = v.at,
       next_at = case when app_payment.next_at = v.in_hand then null else app_payment.next_at end
     from v where app_payment.payment_uid = v.uid";

/// Notes which payments have their money.
pub async fn settle(tx: &mut Tx, settled: &[Settled]) -> sqlx::Result<()> {
    batch::execute(tx, settled, SETTLE).await.map(drop)
}
