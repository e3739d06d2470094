use std::time::{Duration, Instant};

use shared_claims::{Poller, Revocations};

use crate::teller::{Asked, Manner, Teller, answer, list_of, until};
use crate::wire::{session, subject};

/// An `until` in the far future.
const UNTIL: u64 = 4_000_000_000;

fn quick(teller: &Teller) -> Poller {
    Poller { poll: Duration::from_millis(20), start_timeout: Duration::from_secs(20), ..Poller::new(&*teller.url) }
}

fn has(list: &Revocations, sid: &str) -> bool {
    list.is_revoked(sid, "nobody", 0)
}

fn name(n: u32) -> String {
    format!("01980a5e-7c1f-7abc-9def-{n:012x}")
}

#[tokio::test]
async fn the_first_list_is_there_when_it_starts() {
    let teller = Teller::start(&[session("s-1", UNTIL), subject("u-1", 100, UNTIL)]).await;
    teller.behave(Manner::Slow(Duration::from_millis(100)));
    let list = quick(&teller).start().await.unwrap();
    assert!(has(&list, "s-1") && list.is_revoked("s-9", "u-1", 99) && !list.is_revoked("s-9", "u-1", 100));
}

#[tokio::test]
async fn what_is_revoked_later_is_asked_for_by_cursor_and_etag() {
    let teller = Teller::start(&[session("s-1", UNTIL)]).await;
    let list = quick(&teller).start().await.unwrap();
    until("nothing is new", || teller.asked().len() > 3).await;
    teller.revoke(session("s-2", UNTIL));
    until("the second is known", || has(&list, "s-2")).await;
    teller.is_asked_again(4).await;
    assert!(has(&list, "s-1"), "an entry missing from a later list is kept");
    let mut asked = teller.asked();
    asked.dedup();
    let ask = |after: &str, etag: &str| Asked {
        after: (!after.is_empty()).then(|| after.to_owned()),
        etag: (!etag.is_empty()).then(|| etag.to_owned()),
    };
    // An ETag belongs to one URL, so the first request with a new cursor has none.
    let expected = [ask("", ""), ask("c-1", ""), ask("c-1", r#""c-1-0""#), ask("c-2", ""), ask("c-2", r#""c-2-0""#)];
    assert_eq!(asked, expected);
    assert_eq!(teller.open(), 1, "all requests use one connection");
}

#[tokio::test]
async fn unless_told_otherwise_it_asks_every_second() {
    let teller = Teller::start(&[]).await;
    let list = Poller::new(&*teller.url).start().await.unwrap();
    for attempt in 1.. {
        let sid = format!("s-{attempt}");
        // The worst moment: right after a request.
        teller.is_asked_again(1).await;
        teller.revoke(session(&sid, UNTIL));
        let before = Instant::now();
        until("it is known", || has(&list, &sid)).await;
        let (told, busy) = (before.elapsed(), Duration::from_millis(500));
        // On a busy machine, some attempts take longer; with another interval, none fits.
        if told > Duration::from_millis(700) && told < Duration::from_secs(1) + busy {
            break;
        }
        assert!(attempt < 4, "{told:?}");
    }
}

#[tokio::test]
async fn not_modified_confirms_the_list() {
    let teller = Teller::start(&[]).await;
    let list = Poller { max_age: Some(Duration::from_secs(10)), ..quick(&teller) }.start().await.unwrap();
    teller.is_asked_again(3).await;
    let before = Instant::now();
    teller.is_asked_again(3).await;
    until("a 304 confirms", || list.age().is_some_and(|age| age < before.elapsed())).await;
    assert!(!list.is_stale() && list.is_empty());
}

#[tokio::test]
async fn age_of_the_list_counts_from_the_request() {
    let teller = Teller::start(&[]).await;
    let pause = Duration::from_millis(300);
    teller.behave(Manner::Slow(pause));
    let list = quick(&teller).start().await.unwrap();
    assert!(list.age().is_some_and(|age| age >= pause), "{:?}", list.age());
}

#[tokio::test]
async fn an_outage_changes_nothing_but_the_age() {
    let teller = Teller::start(&[session("s-1", UNTIL)]).await;
    let max_age = Some(Duration::from_millis(200));
    let patient = quick(&teller).start().await.unwrap();
    let strict = Poller { max_age, ..quick(&teller) }.start().await.unwrap();
    teller.behave(Manner::Dead);
    until("the strict one has had enough", || strict.is_stale()).await;
    assert!(!patient.is_stale());
    for list in [&patient, &strict] {
        assert!(has(list, "s-1"), "the known revocations still apply");
    }
    teller.revoke(session("s-2", UNTIL));
    let back = teller.asked().len();
    teller.behave(Manner::Honest);
    for list in [&patient, &strict] {
        until("it catches up", || has(list, "s-2")).await;
    }
    until("it is fresh again", || !strict.is_stale()).await;
    assert!(teller.asked()[back..].iter().all(|asked| asked.after.is_some()), "no cursor was lost");
}

#[tokio::test]
async fn incomplete_or_invalid_answer_changes_nothing() {
    let list = list_of("odd");
    let cut = &list[..list.len() - 1];
    let unknown = r#"{"cursor":"odd","entries":[{"sid":"odd","until":4000000000},{"jti":"t-1","until":4000000000}]}"#;
    for (bytes, why) in [
        (
            format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{list}", list.len() + 1).into_bytes(),
            "shorter than said",
        ),
        (answer("200 OK", "", cut), "cut short"),
        (answer("200 OK", "", &list[..list.rfind(']').unwrap_or_default()]), "cut short between entries"),
        (format!("HTTP/1.1 200 OK\r\n\r\n{cut}").into_bytes(), "cut short, of no length"),
        (
            format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{list}\r\n", list.len()).into_bytes(),
            "no last chunk",
        ),
        (answer("200 OK", "", &format!("{list}{list}")), "two lists"),
        (answer("200 OK", "", unknown), "an entry of a kind that is not known"),
        (answer("200 OK", "Content-Type: text/html\r\n", "<html>log in first</html>"), "a page"),
        (answer("200 OK", "", "[]"), "another JSON"),
        (answer("200 OK", "", ""), "nothing"),
        (answer("302 Found", "Location: /revocations\r\n", &list), "a redirect"),
        (answer("206 Partial Content", "", &list), "a part"),
        (answer("304 Not Modified", "", ""), "unchanged, but nobody asked that"),
        (answer("401 Unauthorized", "", &list), "no leave"),
        (answer("404 Not Found", "", &list), "an older auth-service"),
        (answer("503 Service Unavailable", "", &list), "its store is down"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n".to_vec(), "endless"),
        (b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(), "another protocol"),
    ] {
        let teller = Teller::start(&[session("s-1", UNTIL)]).await;
        let list = quick(&teller).start().await.unwrap();
        teller.revoke(session("s-2", UNTIL));
        teller.behave(Manner::Odd(bytes));
        teller.is_asked_again(2).await;
        let odd = teller.asked().len();
        teller.is_asked_again(1).await;
        let age = list.age();
        assert!(!has(&list, "odd"), "{why}: the list was accepted");
        assert_eq!(teller.asked()[odd].after.as_deref(), Some("c-1"), "{why}: the cursor has changed");
        assert!(age > Some(Duration::from_millis(20)), "{why}: the age is only {age:?}");
        teller.behave(Manner::Honest);
        until(why, || has(&list, "s-2")).await;
    }
}

/// One address may lead to many servers, and a connection reaches one of them.
#[tokio::test]
async fn failed_request_is_followed_by_a_new_connection() {
    let teller = Teller::start(&[]).await;
    let list = quick(&teller).start().await.unwrap();
    teller.behave(Manner::Ill);
    teller.is_asked_again(2).await;
    teller.behave(Manner::Honest);
    teller.revoke(session("s-1", UNTIL));
    until("another connection is tried", || has(&list, "s-1")).await;
}

/// A verifier whose clock jumps ahead must not drop entries; this test sets the server's clock back instead.
#[tokio::test]
async fn entry_expired_by_only_one_clock_is_kept() {
    let body = r#"{"cursor": "c", "entries": [{"sid": "s-1", "until": 1767225700}]}"#;
    for (date, is_kept, why) in [
        ("Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n", true, "an hour and more of a clock that is behind"),
        ("Date: Thu, 01 Jan 2026 01:00:00 GMT\r\n", false, "over at both ends"),
        ("", false, "over here, and nothing is said of there"),
        ("Date: yesterday\r\n", false, "what is no date says nothing"),
    ] {
        let teller = Teller::start(&[]).await;
        teller.behave(Manner::Odd(answer("200 OK", date, body)));
        let list = Poller { poll: Duration::from_millis(10), ..quick(&teller) }.start().await.unwrap();
        teller.behave(Manner::Odd(answer("200 OK", date, r#"{"cursor": "d", "entries": []}"#)));
        for _ in 0..6 {
            teller.is_asked_again(20).await;
        }
        assert_eq!(has(&list, "s-1"), is_kept, "{why}");
    }
}

/// The clock here is years behind that of the server.
#[tokio::test]
async fn not_before_in_the_future_by_only_one_clock_is_kept() {
    let body = r#"{"cursor": "c", "entries": [{"sub": "u-1", "notBefore": 1900000000, "until": 1900000900}]}"#;
    let teller = Teller::start(&[]).await;
    teller.behave(Manner::Odd(answer("200 OK", "Date: Sun, 17 Mar 2030 17:46:40 GMT\r\n", body)));
    let list = quick(&teller).start().await.unwrap();
    assert!(list.is_revoked("s-1", "u-1", 1_899_999_999) && !list.is_revoked("s-1", "u-1", 1_900_000_000));
}

#[tokio::test]
async fn start_without_auth_service_returns_after_the_timeout() {
    let teller = Teller::start(&[session("s-1", UNTIL)]).await;
    teller.behave(Manner::Dead);
    let impatient = Poller { start_timeout: Duration::from_millis(100), ..quick(&teller) };
    let list = impatient.start().await.unwrap();
    let strict = Poller { max_age: Some(Duration::from_mins(1)), ..impatient }.start().await.unwrap();
    assert_eq!((list.age(), list.is_stale(), strict.is_stale()), (None, false, true));
    teller.behave(Manner::Honest);
    until("the first list comes late", || has(&list, "s-1") && has(&strict, "s-1") && !strict.is_stale()).await;
}

#[tokio::test]
async fn unreachable_auth_service_is_no_start_error() {
    let url = Teller::start(&[]).await.url;
    let poller = Poller { start_timeout: Duration::from_millis(50), ..Poller::new(url) };
    assert_eq!(poller.start().await.unwrap().age(), None);
}

#[tokio::test]
async fn a_wrong_address_is_an_error_at_once() {
    for url in ["", "auth:3000", "ftp://auth", "http://me:secret@auth"] {
        let error = Poller::new(url).start().await.map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("https://auth.example.com") && !error.contains("secret"), "{url}: {error}");
    }
}

#[tokio::test]
async fn poll_task_ends_with_the_last_handle() {
    let teller = Teller::start(&[]).await;
    let list = quick(&teller).start().await.unwrap();
    let other = list.clone();
    drop(list);
    teller.is_asked_again(2).await;
    assert_eq!(teller.open(), 1);
    drop(other);
    until("the connection is closed", || teller.open() == 0).await;
}

#[tokio::test]
async fn a_million_entries_are_read() {
    let entries = (0..1_000_000).map(|n| format!(r#"{{"sid":"{}","until":{UNTIL}}}"#, name(n)));
    let list = format!(r#"{{"cursor":"c-0","entries":[{}]}}"#, entries.collect::<Vec<_>>().join(","));
    let teller = Teller::start(&[]).await;
    teller.behave(Manner::Odd(answer("200 OK", "", &list)));
    let list = Poller { start_timeout: Duration::from_mins(2), ..quick(&teller) }.start().await.unwrap();
    assert_eq!(list.len(), 1_000_000);
    for n in [0, 1, 500_000, 999_999] {
        assert!(has(&list, &name(n)), "{n}");
    }
    assert!(!has(&list, &name(1_000_000)));
    teller.revoke(session("s-2", UNTIL));
    teller.behave(Manner::Honest);
    until("one more is known", || has(&list, "s-2")).await;
}
