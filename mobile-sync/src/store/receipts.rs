//! Receipt numbers: blocks the server granted, and provisional ones.

use daybook_shared::cbor;
use daybook_shared::entry::ReceiptNumber;
use daybook_shared::ids::InstallId;
use daybook_shared::wire::sign::{ReceiptBlock, Signed};
use rusqlite::params;

use super::{Db, StoreError};

impl Db<'_> {
    /// Keeps a verified grant; one that is here already changes nothing.
    pub(crate) fn insert_receipt_block(self, block: &ReceiptBlock, signed: &Signed) -> Result<(), StoreError> {
        const SQL: &str = "insert into receipt_block (install, series, first, last, next, signed) \
            values (?1, ?2, ?3, ?4, ?3, ?5) on conflict (series, first) do nothing";
        let (series, first) = (block.first.series(), block.first.number());
        self.execute(SQL, params![block.install.as_bytes(), series, first, block.last, cbor::to_vec(signed)])
    }

    /// The next number of the install's oldest open block, taken for good.
    pub(crate) fn take_block_number(self, install: InstallId) -> Result<Option<ReceiptNumber>, StoreError> {
        const SQL: &str = "update receipt_block set next = next + 1 where seq = (select seq from receipt_block \
            where install = ?1 and closed = 0 and next <= last order by seq limit 1) returning series, next - 1";
        self.first(SQL, params![install.as_bytes()], |row| {
            let (series, number): (String, u32) = (row.get(0)?, row.get(1)?);
            ReceiptNumber::new(&series, number).ok_or(StoreError::BadRow { table: "receipt_block" })
        })
    }

    /// The next number of the install's own provisional series, taken for good.
    pub(crate) fn take_provisional_number(self, install: InstallId) -> Result<ReceiptNumber, StoreError> {
        const SQL: &str = "update phone set provisional_last = provisional_last + 1 returning provisional_last";
        let number = self.first(SQL, [], |row| Ok(row.get::<_, u32>(0)?))?.unwrap_or_default();
        let number = ReceiptNumber::new(&ReceiptNumber::provisional_series(install), number);
        number.ok_or(StoreError::BadRow { table: "phone" })
    }

    /// Numbers left in the install's open blocks.
    pub(crate) fn receipt_numbers_left(self, install: InstallId) -> Result<u64, StoreError> {
        const SQL: &str =
            "select coalesce(sum(last - next + 1), 0) from receipt_block where install = ?1 and closed = 0";
        let left = self.first(SQL, params![install.as_bytes()], |row| Ok(row.get::<_, i64>(0)?))?;
        Ok(left.unwrap_or(0).cast_unsigned())
    }

    /// The last number of the install's newest block, 0 without one.
    pub(crate) fn newest_block_last(self, install: InstallId) -> Result<u32, StoreError> {
        const SQL: &str = "select last from receipt_block where install = ?1 order by seq desc limit 1";
        Ok(self.first(SQL, params![install.as_bytes()], |row| Ok(row.get(0)?))?.unwrap_or(0))
    }

    /// Whether a number lies in a block that was ever granted to this device.
    pub(crate) fn in_own_block(self, number: &ReceiptNumber) -> Result<bool, StoreError> {
        const SQL: &str = "select 1 from receipt_block where series = ?1 and ?2 between first and last";
        Ok(self.first(SQL, params![number.series(), number.number()], |_| Ok(()))?.is_some())
    }
}
