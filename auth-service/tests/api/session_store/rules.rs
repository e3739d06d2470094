//! The rules of sessions, one call at a time.

use auth_service::sessions::{FIRST_GENERATION, Label, Rotation, Rules};
use shared_service::clock::now_ms;
use std::time::Duration;

use super::{HOUR, Kind, MINUTE, RULES, SECOND, ms, rotated};

pub async fn a_session_opens_at_the_first_generation(kind: Kind) {
    let stage = kind.stage(RULES).await;
    let before = now_ms();
    let session = stage.open().await;
    let after = now_ms();

    assert_eq!(session.generation, FIRST_GENERATION);
    assert_eq!(session.user_id, stage.user);
    assert!((before - 1000..=after + 1000).contains(&session.opened_at), "by the store's clock, which is right");
    assert_eq!(session.rotated_at, session.opened_at);
    assert_eq!(session.idle_ends_at, session.opened_at + ms(RULES.refresh_ttl));
    assert_eq!(session.ends_at, session.opened_at + ms(RULES.max_age));
    stage.assert_listed(&[&session]).await;
    assert_ne!(stage.open().await.id, session.id);
}

pub async fn current_generation_is_rotated(kind: Kind) {
    let stage = kind.stage(RULES).await;
    let mut session = stage.open().await;
    for _ in 0..5 {
        stage.pass(MINUTE);
        let next = rotated(stage.rotate(session.id, session.generation).await);
        assert_eq!(next.generation, session.generation + 1);
        assert!(next.rotated_at >= session.rotated_at + ms(MINUTE));
        assert_eq!(next.idle_ends_at, next.rotated_at + ms(RULES.refresh_ttl));
        assert_eq!((next.id, &next.user_id, &next.label), (session.id, &session.user_id, &session.label));
        assert_eq!((next.opened_at, next.ends_at), (session.opened_at, session.ends_at));
        stage.assert_listed(&[&next]).await;
        session = next;
    }
}

pub async fn generation_one_behind_is_retried_within_the_grace(kind: Kind) {
    let stage = kind.stage(RULES).await;
    let session = stage.open_at(3).await;
    for _ in 0..3 {
        stage.pass(MINUTE);
        assert_eq!(stage.rotate(session.id, 2).await, Rotation::Retried(session.clone()), "the very same session");
    }
    stage.assert_listed(&[&session]).await;
    rotated(stage.rotate(session.id, 3).await);
}

pub async fn the_grace_does_not_slide(kind: Kind) {
    let stage = kind.stage(RULES).await;
    let session = stage.open_at(2).await;
    stage.pass(RULES.grace.saturating_sub(MINUTE));
    assert_eq!(stage.rotate(session.id, 1).await, Rotation::Retried(session.clone()));
    stage.pass(2 * MINUTE);
    assert_eq!(stage.rotate(session.id, 1).await, Rotation::Reused);
    stage.assert_gone(session.id).await;
}

/// A clock that was ahead dated the rotation. The generation before it must not be accepted until that date has come.
pub async fn a_clock_that_was_ahead_prolongs_no_grace(kind: Kind) {
    let stage = kind.stage(RULES).await;
    stage.pass(MINUTE);
    let session = stage.open_at(2).await;
    stage.set_back(MINUTE);
    assert_eq!(stage.rotate(session.id, 1).await, Rotation::Reused);
    stage.assert_gone(session.id).await;
}

pub async fn grace_starts_again_with_each_rotation(kind: Kind) {
    let stage = kind.stage(RULES).await;
    let session = stage.open_at(2).await;
    stage.pass(RULES.grace.saturating_sub(MINUTE));
    let next = rotated(stage.rotate(session.id, 2).await);
    stage.pass(2 * MINUTE);
    assert_eq!(stage.rotate(session.id, 2).await, Rotation::Retried(next));
}

pub async fn any_other_generation_is_reuse(kind: Kind) {
    let stage = kind.stage(RULES).await;
    for (presented, why) in [
        (3, "two behind, even within the grace"),
        (1, "the first"),
        (0, "before the first"),
        (-1, "never made"),
        (6, "one ahead: the store lost a write"),
        (1_000_000, "far ahead"),
        (9_007_199_254_740_993, "beyond what a double tells apart"),
        (i64::MAX, "the largest"),
        (i64::MIN, "the smallest"),
    ] {
        let session = stage.open_at(5).await;
        assert_eq!(stage.rotate(session.id, presented).await, Rotation::Reused, "{why}");
        stage.assert_gone(session.id).await;
    }
}

pub async fn without_grace_generation_one_behind_is_reuse(kind: Kind) {
    let stage = kind.stage(Rules { grace: Duration::ZERO, ..RULES }).await;
    for (behind, why) in [(Duration::ZERO, "at once"), (SECOND, "by an instance whose clock is behind")] {
        let session = stage.open_at(3).await;
        stage.set_back(behind);
        assert_eq!(stage.rotate(session.id, 2).await, Rotation::Reused, "{why}");
        stage.assert_gone(session.id).await;
    }
}

pub async fn a_first_generation_has_none_before_it(kind: Kind) {
    let stage = kind.stage(RULES).await;
    let session = stage.open().await;
    assert_eq!(stage.rotate(session.id, FIRST_GENERATION - 1).await, Rotation::Reused);
    stage.assert_gone(session.id).await;
}

pub async fn session_of_another_user_is_unknown_and_unchanged(kind: Kind) {
    let stage = kind.stage(RULES).await;
    let session = stage.open_at(2).await;
    let stranger = "0198c0de-0000-7000-8000-000000000000";
    for generation in 0..4 {
        assert_eq!(stage.store.rotate(stranger, session.id, generation).await.unwrap(), Rotation::Unknown);
    }
    assert!(!stage.store.end(stranger, session.id).await.unwrap());
    assert_eq!(stage.store.end_all(stranger, None).await.unwrap(), 0);
    assert_eq!(stage.store.list(stranger, None, 9).await.unwrap(), []);
    stage.assert_listed(&[&session]).await;
    rotated(stage.rotate(session.id, 2).await);
}

pub async fn sessions_do_not_touch_each_other(kind: Kind) {
    let stage = kind.stage(RULES).await;
    let bystander = stage.open_at(2).await;
    let (ended, replayed) = (stage.open_at(3).await, stage.open_at(3).await);
    assert!(stage.store.end(&stage.user, ended.id).await.unwrap());
    assert_eq!(stage.rotate(replayed.id, 1).await, Rotation::Reused);
    stage.assert_listed(&[&bystander]).await;
    assert_eq!(stage.rotate(bystander.id, 1).await, Rotation::Retried(bystander.clone()));
    rotated(stage.rotate(bystander.id, 2).await);
}

pub async fn a_session_ends_once_and_for_good(kind: Kind) {
    let stage = kind.stage(RULES).await;
    let session = stage.open_at(2).await;
    assert!(stage.store.end(&stage.user, session.id).await.unwrap());
    stage.assert_gone(session.id).await;
}

pub async fn all_sessions_but_one_end(kind: Kind) {
    let stage = kind.stage(RULES).await;
    let (first, kept, last) = (stage.open().await, stage.open().await, stage.open_at(2).await);
    assert_eq!(stage.store.end_all(&stage.user, Some(kept.id)).await.unwrap(), 2);
    stage.assert_gone(first.id).await;
    stage.assert_gone(last.id).await;
    stage.assert_listed(&[&kept]).await;

    assert_eq!(stage.store.end_all(&stage.user, None).await.unwrap(), 1);
    stage.assert_gone(kept.id).await;
    assert_eq!(stage.store.end_all(&stage.user, None).await.unwrap(), 0);
}

pub async fn a_session_ends_without_use(kind: Kind) {
    let stage = kind.stage(RULES).await;
    let session = stage.open_at(2).await;
    stage.pass(RULES.refresh_ttl.saturating_sub(MINUTE));
    stage.assert_listed(&[&session]).await;
    stage.pass(2 * MINUTE);
    stage.assert_listed(&[]).await;
    assert_eq!(stage.rotate(session.id, 1).await, Rotation::Unknown, "no reuse of an expired session");
    stage.assert_gone(session.id).await;
    assert_eq!(stage.store.end_all(&stage.user, None).await.unwrap(), 0, "no session was alive");
}

pub async fn use_keeps_a_session_but_not_beyond_its_end(kind: Kind) {
    let stage = kind.stage(RULES).await;
    let mut session = stage.open().await;
    for _ in 0..4 {
        stage.pass(HOUR + 14 * MINUTE);
        session = rotated(stage.rotate(session.id, session.generation).await);
        let idle_ends_at = session.ends_at.min(session.rotated_at + ms(RULES.refresh_ttl));
        assert_eq!(session.idle_ends_at, idle_ends_at);
    }
    assert_eq!(session.idle_ends_at, session.ends_at, "4 minutes before the session's end");
    assert_eq!(stage.rotate(session.id, session.generation - 1).await, Rotation::Retried(session.clone()));
    stage.pass(5 * MINUTE);
    assert_eq!(
        stage.rotate(session.id, session.generation - 1).await,
        Rotation::Unknown,
        "within the grace, after the end"
    );
    stage.assert_gone(session.id).await;
}

pub async fn no_session_outlives_its_end(kind: Kind) {
    let stage = kind.stage(Rules { max_age: HOUR, ..RULES }).await;
    let session = stage.open().await;
    assert_eq!((session.idle_ends_at, session.ends_at), (session.opened_at + ms(HOUR), session.opened_at + ms(HOUR)));
    stage.pass(HOUR + MINUTE);
    stage.assert_gone(session.id).await;
}

pub async fn an_expired_session_ends_for_every_clock(kind: Kind) {
    let stage = kind.stage(RULES).await;
    let session = stage.open().await;
    stage.pass(RULES.refresh_ttl + MINUTE);
    assert!(!stage.store.end(&stage.user, session.id).await.unwrap());
    stage.set_back(2 * MINUTE);
    assert_eq!(stage.rotate(session.id, 1).await, Rotation::Unknown, "the logout was acknowledged");
}

pub async fn live_sessions_are_listed_newest_first(kind: Kind) {
    let stage = kind.stage(RULES).await;
    let mut expected = vec![];
    for generation in [3, 1, 2, 1] {
        expected.insert(0, stage.open_at(generation).await);
        stage.pass(SECOND);
    }
    assert_eq!(stage.list().await, expected);
    let oldest = rotated(stage.rotate(expected[3].id, 3).await);
    expected[3] = oldest;
    assert_eq!(stage.list().await, expected, "use does not change the order");
}

pub async fn a_label_comes_back_as_it_was(kind: Kind) {
    let stage = kind.stage(RULES).await;
    for (user_agent, address, why) in [
        ("", "", "the client said nothing"),
        ("Mozilla/5.0 (X11; Linux x86_64) 'quoted' \"twice\" \\ {}", "2001:db8::1", "punctuation"),
        ("Ⅷ 日本 🦀", "192.0.2.7", "more than ASCII"),
    ] {
        let label = Label::new(user_agent, address);
        let opened = stage.store.open(&stage.user, label.clone()).await.unwrap();
        let listed = stage.list().await.into_iter().find(|session| session.id == opened.id).unwrap();
        assert_eq!((opened.label, listed.label), (label.clone(), label), "{why}");
    }
}
