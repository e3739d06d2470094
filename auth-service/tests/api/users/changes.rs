//! Changes and deletions, and the last admin.

use auth_service::users::{By, Changed, Deleted, User, UserChange, UserId, Users};
use shared_claims::Role;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::{HASH, NOW, OTHER_HASH, Stage, hash, somebody};
use crate::service::new_name;

impl Stage {
    async fn user(&self, id: &UserId) -> User {
        self.users.find(id).await.unwrap().unwrap()
    }

    async fn admins(&self) -> usize {
        let page = self.users.page(100, None, None).await.unwrap();
        page.items.iter().filter(|user| user.is_enabled_admin()).count()
    }
}

fn demoted() -> UserChange {
    UserChange { role: Some(Role::Member), ..UserChange::default() }
}

fn disabled() -> UserChange {
    UserChange { disabled: Some(true), ..UserChange::default() }
}

fn enabled() -> UserChange {
    UserChange { disabled: Some(false), ..UserChange::default() }
}

fn with_email(email: Option<&str>) -> UserChange {
    UserChange { email: Some(email.map(|email| email.parse().unwrap())), ..UserChange::default() }
}

#[tokio::test]
async fn user_change_changes_only_its_members() {
    for stage in Stage::each().await {
        stage.add("root", None, Role::Admin).await;
        let anna = stage.add("anna", Some("anna@example.org"), Role::Member).await;
        let promoted = UserChange { role: Some(Role::Admin), ..UserChange::default() };
        let rehashed = UserChange { hash: Some(hash(OTHER_HASH)), ..UserChange::default() };
        let with = |email: Option<&str>, role, disabled| User {
            email: email.map(|email| email.parse().unwrap()),
            role,
            disabled,
            ..anna.clone()
        };
        let mut before = anna.clone();
        for (change, after) in [
            (UserChange::default(), anna.clone()),
            (promoted, with(Some("anna@example.org"), Role::Admin, false)),
            (disabled(), with(Some("anna@example.org"), Role::Admin, true)),
            (with_email(Some("new@example.org")), with(Some("new@example.org"), Role::Admin, true)),
            (with_email(None), with(None, Role::Admin, true)),
            (rehashed, with(None, Role::Admin, true)),
        ] {
            let done = stage.users.change(&anna.id, &change).await.unwrap();
            assert_eq!(done, Changed::Done { before, after: after.clone() });
            assert_eq!(stage.user(&anna.id).await, after);
            before = after;
        }
        assert_eq!(stage.stored_hash(&anna.id).await, OTHER_HASH);
    }
}

#[tokio::test]
async fn failed_user_change_changes_nothing() {
    for stage in Stage::each().await {
        let anna = stage.add("anna", Some("anna@example.org"), Role::Member).await;
        stage.add("ben", Some("ben@example.org"), Role::Member).await;
        let mut change = UserChange { role: Some(Role::Admin), ..with_email(Some("ben@example.org")) };
        assert_eq!(stage.users.change(&anna.id, &change).await.unwrap(), Changed::EmailTaken);
        change.hash = Some(hash(OTHER_HASH));
        assert_eq!(stage.users.change(&anna.id, &change).await.unwrap(), Changed::EmailTaken);
        assert_eq!(stage.user(&anna.id).await, anna);
        assert_eq!(stage.stored_hash(&anna.id).await, HASH);
        let id = "00000000-0000-7000-8000-000000000000".parse().unwrap();
        assert_eq!(stage.users.change(&id, &disabled()).await.unwrap(), Changed::NotFound);
        assert_eq!(stage.users.delete(&id).await.unwrap(), Deleted::NotFound);
    }
}

#[tokio::test]
async fn the_last_admin_stays() {
    for stage in Stage::each().await {
        let member = stage.add("member", None, Role::Member).await;
        let no_change = stage.users.change(&member.id, &demoted()).await.unwrap();
        assert!(matches!(no_change, Changed::Done { .. }), "where there is no admin, members can still be changed");

        let last = stage.add("last", None, Role::Admin).await;
        let out = stage.add("out", None, Role::Admin).await;
        assert!(matches!(stage.users.change(&out.id, &disabled()).await.unwrap(), Changed::Done { .. }));
        for change in [demoted(), disabled(), UserChange { role: Some(Role::Member), ..disabled() }] {
            assert_eq!(stage.users.change(&last.id, &change).await.unwrap(), Changed::LastAdmin);
        }
        assert_eq!(stage.users.delete(&last.id).await.unwrap(), Deleted::LastAdmin);
        assert_eq!(stage.user(&last.id).await, last, "a disabled admin does not count");

        let harmless = stage.users.change(&last.id, &with_email(Some("last@example.org"))).await.unwrap();
        assert!(matches!(harmless, Changed::Done { .. }), "the last admin may have another email");
        assert!(matches!(stage.users.change(&out.id, &demoted()).await.unwrap(), Changed::Done { .. }));
        assert!(matches!(stage.users.delete(&out.id).await.unwrap(), Deleted::Done(_)));

        let next = stage.add("next", None, Role::Admin).await;
        assert!(matches!(stage.users.delete(&last.id).await.unwrap(), Deleted::Done(_)));
        assert_eq!(stage.users.find(&last.id).await.unwrap(), None);
        assert_eq!(stage.users.delete(&next.id).await.unwrap(), Deleted::LastAdmin);
    }
}

#[tokio::test]
async fn one_of_two_concurrently_removed_admins_stays() {
    for stage in Stage::each().await {
        stage.warm().await;
        for round in 0..30 {
            let one = stage.add(&format!("one{round}"), None, Role::Admin).await;
            let two = stage.add(&format!("two{round}"), None, Role::Admin).await;
            let mut race = JoinSet::new();
            for (number, id) in [one.id, two.id].into_iter().enumerate() {
                let users = stage.users.clone();
                race.spawn(async move { remove(&users, &id, round + number).await });
            }
            let removed = race.join_all().await.into_iter().filter(|removed| *removed).count();
            assert_eq!((removed, stage.admins().await), (1, 1), "round {round}");
            stage.execute("DELETE FROM users").await;
        }
    }
}

/// Demotes, disables or deletes a user; true if that was done.
async fn remove(users: &Users, id: &UserId, how: usize) -> bool {
    match how % 3 {
        0 => matches!(users.change(id, &demoted()).await.unwrap(), Changed::Done { .. }),
        1 => matches!(users.change(id, &disabled()).await.unwrap(), Changed::Done { .. }),
        _ => matches!(users.delete(id).await.unwrap(), Deleted::Done(_)),
    }
}

#[tokio::test]
async fn a_rewritten_hash_never_undoes_a_newer_one() {
    for stage in Stage::each().await {
        let anna = stage.add("anna", None, Role::Member).await;
        let (old, new) = (hash(HASH), hash(OTHER_HASH));
        assert!(!stage.users.replace_hash(&anna.id, &new, &old).await.unwrap(), "the stored hash is another one");
        assert_eq!(stage.stored_hash(&anna.id).await, HASH);
        assert!(stage.users.replace_hash(&anna.id, &old, &new).await.unwrap());
        assert!(!stage.users.replace_hash(&anna.id, &old, &new).await.unwrap(), "replaced already");
        assert_eq!(stage.stored_hash(&anna.id).await, OTHER_HASH);
    }
}

#[tokio::test]
async fn write_on_behalf_of_an_account_that_lost_its_right_is_refused() {
    for stage in Stage::each().await {
        stage.add("root", None, Role::Admin).await;
        let ben = stage.add("ben", None, Role::Member).await;
        let admin = stage.add("admin", None, Role::Admin).await;
        let account = stage.users.account(&admin.id).await.unwrap().unwrap();
        let (email, nobody) =
            (with_email(Some("ben@example.org")), Uuid::now_v7().to_string().parse::<UserId>().unwrap());
        let as_before = UserChange { role: Some(Role::Admin), hash: Some(account.hash.clone()), ..enabled() };
        let rehashed = UserChange { hash: Some(hash(OTHER_HASH)), ..UserChange::default() };
        for (change, [as_admin, as_owner], why) in [
            (as_before.clone(), [true, true], "as it was"),
            (demoted(), [false, true], "a member"),
            (disabled(), [false, false], "disabled"),
            (rehashed, [true, false], "another password"),
        ] {
            stage.users.change(&admin.id, &change).await.unwrap();
            for (by, may) in [(By::Admin(&admin.id), as_admin), (By::Owner(&account), as_owner)] {
                println!("{why}: {by:?}");
                let new = somebody(&new_name(), None, Role::Member);
                assert_eq!(stage.users.create_by(by, new, NOW).await.unwrap().is_some(), may);
                assert_eq!(stage.users.change_by(by, &ben.id, &email).await.unwrap().is_some(), may);
                assert_eq!(stage.users.delete_by(by, &nobody).await.unwrap().is_some(), may);
            }
            stage.users.change(&admin.id, &as_before).await.unwrap();
        }
        stage.users.delete(&admin.id).await.unwrap();
        for by in [By::Admin(&admin.id), By::Owner(&account)] {
            assert_eq!(stage.users.change_by(by, &ben.id, &email).await.unwrap(), None, "deleted: {by:?}");
        }
    }
}
