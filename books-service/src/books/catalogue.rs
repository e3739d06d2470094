use std::sync::Arc;

use arc_swap::ArcSwapOption;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use bytes::Bytes;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use sha2::{Digest, Sha256};
use shared_service::database::StoreError;
use shared_service::{Page, SingleFlight, Total};

use super::search::Matches;
use super::store::STORE;
use super::{Book, Books, Listing};

/// The maximum size of the cached lists, in bytes, besides the first page of all books.
const CACHE_BYTES: u64 = 24 << 20;

/// The size of a cached list apart from its texts, in bytes.
const ENTRY_BYTES: usize = 4 << 10;

/// The maximum number of filters whose matches are cached.
const FILTERS: u64 = 1_000;

/// The cached lists of a library that other instances may also write to.
///
/// The guarantee: a list is never older than the request for it. Each cached page has the revision of the catalogue at
/// which it was read. It is served only if the database, asked after the request arrived, still has that revision.
/// Waiting requests share this query (see [`SingleFlight`]), so that many readers cost the database one small query at
/// a time. If the database does not answer, the catalogue returns its error.
pub struct Catalogue {
    /// Single books, and all writes.
    pub(crate) books: Books,
    revision: SingleFlight<Result<i64, StoreError>>,
    /// The list that most clients ask for: the first page of all books.
    first: Arc<CachedList>,
    lists: Cache<Arc<Listing>, Arc<CachedList>>,
    /// The matches of each filter, and the revision of the catalogue before they were counted.
    matches: Cache<Listing, (i64, Matches)>,
}

/// The newest page of one listing, and the read in progress.
#[derive(Default)]
struct CachedList {
    page: ArcSwapOption<ListPage>,
    reading: SingleFlight<Result<Arc<ListPage>, StoreError>>,
}

/// One page of a list, ready to be sent.
#[derive(Debug)]
pub struct ListPage {
    /// A JSON array of books.
    pub json: Bytes,
    /// The number of books on all pages of the list.
    pub total: Total,
    /// The cursor of the next page, if there is one.
    pub next: Option<String>,
    /// The entity tag: equal tags mean equal pages.
    pub tag: String,
    /// The page is as of this revision or a later one.
    revision: i64,
}

impl Catalogue {
    /// A catalogue of `books` with an empty cache.
    pub(crate) fn new(books: Books) -> Self {
        let lists = Cache::builder().max_capacity(CACHE_BYTES).weigher(bytes).eviction_policy(EvictionPolicy::lru());
        let (revision, first) = (SingleFlight::default(), Arc::default());
        Self { books, revision, first, lists: lists.build(), matches: Cache::new(FILTERS) }
    }

    /// The page of `listing` as of a moment after this call. Callers that share a query share its error.
    pub(crate) async fn page(&self, listing: Arc<Listing>) -> Result<Arc<ListPage>, StoreError> {
        let first = listing.is_first().then(|| Arc::clone(&self.first));
        let list = first.unwrap_or_else(|| self.lists.get_with_by_ref(&listing, Arc::default));
        match list.page_at(self.newest_revision().await?) {
            Some(page) => Ok(page),
            None => list.reading.run(async || self.read(listing, &list).await).await,
        }
    }

    /// The revision as of a moment after this call: it includes every write acknowledged before.
    async fn newest_revision(&self) -> Result<i64, StoreError> {
        self.revision.run(async || self.books.revision().await).await
    }

    /// Reads the revision before the page: a write in between makes the page newer than its revision, never older.
    async fn read(&self, listing: Arc<Listing>, list: &Arc<CachedList>) -> Result<Arc<ListPage>, StoreError> {
        let revision = self.newest_revision().await?;
        if let Some(page) = list.page_at(revision) {
            return Ok(page);
        }
        let filter = listing.filter();
        let known = self.matches.get(&filter).filter(|(counted, _)| *counted == revision);
        let (page, matches) = self.books.search(&listing, known.map(|(_, matches)| matches)).await?;
        if let (None, Some(matches)) = (known, matches) {
            self.matches.insert(filter, (revision, matches));
        }
        let page = Arc::new(ListPage::new(page, revision)?);
        list.page.store(Some(Arc::clone(&page)));
        if !Arc::ptr_eq(list, &self.first) {
            // Inserting the list again updates its weight. Eviction comes later, but before the limit is exceeded by much.
            self.lists.insert(listing, Arc::clone(list));
            self.lists.run_pending_tasks();
        }
        Ok(page)
    }
}

impl CachedList {
    /// The page, if no write happened since it was read.
    fn page_at(&self, revision: i64) -> Option<Arc<ListPage>> {
        self.page.load_full().filter(|page| page.revision == revision)
    }
}

/// The size of a cached list, its weight in the cache.
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

/// The entity tag of a page. Total and cursor are sent in headers, so the tag covers them too.
fn tag(json: &[u8], total: Total, next: Option<&str>) -> String {
    let (name, count) = total.header();
    let hash = Sha256::new().chain_update(json).chain_update(name).chain_update(count.to_le_bytes());
    let hash = hash.chain_update(next.unwrap_or(""));
    BASE64.encode(&hash.finalize()[..16])
}
