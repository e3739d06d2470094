//! The revocation list, and the tokens that it revokes.

use std::collections::HashSet;
use std::sync::Arc;

use auth_service::sessions::{Cursor, Position, Rotation, Rules, Session, SessionId};
use shared_claims::{LEEWAY, Revocation};
use shared_service::clock::now_ms;
use tokio::task::JoinSet;
use tokio::time::sleep;
use uuid::Uuid;

use super::{Kind, MINUTE, RULES, SECOND, Stage, ms, new_user};

/// A reader of the list that looks for entries about one user and their sessions.
struct Reader<'a> {
    stage: &'a Stage,
    cursor: Cursor,
    ids: HashSet<String>,
    /// All entries read so far.
    known: Vec<Revocation>,
}

impl<'a> Reader<'a> {
    fn new(stage: &'a Stage, sessions: &[&Session]) -> Self {
        let ids = sessions.iter().map(|session| session.id.to_string()).collect();
        Self { stage, cursor: Cursor::default(), ids, known: vec![] }
    }

    /// The entries since the last call.
    async fn read(&mut self) -> Vec<Revocation> {
        let mut read = vec![];
        loop {
            let changes = self.stage.store.revoked(&self.cursor).await.unwrap();
            self.cursor.move_past(&changes);
            let more = changes.more;
            read.extend(changes.shards.into_iter().flat_map(|shard| shard.entries).map(|(_, entry)| entry));
            if !more {
                break;
            }
        }
        read.retain(|entry| match entry {
            Revocation::Session { sid, .. } => self.ids.contains(sid),
            Revocation::Subject { sub, .. } => *sub == self.stage.user,
        });
        self.known.extend(read.iter().cloned());
        read
    }

    /// The names of the new entries: a session's id, or `*` for the user.
    async fn names(&mut self) -> Vec<String> {
        let name = |entry: &Revocation| match entry {
            Revocation::Session { sid, .. } => sid.clone(),
            Revocation::Subject { .. } => "*".to_owned(),
        };
        let mut names: Vec<_> = self.read().await.iter().map(name).collect();
        names.sort_unstable();
        names
    }

    /// No token was issued since the first cut-off. Retried if the two fall into different seconds of Redis's clock.
    async fn assert_a_second_cut_off_in_a_second_says_nothing(&mut self, stage: &Stage) {
        loop {
            let second = now_ms() / 1000;
            stage.store.revoke_access_tokens(&stage.user).await.unwrap();
            self.read().await;
            stage.store.revoke_access_tokens(&stage.user).await.unwrap();
            let told = self.names().await;
            if now_ms() / 1000 == second {
                return assert_eq!(told, names([]));
            }
        }
    }

    /// True if a token of the session is refused, according to the entries read.
    fn refuses(&self, session: &Session) -> bool {
        self.known.iter().any(|entry| match entry {
            Revocation::Session { sid, .. } => *sid == session.id.to_string(),
            Revocation::Subject { sub, not_before, .. } => {
                *sub == session.user_id && date(session) < i64::try_from(*not_before).unwrap()
            }
        })
    }
}

fn until(entry: &Revocation) -> i64 {
    let (Revocation::Session { until, .. } | Revocation::Subject { until, .. }) = entry;
    until.cast_signed()
}

/// The claim `iat` of the session's newest access token.
fn date(session: &Session) -> i64 {
    session.issued_at / 1000
}

fn names<const N: usize>(sessions: [&Session; N]) -> Vec<String> {
    let mut names: Vec<_> = sessions.iter().map(|session| session.id.to_string()).collect();
    names.sort_unstable();
    names
}

impl Stage {
    /// A session, with the date of its access token.
    async fn log_in(&self) -> Session {
        self.store.open(&self.user, super::label()).await.unwrap()
    }

    /// The session after its next refresh, or after a retry of the last one.
    async fn refresh(&self, session: &Session, generation: i64) -> Session {
        match self.store.rotate(&self.user, session.id, generation).await.unwrap() {
            Rotation::Rotated(session) | Rotation::Retried(session) => session,
            other => panic!("{other:?}"),
        }
    }
}

pub async fn each_end_is_listed_and_nothing_else(kind: Kind) {
    let stage = kind.stage(RULES).await;
    let (kept, ended, replayed, other) =
        (stage.open().await, stage.open().await, stage.open_at(3).await, stage.open_at(2).await);
    let expired = stage.open().await;
    let mut reader = Reader::new(&stage, &[&kept, &ended, &replayed, &other, &expired]);
    assert_eq!(reader.names().await, names([]), "nothing has ended");

    assert!(stage.store.end(&stage.user, ended.id).await.unwrap());
    assert_eq!(reader.names().await, names([&ended]), "an end");
    assert!(!stage.store.end(&stage.user, ended.id).await.unwrap());
    assert_eq!(reader.names().await, names([]), "a second end adds no entry");

    assert_eq!(stage.rotate(replayed.id, 1).await, Rotation::Reused);
    assert_eq!(reader.names().await, names([&replayed]), "a replay");

    stage.rotate(other.id, 1).await;
    let nobody = new_user();
    assert!(!stage.store.end(&nobody, other.id).await.unwrap());
    stage.list().await;
    assert_eq!(reader.names().await, names([]), "calls that end nothing add no entry");

    assert_eq!(stage.store.end_all(&stage.user, Some(kept.id)).await.unwrap(), 2);
    assert_eq!(reader.names().await, ["*"], "all but one: one entry for the user");
    reader.assert_a_second_cut_off_in_a_second_says_nothing(&stage).await;
    stage.refresh(&kept, 1).await;
    stage.store.revoke_access_tokens(&stage.user).await.unwrap();
    assert_eq!(reader.names().await, ["*"], "a cut-off");
    stage.assert_listed(&[&stage.list().await[0]]).await;
    assert_eq!(stage.list().await[0].id, kept.id, "the kept session is alive");
}

pub async fn a_cursor_gives_what_came_behind_it(kind: Kind) {
    let stage = kind.stage(RULES).await;
    let mut sessions = vec![];
    for _ in 0..5 {
        sessions.push(stage.open().await);
    }
    let all: Vec<_> = sessions.iter().collect();
    let mut reader = Reader::new(&stage, &all);
    for (number, session) in sessions.iter().enumerate() {
        assert!(stage.store.end(&stage.user, session.id).await.unwrap());
        let mut late = Reader::new(&stage, &all);
        assert_eq!(late.names().await.len(), number + 1, "without a cursor: all entries");
        assert_eq!(reader.names().await, names([session]), "with a cursor: the new entry");
        assert_eq!(reader.names().await, names([]), "again: nothing");
        let text = reader.cursor.to_string();
        assert!(
            text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte)),
            "fit for a URL: {text}"
        );
        reader.cursor = text.parse().unwrap();
    }
}

pub async fn a_cursor_that_was_lost_gives_everything(kind: Kind) {
    let stage = kind.stage(RULES).await;
    let (one, two) = (stage.open().await, stage.open().await);
    let mut reader = Reader::new(&stage, &[&one, &two]);
    for session in [&one, &two] {
        assert!(stage.store.end(&stage.user, session.id).await.unwrap());
    }
    stage.store.revoke_access_tokens(&stage.user).await.unwrap();
    assert_eq!(reader.names().await.len(), 3);
    let good = reader.cursor.clone();
    let far: Position = "ffffffffffffff".parse().unwrap();
    for (cursor, why) in [
        (Cursor::default(), "none"),
        (Cursor { list: "other".to_owned(), ..good.clone() }, "of another store"),
        (Cursor { positions: vec![], ..good.clone() }, "too short"),
        (Cursor { positions: vec![far; 3], ..good.clone() }, "of another form"),
        (Cursor { positions: vec![far; good.positions.len()], ..good.clone() }, "ahead: the store lost what it said"),
    ] {
        reader.cursor = cursor;
        assert_eq!(reader.names().await.len(), 3, "{why}");
        assert_eq!(reader.cursor.list, good.list, "{why}");
    }
}

pub async fn not_before_refuses_only_tokens_issued_before(kind: Kind) {
    let stage = kind.stage(RULES).await;
    // Enough rounds to fall both within one second and on the change to the next.
    for round in 0..30 {
        let before = stage.log_in().await;
        stage.store.end_all(&stage.user, None).await.unwrap();
        let after = stage.log_in().await;
        let stranger = stage.store.open(&new_user(), super::label()).await.unwrap();
        let mut reader = Reader::new(&stage, &[&before, &after, &stranger]);
        reader.read().await;
        assert!(reader.refuses(&before), "round {round}");
        if before.issued_at == before.opened_at {
            let forgotten = Session { id: stranger.id, ..before };
            assert!(reader.refuses(&forgotten), "round {round}: a session that the store has forgotten");
        }
        assert!(!reader.refuses(&after) && !reader.refuses(&stranger), "round {round}");
        assert!(after.issued_at <= now_ms() + 1000, "round {round}: one second ahead at most");
    }
}

pub async fn not_before_refuses_tokens_of_sessions_that_go_on(kind: Kind) {
    let stage = kind.stage(RULES).await;
    let mut session = stage.log_in().await;
    for round in 0..6 {
        let before = session.clone();
        if round % 2 == 0 {
            stage.store.revoke_access_tokens(&stage.user).await.unwrap();
        } else {
            stage.store.end_all(&stage.user, Some(session.id)).await.unwrap();
        }
        let repeated =
            if session.generation > 1 { Some(stage.refresh(&session, session.generation - 1).await) } else { None };
        session = stage.refresh(&session, session.generation).await;
        let mut reader = Reader::new(&stage, &[&session]);
        reader.read().await;
        assert!(reader.refuses(&before), "round {round}");
        assert!(!reader.refuses(&session), "round {round}");
        assert!(repeated.is_none_or(|repeated| !reader.refuses(&repeated)), "round {round}");
    }
}

pub async fn signing_out_again_and_again_dates_no_token_far_ahead(kind: Kind) {
    let stage = kind.stage(RULES).await;
    for _ in 0..20 {
        stage.store.end_all(&stage.user, None).await.unwrap();
        stage.store.revoke_access_tokens(&stage.user).await.unwrap();
        let session = stage.log_in().await;
        assert!(session.issued_at <= now_ms() + 1000, "one second ahead at most");
        assert!(session.opened_at <= now_ms() && session.rotated_at == session.opened_at, "no other time is ahead");
    }
}

pub async fn entry_outlives_the_last_token_that_it_revokes(kind: Kind) {
    let stage = kind.stage(RULES).await;
    let (one, two) = (stage.log_in().await, stage.log_in().await);
    assert!(stage.store.end(&stage.user, one.id).await.unwrap());
    stage.store.end_all(&stage.user, None).await.unwrap();
    let mut reader = Reader::new(&stage, &[&one, &two]);
    let over = one.issued_at.min(two.issued_at) / 1000 + ms(RULES.access_ttl) / 1000 + 2 * LEEWAY.cast_signed();
    for entry in reader.read().await {
        let until = until(&entry);
        assert!(until >= over, "{until} is before {over}");
        assert!(until <= over + 5, "{until} is long after {over}");
    }
    stage.pass(RULES.access_ttl + 9 * SECOND);
    assert_eq!(
        Reader::new(&stage, &[&one, &two]).names().await.len(),
        2,
        "a verifier whose clock is behind needs them"
    );
}

pub async fn concurrent_ends_are_all_listed(kind: Kind) {
    let stage = kind.stage(RULES).await;
    let mut sessions = vec![];
    for _ in 0..60 {
        sessions.push(stage.open().await);
    }
    let all: Vec<_> = sessions.iter().collect();
    let mut reader = Reader::new(&stage, &all);
    let mut race = JoinSet::new();
    for session in &sessions {
        let (store, user, id) = (Arc::clone(&stage.store), stage.user.clone(), session.id);
        race.spawn(async move {
            store.end(&user, id).await.unwrap();
            id
        });
    }
    let mut told: HashSet<SessionId> = HashSet::new();
    while let Some(ended) = race.join_next().await {
        told.insert(ended.unwrap());
        reader.read().await;
        let known: HashSet<SessionId> = reader
            .known
            .iter()
            .filter_map(|entry| match entry {
                Revocation::Session { sid, .. } => sid.parse().ok(),
                Revocation::Subject { .. } => None,
            })
            .collect();
        assert!(told.is_subset(&known), "an acknowledged end is not in the list");
    }
    assert_eq!(reader.known.len(), sessions.len(), "each end is listed once");
}

pub async fn the_end_of_a_session_that_was_lost_is_listed_once(kind: Kind) {
    let stage = kind.stage(RULES).await;
    let known = stage.open().await;
    let lost = Session { id: Uuid::new_v4().to_string().parse().unwrap(), ..known.clone() };
    let mut reader = Reader::new(&stage, &[&known, &lost]);
    for (expected, why) in [(names([&lost]), "told"), (names([]), "told already"), (names([]), "still")] {
        stage.store.end_forgotten(&stage.user, lost.id).await.unwrap();
        assert_eq!(reader.names().await, expected, "{why}");
    }
    assert!(!stage.store.end(&stage.user, lost.id).await.unwrap(), "the store does not know the session");
    stage.store.end_forgotten(&stage.user, known.id).await.unwrap();
    assert_eq!(reader.names().await, names([]), "the store knows the session, so it is not revoked");
    stage.assert_listed(&[&known]).await;
}

pub async fn a_shorter_life_of_tokens_ends_no_entry_early(kind: Kind) {
    let stage = kind.stage(RULES).await;
    let (one, two, three) = (stage.log_in().await, stage.log_in().await, stage.log_in().await);
    let shorter = kind.beside(&stage, Rules { access_ttl: SECOND, ..RULES }).await;
    let mut reader = Reader::new(&stage, &[&one, &two, &three]);
    assert!(shorter.end(&stage.user, one.id).await.unwrap());
    shorter.rotate(&stage.user, two.id, 1).await.unwrap();
    assert!(shorter.end(&stage.user, two.id).await.unwrap());
    shorter.end_all(&stage.user, None).await.unwrap();
    let entries = reader.read().await;
    assert_eq!(entries.len(), 4, "the third session has its own entry, too: the date of its tokens is unknown");
    let over = one.issued_at / 1000 + ms(RULES.access_ttl) / 1000;
    for entry in entries {
        let until = until(&entry);
        assert!(until >= over, "{until} is before {over}");
    }

    sleep(SECOND).await;
    shorter.open(&stage.user, super::label()).await.unwrap();
    shorter.end_all(&stage.user, None).await.unwrap();
    let entries = Reader::new(&stage, &[]).read().await;
    let longest = entries.iter().map(until).max().unwrap();
    assert!(longest >= over, "another cut-off shortened it to {longest}, before {over}");
}

/// The clock of the reader's machine jumps ahead and back: no unexpired entry is skipped.
pub async fn a_reader_whose_clock_is_ahead_for_a_while_reads_everything(kind: Kind) {
    let stage = kind.stage(RULES).await;
    let [early, session, late] = [stage.log_in().await, stage.log_in().await, stage.log_in().await];
    let mut reader = Reader::new(&stage, &[&early, &session, &late]);
    assert!(stage.store.end(&stage.user, early.id).await.unwrap());
    reader.read().await;
    let beside = kind.beside(&stage, RULES).await;
    stage.pass(2 * RULES.access_ttl);
    assert!(beside.end(&stage.user, session.id).await.unwrap());
    drop(beside.revoked(&Cursor::default()).await.unwrap());
    reader.read().await;
    stage.set_back(2 * RULES.access_ttl);
    assert!(stage.store.end(&stage.user, late.id).await.unwrap());
    reader.read().await;
    assert!([&early, &session, &late].iter().all(|session| reader.refuses(session)), "{:?}", reader.known);
}

pub async fn new_reader_gets_all_unexpired_entries(kind: Kind) {
    let stage = kind.stage(RULES).await;
    let shorter = kind.beside(&stage, Rules { access_ttl: SECOND, ..RULES }).await;
    let (long, short) = (stage.log_in().await, shorter.open(&stage.user, super::label()).await.unwrap());
    let mut early = Reader::new(&stage, &[&long, &short]);
    for (session, why) in [(&long, "the first"), (&short, "the last, which is over first")] {
        assert!(stage.store.end(&stage.user, session.id).await.unwrap());
        assert_eq!(early.names().await, names([session]), "{why}");
    }
    stage.pass(MINUTE);
    let mut late = Reader::new(&stage, &[&long, &short]);
    assert!(late.names().await.contains(&long.id.to_string()));
    early.read().await;
    if !matches!(kind, Kind::Redis | Kind::Cluster(_)) {
        // Other tests write to that store, too.
        assert_eq!(late.cursor, early.cursor);
    }
}
