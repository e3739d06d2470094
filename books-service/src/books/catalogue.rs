use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use bytes::Bytes;
use sha2::{Digest, Sha256};
use shared_service::Page;
use shared_service::Shared;
use shared_service::database::StoreError;

use super::recent::Recent;
use super::revisions::Revisions;
use super::store::STORE;
use super::{Book, Books, Listing};

/// The most bytes that the kept pages hold, with their listings and all that belongs to them.
const KEPT_BYTES: usize = 24 << 20;

/// The lists of a library that other instances may write to as well.
///
/// The promise: a list is never older than the request that asked for it. Finished pages are kept, but none is given
/// before the database was asked, after the request came, whether its revision is still the page's. All who wait share
/// that question (see `Shared`): a crowd of readers costs the database one small query at a time. When the database
/// does not answer, neither does the catalogue.
pub struct Catalogue {
    books: Books,
    revisions: Revisions,
    places: Mutex<Recent<Arc<Listing>, Arc<Place>>>,
}

/// Where the page of one listing is kept.
pub struct Place {
    listing: Arc<Listing>,
    kept: Mutex<Option<Kept>>,
    reading: Shared<(), Result<Arc<ReadyPage>, Arc<StoreError>>>,
}

/// A page that shows the books as of `revision`, or as of a later one.
struct Kept {
    revision: i64,
    page: Arc<ReadyPage>,
}

/// One page of a list, ready to be sent.
#[derive(Debug)]
pub struct ReadyPage {
    /// A JSON array of books.
    pub json: Bytes,
    /// How many books the list has on all its pages.
    pub total: i64,
    /// The cursor of the next page, if there is one.
    pub next: Option<String>,
    /// Stands for all the above: equal tags, equal pages.
    pub tag: String,
}

impl Catalogue {
    /// The lists of `books`.
    #[must_use]
    pub fn new(books: Books) -> Self {
        let revisions = Revisions::new(books.clone());
        Self { books, revisions, places: Mutex::new(Recent::new(KEPT_BYTES)) }
    }

    /// The place of `listing`: one for all who ask for equal listings, however each of them wrote it.
    #[must_use]
    pub fn place(&self, listing: Listing) -> Arc<Place> {
        let mut places = lock(&self.places);
        places.get(&listing).unwrap_or_else(|| {
            let listing = Arc::new(listing);
            let place = Place { listing: Arc::clone(&listing), kept: Mutex::default(), reading: Shared::default() };
            let (place, bytes) = (Arc::new(place), listing.bytes());
            places.put(listing, Arc::clone(&place), bytes);
            place
        })
    }

    /// The page of `place`, as of some moment after this call.
    ///
    /// # Errors
    /// The database is unavailable; all who shared the question are told the same.
    pub async fn page(&self, place: &Arc<Place>) -> Result<Arc<ReadyPage>, Arc<StoreError>> {
        match place.at(self.revisions.newest().await?) {
            Some(page) => Ok(page),
            None => place.reading.run(async |()| self.read(place).await).await,
        }
    }

    /// Asks for the revision before it reads the page: a write in between makes the page newer than it claims to be,
    /// never older.
    async fn read(&self, place: &Arc<Place>) -> Result<Arc<ReadyPage>, Arc<StoreError>> {
        let revision = self.revisions.newest().await?;
        if let Some(page) = place.at(revision) {
            return Ok(page);
        }
        let page = Arc::new(ReadyPage::new(self.books.search(&place.listing).await?)?);
        *lock(&place.kept) = Some(Kept { revision, page: Arc::clone(&page) });
        let bytes = place.listing.bytes() + page.bytes();
        lock(&self.places).put(Arc::clone(&place.listing), Arc::clone(place), bytes);
        Ok(page)
    }
}

impl Place {
    /// The page, if nothing was written since it was read.
    fn at(&self, revision: i64) -> Option<Arc<ReadyPage>> {
        lock(&self.kept).as_ref().filter(|kept| kept.revision == revision).map(|kept| Arc::clone(&kept.page))
    }
}

/// What is behind the lock, also after a panic of somebody who held it: neither map nor page is ever half changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ReadyPage {
    fn new(page: Page<Book>) -> Result<Self, StoreError> {
        let json = serde_json::to_vec(&page.items).map_err(|error| StoreError::corrupt(STORE, error))?;
        let tag = tag(&json, page.total, page.next.as_deref());
        Ok(Self { json: json.into_boxed_slice().into(), total: page.total, next: page.next, tag })
    }

    fn bytes(&self) -> usize {
        self.json.len() + self.tag.len() + self.next.as_ref().map_or(0, String::len)
    }
}

/// The total and the cursor travel in headers, so a page that differs only there is another one.
fn tag(json: &[u8], total: i64, next: Option<&str>) -> String {
    let hash = Sha256::new().chain_update(json).chain_update(total.to_le_bytes()).chain_update(next.unwrap_or(""));
    BASE64.encode(&hash.finalize()[..16])
}
