//! Offers to quote from: the list that is used, and one that is still coming.

use daybook_shared::wire::catalogue::{CatalogueHeld, CataloguePage, CatalogueRules};
use rand::Rng;
use rusqlite::{Row, params};

use super::{Db, Place, StoreError};

const TABLE: &str = "offer";

/// The list that is used.
#[derive(Debug, Clone, Default)]
pub(crate) struct StoredCatalogue {
    pub rules: CatalogueRules,
    /// The offers in the server's order, as they travelled.
    pub offers: Vec<Vec<u8>>,
}

/// What became of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PageTaken {
    /// It is here now.
    Kept,
    /// It is of the list that is here already.
    Known,
    /// It does not follow what is here.
    OutOfPlace,
}

impl Db<'_> {
    /// What the server is told: the list that is coming, as far as it has come, else the one that is used.
    pub(crate) fn catalogue_held(self) -> Result<CatalogueHeld, StoreError> {
        const SQL: &str = "select c.hash, (select count(*) from offer o where o.catalogue = c.hash) from catalogue c \
            order by c.whole limit 1";
        let held = self.first(SQL, [], |row| {
            let count = u16::try_from(row.get::<_, i64>(1)?).map_err(|_| StoreError::BadRow { table: TABLE })?;
            Ok(CatalogueHeld { catalogue: row.get::<_, i64>(0)?.cast_unsigned(), count })
        })?;
        Ok(held.unwrap_or_default())
    }

    /// The list that is used; an empty one before any came.
    pub(crate) fn catalogue(self) -> Result<StoredCatalogue, StoreError> {
        const HEAD: &str = "select left_out, offline_days, quote_hours from catalogue where whole = 1";
        const OFFERS: &str = "select o.catalogue, o.place, o.bytes from offer o \
            join catalogue c on c.hash = o.catalogue and c.whole = 1 order by o.place";
        let Some(rules) = self.first(HEAD, [], rules_of)? else { return Ok(StoredCatalogue::default()) };
        let offers = self.all(OFFERS, [], |row| {
            let (catalogue, place): (i64, i64) = (row.get(0)?, row.get(1)?);
            self.open(Place { table: TABLE, row: &row_name(catalogue, place) }, &row.get::<_, Vec<u8>>(2)?)
        })?;
        Ok(StoredCatalogue { rules, offers })
    }

    /// Keeps a page. The list that is used stays until the new one is whole.
    pub(crate) fn add_catalogue_page(self, page: &CataloguePage, rng: &mut dyn Rng) -> Result<PageTaken, StoreError> {
        const USED: &str = "select 1 from catalogue where hash = ?1 and whole = 1";
        const DROP_COMING: [&str; 2] = [
            "delete from offer where catalogue in (select hash from catalogue where whole = 0)",
            "delete from catalogue where whole = 0",
        ];
        const BEGIN: &str = "insert into catalogue (hash, count, left_out, offline_days, quote_hours) \
            values (?1, ?2, ?3, ?4, ?5)";
        const OFFER: &str = "insert into offer (catalogue, place, bytes) values (?1, ?2, ?3)";
        let hash = page.catalogue.cast_signed();
        let end = usize::from(page.from) + page.offers.len();
        let used = self.first(USED, params![hash], |_| Ok(()))?.is_some();
        if used || page.from == 0 {
            DROP_COMING.iter().try_for_each(|sql| self.execute(sql, []))?;
        }
        if used {
            return Ok(PageTaken::Known);
        }
        if page.from == 0 {
            let CatalogueRules { left_out, offline_days, quote_hours } = page.rules;
            self.execute_one(BEGIN, params![hash, page.count, left_out, offline_days, quote_hours])?;
        }
        let follows = self.catalogue_held()? == CatalogueHeld { catalogue: page.catalogue, count: page.from };
        if !follows || end > usize::from(page.count) {
            return Ok(PageTaken::OutOfPlace);
        }
        for (place, offer) in (i64::from(page.from)..).zip(&page.offers) {
            let sealed = self.vault.seal(Place { table: TABLE, row: &row_name(hash, place) }, offer, rng);
            self.execute_one(OFFER, params![hash, place, sealed])?;
        }
        if end == usize::from(page.count) {
            self.use_catalogue(hash)?;
        }
        Ok(PageTaken::Kept)
    }

    /// A list is whole: it takes the place of the one before.
    fn use_catalogue(self, hash: i64) -> Result<(), StoreError> {
        self.execute("delete from offer where catalogue <> ?1", params![hash])?;
        self.execute("delete from catalogue where hash <> ?1", params![hash])?;
        self.execute_one("update catalogue set whole = 1 where hash = ?1", params![hash])
    }
}

fn rules_of(row: &Row<'_>) -> Result<CatalogueRules, StoreError> {
    Ok(CatalogueRules { left_out: row.get(0)?, offline_days: row.get(1)?, quote_hours: row.get(2)? })
}

fn row_name(catalogue: i64, place: i64) -> [u8; 16] {
    (i128::from(catalogue) << 64 | i128::from(place)).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Phone, Server};

    fn page(catalogue: u64, from: u16, count: u16, offers: &[&[u8]]) -> CataloguePage {
        let rules = CatalogueRules { left_out: 1, offline_days: 7, quote_hours: 24 };
        CataloguePage {
            catalogue,
            from,
            count,
            rules,
            offers: offers.iter().map(|offer| offer.to_vec().into()).collect(),
        }
    }

    /// What the server is told, and the offers that are used.
    fn stands(phone: &Phone) -> (u64, u16, Vec<Vec<u8>>) {
        let held = phone.store.read().catalogue_held().unwrap();
        (held.catalogue, held.count, phone.store.read().catalogue().unwrap().offers)
    }

    fn take(phone: &mut Phone, page: &CataloguePage) -> PageTaken {
        let rng = &mut phone.rng;
        phone.store.write(|db| db.add_catalogue_page(page, rng)).unwrap()
    }

    #[test]
    fn a_list_is_used_once_it_is_whole_and_the_one_before_until_then() {
        let mut phone = Phone::enrolled(&mut Server::new());
        assert_eq!(stands(&phone), (0, 0, vec![]));
        assert_eq!(take(&mut phone, &page(5, 0, 2, &[b"a", b"b"])), PageTaken::Kept);
        let first = vec![b"a".to_vec(), b"b".to_vec()];
        assert_eq!(stands(&phone), (5, 2, first.clone()));
        take(&mut phone, &page(u64::MAX, 0, 3, &[b"c", b"d"]));
        assert_eq!(stands(&phone), (u64::MAX, 2, first.clone()));
        // A third list begins before the second was whole, and the first comes back before the third is.
        take(&mut phone, &page(7, 0, 2, &[b"x"]));
        assert_eq!(stands(&phone), (7, 1, first.clone()));
        assert_eq!(take(&mut phone, &page(5, 0, 2, &[b"a", b"b"])), PageTaken::Known);
        assert_eq!(stands(&phone), (5, 2, first));
        take(&mut phone, &page(u64::MAX, 0, 3, &[b"c", b"d"]));
        take(&mut phone, &page(u64::MAX, 2, 3, &[b"e"]));
        phone.reopen();
        assert_eq!(stands(&phone), (u64::MAX, 3, vec![b"c".to_vec(), b"d".to_vec(), b"e".to_vec()]));
        assert_eq!(phone.store.read().catalogue().unwrap().rules.quote_hours, 24);
        // Nothing is in force any more.
        assert_eq!(take(&mut phone, &page(0, 0, 0, &[])), PageTaken::Kept);
        assert_eq!(stands(&phone), (0, 0, vec![]));
    }

    #[test]
    fn a_page_that_does_not_follow_is_not_kept() {
        let mut phone = Phone::enrolled(&mut Server::new());
        take(&mut phone, &page(5, 0, 3, &[b"a"]));
        for wrong in [page(5, 2, 3, &[b"c"]), page(6, 1, 3, &[b"b"]), page(5, 1, 3, &[b"b", b"c", b"d"])] {
            assert_eq!(take(&mut phone, &wrong), PageTaken::OutOfPlace, "{wrong:?}");
            assert_eq!(stands(&phone), (5, 1, vec![]));
        }
    }
}
