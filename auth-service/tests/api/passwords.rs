//! Hashing and verification of passwords, and the threads for them.

mod estimate;
mod pool;

use auth_service::config::StoreConfig;
use auth_service::limits::ClientNetwork;
use auth_service::passwords::{NotHashed, PasswordHash, Passwords, Pepper, WeakPassword};

use shared_service::Settings;
use tokio::sync::oneshot::error::TryRecvError;

const GOOD: &str = "vK7#qz!Lw2";

fn pepper(text: &str) -> Pepper {
    Pepper::parse(&text.into()).unwrap()
}

fn passwords(at: u32, pepper: Option<Pepper>) -> Passwords {
    Passwords::start(at, pepper).unwrap()
}

fn plain() -> Passwords {
    passwords(4, None)
}

async fn stored(passwords: &Passwords, text: &str) -> PasswordHash {
    passwords.hash_new(ClientNetwork::default(), text, &[]).await.unwrap()
}

/// True if `text` is right. Its hash must not be outdated.
async fn is_right(passwords: &Passwords, text: &str, hash: &PasswordHash) -> bool {
    let Some(right) = passwords.verify(ClientNetwork::default(), text, hash).await.unwrap() else { return false };
    let rewritten = passwords.rewrite(ClientNetwork::default(), text, hash, right.attempt).await;
    assert!(rewritten.is_none(), "the hash must not be outdated");
    true
}

/// The hash that replaces the outdated `hash`.
async fn rewritten(passwords: &Passwords, text: &str, hash: &PasswordHash) -> PasswordHash {
    let right = passwords.verify(ClientNetwork::default(), text, hash).await.unwrap().unwrap();
    passwords.rewrite(ClientNetwork::default(), text, hash, right.attempt).await.unwrap()
}

#[tokio::test]
async fn every_byte_of_a_password_counts() {
    let passwords = plain();
    let long = GOOD.repeat(100);
    for (text, other, why) in [
        (format!("{long}a"), format!("{long}b"), "the last of 1001"),
        (format!("{GOOD}\0a"), format!("{GOOD}\0b"), "after NUL"),
        (GOOD.to_owned(), format!("{GOOD}\0"), "NUL at the end"),
        (GOOD.to_owned(), format!("{GOOD} "), "a space at the end"),
        (GOOD.to_owned(), GOOD.to_lowercase(), "case"),
        ("pässwörd-Ω-😀-Löwe".to_owned(), "pässwörd-Ω-😁-Löwe".to_owned(), "another face"),
    ] {
        let hash = stored(&passwords, &text).await;
        assert!(hash.as_stored().starts_with("fixed:$2b$04$"), "{why}");
        assert!(is_right(&passwords, &text, &hash).await, "{why}");
        assert!(!is_right(&passwords, &other, &hash).await, "{why}");
        assert!(!is_right(&passwords, "", &hash).await, "{why}");
    }
}

#[tokio::test]
async fn one_password_in_two_unicode_forms_is_one() {
    let passwords = plain();
    for (one, two, why) in [
        ("caf\u{e9} zwölf Löwen", "cafe\u{301} zwo\u{308}lf Lo\u{308}wen", "decomposed"),
        ("zwölf\u{a0}stille\u{3000}Löwen", "zwölf stille Löwen", "spaces of other kinds"),
    ] {
        for (chosen, sent) in [(one, two), (two, one)] {
            let hash = stored(&passwords, chosen).await;
            assert!(is_right(&passwords, chosen, &hash).await && is_right(&passwords, sent, &hash).await, "{why}");
        }
    }
}

/// Plain bcrypt never compares the bytes after the 72nd, and cannot tell whether the password ends there.
#[tokio::test]
async fn plain_hash_of_72_bytes_and_more_is_never_rewritten() {
    let passwords = plain();
    let text = |length: usize| "abcdefgh".repeat(11)[..length].to_owned();
    for (hashed, sent, right) in [(80, 80, true), (80, 72, true), (80, 81, true), (80, 71, false), (72, 80, true)] {
        for version in ["$2a$", "$2b$", "$2y$"] {
            let hash = bcrypt::hash(text(hashed), 4).unwrap().replace("$2b$", version);
            let hash = PasswordHash::parse(hash).unwrap();
            assert_eq!(is_right(&passwords, &text(sent), &hash).await, right, "{hashed}, {sent}");
        }
    }
    let cut = format!("{}é", text(71));
    let hash = PasswordHash::parse(bcrypt::hash(&cut, 4).unwrap()).unwrap();
    assert!(is_right(&passwords, &cut, &hash).await, "a character cut in two");
    let hash = PasswordHash::parse(bcrypt::hash(text(71), 4).unwrap()).unwrap();
    rewritten(&passwords, &text(71), &hash).await;
}

#[tokio::test]
async fn text_with_nul_never_matches_a_plain_hash() {
    let passwords = plain();
    for (hashed, sent) in [
        ("abc defg hij", "abc defg hij\0abc defg hij"),
        ("abc defg hij", "abc defg hij\0"),
        ("a\0b", "a\0b"),
        ("", "\0"),
    ] {
        let hash = PasswordHash::parse(bcrypt::hash(hashed, 4).unwrap()).unwrap();
        assert!(!is_right(&passwords, sent, &hash).await, "{hashed:?}, {sent:?}");
    }
}

#[tokio::test]
async fn two_hashes_of_one_password_differ() {
    let passwords = plain();
    assert_ne!(stored(&passwords, GOOD).await, stored(&passwords, GOOD).await);
}

/// The hashes were made by npm's `bcryptjs` 3, those marked `bcrypt` by npm's `bcrypt` 6.
#[tokio::test]
async fn plain_hashes_verify_as_in_node_and_are_rewritten() {
    let passwords = plain();
    for (text, hash, why) in [
        ("correct horse battery", "$2a$04$J5AksRWOrMDG6ocj3g1xguE71P77jF7lCdq9y4sbHdDAwcwjgVbHC", "2a"),
        ("correct horse battery", "$2b$04$uvuBjaGkDowoTbW6Vvf03eq.GaLGs.1YyY34ZuHoo2W13VnkNlrkK", "2b"),
        ("correct horse battery", "$2b$04$A9o.yWtObmbziTGw441ZF.//VqZzPF2vk1nMI3fKwgATz4PNQ0kfy", "bcrypt"),
        ("correct horse battery", "$2y$04$tRimusoHoaztn16syKyfb.Dz0Txjrj.UDZwVHWbr1YlhyVbMTr2bm", "2y"),
        ("pässwörd-Ω-😀", "$2b$04$/LYFA9AqzDXp/ElY2Z74huN/.2NNLT1ab7punZHKE8A4fDhgyx53K", "Unicode"),
        ("", "$2b$04$399cWkFPcihMhUd4581gkOUm7tKCU30fifhP/t4LplIhC5lOX3UKm", "empty"),
    ] {
        let hash = PasswordHash::parse(hash).unwrap();
        let new = rewritten(&passwords, text, &hash).await;
        assert!(new.as_stored().starts_with("fixed:$2b$04$"), "{why}");
        assert!(is_right(&passwords, text, &new).await, "{why}");
        assert!(!is_right(&passwords, &format!("{text}!"), &new).await, "{why}: every byte is compared");
        assert!(!is_right(&passwords, "correct horse batterY", &hash).await, "{why}");
    }
}

/// The hashes were made by the same two packages.
#[tokio::test]
async fn plain_hashes_of_long_passwords_verify_as_in_node() {
    let passwords = plain();
    let (long, cut) = ("a".repeat(72), "a".repeat(71));
    for (text, hash, why) in [
        (format!("{long}tail"), "$2b$04$w8jvErSX2me9UqUiBADuY.rp82JtR.e7tnoiDHr8eAJBnwPDf1WeC", "76 bytes"),
        (format!("{long}tail"), "$2b$04$g5480fuSwq/qjyDroNDqQevMlgL7gFg2VsrgrltvlC8B6f1fg1p5i", "76 bytes, bcrypt"),
        (format!("{long}TAIL"), "$2b$04$w8jvErSX2me9UqUiBADuY.rp82JtR.e7tnoiDHr8eAJBnwPDf1WeC", "cut at 72"),
        (format!("{cut}é"), "$2b$04$xwgYlN60eP8BqzHTFP66tOaDbiocIntQk2sfm.2uJw/U30hodIulS", "a letter cut in two"),
        (format!("{cut}é"), "$2b$04$a0v7kPQANr3qFYUglSPqieJSnqzIncBdAcP92YDhC3NIziu5NESs.", "the same, bcrypt"),
    ] {
        let hash = PasswordHash::parse(hash).unwrap();
        assert!(is_right(&passwords, &text, &hash).await, "{why}");
        assert!(!is_right(&passwords, "correct horse batterY", &hash).await, "{why}");
    }
}

#[tokio::test]
async fn a_hash_of_another_cost_is_rewritten() {
    let (cheap, dear) = (plain(), passwords(5, None));
    for (made, asked, expected) in [(&cheap, &dear, 5), (&dear, &cheap, 4)] {
        let hash = stored(made, GOOD).await;
        assert!(asked.verify(ClientNetwork::default(), "another", &hash).await.unwrap().is_none());
        let new = rewritten(asked, GOOD, &hash).await;
        assert_eq!(new.cost(), expected);
        assert!(is_right(asked, GOOD, &new).await);
    }
}

/// Otherwise its result could not be withheld: it would come earlier than that of a wrong one.
#[tokio::test]
async fn rest_of_a_right_password_ends_when_a_wrong_one_would() {
    let passwords = plain();
    let hash = stored(&passwords, GOOD).await;
    passwords.expect_cost(12);
    let mut right = passwords.verify(ClientNetwork::default(), GOOD, &hash).await.unwrap().unwrap();
    assert!(matches!(right.rest.try_recv(), Err(TryRecvError::Empty)), "the attempts of cost 4 to 11 are left");
    right.rest.await.unwrap_err();
}

#[tokio::test]
async fn a_pepper_can_be_set_later() {
    let old = stored(&plain(), GOOD).await;
    let peppered = passwords(4, Some(pepper("the first pepper, of 32 bytes or more")));
    let new = rewritten(&peppered, GOOD, &old).await;
    assert!(new.as_stored().starts_with("pepper-"), "{new:?}");
    assert!(is_right(&peppered, GOOD, &new).await);
    assert!(!is_right(&peppered, "another", &old).await);
    for (other, why) in [(None, "taken away"), (Some(pepper("another pepper, of 32 bytes or more..")), "replaced")] {
        let other = passwords(4, other);
        assert!(!is_right(&other, GOOD, &new).await, "{why}");
        assert_eq!(other.check_import(&new), Err("was made with a PASSWORD_PEPPER that is not set here"), "{why}");
        assert_eq!(other.check_import(&old), Ok(()), "{why}");
    }
    let same = passwords(4, Some(pepper("the first pepper, of 32 bytes or more")));
    assert!(is_right(&same, GOOD, &new).await, "after a restart");
}

#[tokio::test]
async fn a_hash_that_would_block_a_thread_is_not_imported() {
    let at = |cost| PasswordHash::parse(format!("$2b${cost}$uvuBjaGkDowoTbW6Vvf03eq.GaLGs.1YyY34ZuHoo2W13VnkNlrkK"));
    assert_eq!(plain().check_import(&at("14").unwrap()), Ok(()));
    let refused = plain().check_import(&at("15").unwrap());
    assert!(refused.is_err_and(|why| why.starts_with("has a bcrypt cost above 14 and above BCRYPT_COST")));
    assert_eq!(passwords(15, None).check_import(&at("15").unwrap()), Ok(()), "a hash of the configured cost");
}

#[test]
fn a_short_pepper_is_refused() {
    assert!(Pepper::parse(&"fifteen bytes..".into()).is_err());
    assert!(!format!("{:?}", pepper("the first pepper, of 32 bytes or more")).contains("first"));
}

#[test]
fn costs_are_those_of_bcrypt() {
    let read = |text: &str| {
        let mut settings = Settings::from_pairs([("BCRYPT_COST", text), ("AUTH_DATABASE_URL", "sqlite://auth.db")]);
        let cost = StoreConfig::read(&mut settings).bcrypt_cost;
        settings.finish().is_ok().then_some(cost)
    };
    for (text, expected) in [("4", Some(4)), ("12", Some(12)), ("31", Some(31)), ("", Some(12))] {
        assert_eq!(read(text), expected);
    }
    for text in ["3", "32", "-4", "twelve", "12.0"] {
        assert_eq!(read(text), None, "{text:?}");
    }
}

#[tokio::test]
async fn a_weak_password_is_refused_with_advice() {
    let passwords = plain();
    let refused = async |text: &str| match passwords
        .hash_new(ClientNetwork::default(), text, &["zebulon", "zebulon@example.org"])
        .await
    {
        Err(NotHashed::Weak(weak)) => weak,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused("short").await, WeakPassword::TooShort);
    assert!(refused("Password@123").await.to_string().starts_with("is too easy to guess. "));
    assert!(matches!(refused("zebulon1").await, WeakPassword::Guessable(_)));
}
