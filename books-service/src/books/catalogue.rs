use std::sync::Arc;

use arc_swap::ArcSwapOption;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use bytes::Bytes;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use sha2::{Digest, Sha256};
use shared_service::database::StoreError;
use shared_service::{Page, SingleFlight};

use super::store::STORE;
use super::{Book, Books, Listing};

/// The most bytes that the cached lists hold.
const CACHE_BYTES: u64 = 24 << 20;

/// The bytes of a cached list beside those of its texts.
const ENTRY_BYTES: usize = 4 << 10;

/// The lists of a library that other instances may write to as well.
///
/// The promise: a list is never older than the request for it. Pages are cached with the revision of the catalogue that they were
/// read at, and a page is given only if the database, asked after the request came, still has that revision. All requests that
/// wait share that question (see [`SingleFlight`]): a crowd of readers costs the database one small query at a time. When the
/// database does not answer, neither does the catalogue.
pub struct Catalogue {
    books: Books,
    revision: SingleFlight<Result<i64, Arc<StoreError>>>,
    lists: Cache<Arc<Listing>, Arc<CachedList>>,
}

/// The newest page that was read of one listing, and the reading of the next.
#[derive(Default)]
struct CachedList {
    page: ArcSwapOption<ListPage>,
    reading: SingleFlight<Result<Arc<ListPage>, Arc<StoreError>>>,
}

/// One page of a list, ready to be sent.
#[derive(Debug)]
pub struct ListPage {
    /// A JSON array of books.
    pub json: Bytes,
    /// The number of books on all pages of the list.
    pub total: i64,
    /// The cursor of the next page, if there is one.
    pub next: Option<String>,
    /// Stands for all the above: equal tags, equal pages.
    pub tag: String,
    /// The page shows the books as of this revision, or as of a later one.
    revision: i64,
}

impl Catalogue {
    /// The lists of `books`.
    #[must_use]
    pub fn new(books: Books) -> Self {
        let lists = Cache::builder().max_capacity(CACHE_BYTES).weigher(bytes).eviction_policy(EvictionPolicy::lru());
        Self { books, revision: SingleFlight::default(), lists: lists.build() }
    }

    /// The page of `listing` as of some moment after this call.
    ///
    /// # Errors
    /// The database is unavailable; all callers that share the question get the same error.
    pub async fn page(&self, listing: Listing) -> Result<Arc<ListPage>, Arc<StoreError>> {
        let listing = Arc::new(listing);
        let list = self.lists.get_with_by_ref(&listing, Arc::default);
        match list.page_at(self.newest_revision().await?) {
            Some(page) => Ok(page),
            None => list.reading.run(async || self.read(listing, &list).await).await,
        }
    }

    /// The revision at some moment after this call: every write that was acknowledged before it is counted.
    async fn newest_revision(&self) -> Result<i64, Arc<StoreError>> {
        self.revision.run(async || self.books.revision().await.map_err(Arc::new)).await
    }

    /// Asks for the revision before it reads the page: a write in between makes the page newer than its revision, never older.
    async fn read(&self, listing: Arc<Listing>, list: &Arc<CachedList>) -> Result<Arc<ListPage>, Arc<StoreError>> {
        let revision = self.newest_revision().await?;
        if let Some(page) = list.page_at(revision) {
            return Ok(page);
        }
        let page = Arc::new(ListPage::new(self.books.search(&listing).await?, revision)?);
        list.page.store(Some(Arc::clone(&page)));
        // Weighs the list anew. The cache makes room later by itself, after so many pages that they would exceed the bound by far.
        self.lists.insert(listing, Arc::clone(list));
        self.lists.run_pending_tasks();
        Ok(page)
    }
}

impl CachedList {
    /// The page, if nothing was written since it was read.
    fn page_at(&self, revision: i64) -> Option<Arc<ListPage>> {
        self.page.load_full().filter(|page| page.revision == revision)
    }
}

/// The weight of a cached list.
fn bytes(listing: &Arc<Listing>, list: &Arc<CachedList>) -> u32 {
    let page = list.page.load();
    let page = page.iter().map(|page| page.json.len() + page.tag.len() + page.next.as_ref().map_or(0, String::len));
    u32::try_from(ENTRY_BYTES + listing.bytes() + page.sum::<usize>()).unwrap_or(u32::MAX)
}

impl ListPage {
    fn new(page: Page<Book>, revision: i64) -> Result<Self, StoreError> {
        let json = serde_json::to_vec(&page.items).map_err(|error| StoreError::corrupt(STORE, error))?;
        let tag = tag(&json, page.total, page.next.as_deref());
        Ok(Self { json: json.into_boxed_slice().into(), total: page.total, next: page.next, tag, revision })
    }
}

/// The total and the cursor travel in headers, so a page that differs only there is another one.
fn tag(json: &[u8], total: i64, next: Option<&str>) -> String {
    let hash = Sha256::new().chain_update(json).chain_update(total.to_le_bytes()).chain_update(next.unwrap_or(""));
    BASE64.encode(&hash.finalize()[..16])
}
