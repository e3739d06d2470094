use actix_web::http::header::HeaderName;
use percent_encoding::percent_decode_str;

/// One page of a list.
#[derive(Debug)]
pub struct Page<T> {
    /// Its items, in order.
    pub items: Vec<T>,
    /// The number of items in the whole list.
    pub total: Total,
    /// The cursor of the next page, if there is one; opaque to clients.
    pub next: Option<String>,
}

/// The number of items in a list, counted up to a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Total {
    /// All were counted.
    Exactly(i64),
    /// Counting stopped here, and there are more.
    AtLeast(i64),
}

impl Total {
    /// The total of a count that stopped at `bound` + 1.
    #[must_use]
    pub const fn bounded(count: i64, bound: i64) -> Self {
        if count > bound { Self::AtLeast(bound) } else { Self::Exactly(count) }
    }

    /// The response header with this total.
    #[must_use]
    pub const fn header(self) -> (HeaderName, i64) {
        match self {
            Self::Exactly(count) => (HeaderName::from_static("x-total-count"), count),
            Self::AtLeast(count) => (HeaderName::from_static("x-total-count-at-least"), count),
        }
    }
}

/// The value of the `Link` header (RFC 8288) that leads from `path?query` to the page at `cursor`, which must be safe
/// in a query. All other parameters stay.
#[must_use]
pub fn link_next(path: &str, query: &str, cursor: &str) -> String {
    let name = |pair: &str| percent_decode_str(pair.split('=').next().unwrap_or_default()).collect::<Vec<u8>>();
    let kept = query.split('&').filter(|pair| !pair.is_empty() && name(pair) != b"cursor");
    let pairs: Vec<&str> = kept.collect();
    let glue = if pairs.is_empty() { "" } else { "&" };
    format!(r#"<{path}?{}{glue}cursor={cursor}>; rel="next""#, pairs.join("&"))
}

#[cfg(test)]
mod tests {
    use super::link_next;

    #[test]
    fn the_link_keeps_all_but_the_cursor() {
        let cases = [
            ("", r#"</books?cursor=c>; rel="next""#),
            ("limit=2", r#"</books?limit=2&cursor=c>; rel="next""#),
            ("q=a%20b&cursor=old&limit=2", r#"</books?q=a%20b&limit=2&cursor=c>; rel="next""#),
            ("%63ursor=old&cursor&cursors=2", r#"</books?cursors=2&cursor=c>; rel="next""#),
        ];
        for (query, link) in cases {
            assert_eq!(link_next("/books", query, "c"), link);
        }
    }
}
