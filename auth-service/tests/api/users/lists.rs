//! Lists of users.

use shared_claims::Role;
use shared_service::Total;

use super::Stage;

#[tokio::test]
async fn a_list_is_walked_page_by_page() {
    for stage in Stage::each().await {
        let mut expected = Vec::new();
        for number in 0..7 {
            expected.push(stage.add(&format!("user{number}"), None, Role::Member).await);
        }
        let (mut found, mut cursor, mut pages) = (Vec::new(), None, 0);
        loop {
            let page = stage.users.page(3, cursor.as_deref(), None).await.unwrap();
            assert_eq!(page.total, Total::Exactly(7));
            found.extend(page.items);
            pages += 1;
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!((found, pages), (expected, 3));
        assert!(stage.users.page(7, None, None).await.unwrap().next.is_none(), "no page follows a full last page");
    }
}

#[tokio::test]
async fn a_list_is_searched_by_name_and_email() {
    for stage in Stage::each().await {
        stage.add("anna_k", Some("blue@example.org"), Role::Member).await;
        stage.add("annabel", Some("100%@example.org"), Role::Member).await;
        stage.add("ben", Some("jos\u{e9}@example.org"), Role::Member).await;
        let long = "x".repeat(60_000);
        for (q, expected, why) in [
            ("anna", vec!["anna_k", "annabel"], "part of a name"),
            ("ANNA", vec!["anna_k", "annabel"], "in another case"),
            ("blue", vec!["anna_k"], "part of an email"),
            ("JOSE\u{301}", vec!["ben"], "with a decomposed letter"),
            ("a_k", vec!["anna_k"], "an underscore is itself"),
            ("%", vec!["annabel"], "a percent sign is itself"),
            ("\\", vec![], "a backslash is itself"),
            ("", vec!["anna_k", "annabel", "ben"], "nothing"),
            ("\0", vec![], "NUL"),
            (&long, vec![], "longer than any name"),
        ] {
            let page = stage.users.page(10, None, Some(q)).await.unwrap();
            let names: Vec<_> = page.items.iter().map(|user| user.username.as_str()).collect();
            assert_eq!(names, expected, "{why}");
            assert_eq!(page.total, Total::Exactly(i64::try_from(expected.len()).unwrap()), "{why}");
        }
        let first = stage.users.page(10, Some("no cursor\0"), None).await.unwrap();
        assert_eq!(first.items.len(), 3, "an invalid cursor is ignored");
    }
}

#[tokio::test]
async fn total_follows_each_write_and_a_search_stops_counting_at_a_thousand() {
    for stage in Stage::each().await {
        let one = stage.add("anna_k", Some("blue@example.org"), Role::Member).await;
        let many = "INSERT INTO users (id, username, email, password_hash, role, disabled, created_at) \
            WITH RECURSIVE numbers (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM numbers WHERE x < 1001) \
            SELECT '00000000-0000-4000-8000-' || (100000000000 + x), 'many' || x, NULL, '', 'member', 0, 0 FROM numbers";
        stage.execute(many).await;
        let total = async |q| stage.users.page(1, None, q).await.unwrap().total;
        assert_eq!(total(None).await, Total::Exactly(1002));
        assert_eq!(total(Some("many")).await, Total::AtLeast(1000));
        assert_eq!(total(Some("any1")).await, Total::Exactly(113));
        assert_eq!(total(Some("1")).await, Total::Exactly(273));
        assert_eq!(total(Some("blue")).await, Total::Exactly(1));
        stage.execute("UPDATE users SET email = 'green@example.org' WHERE email IS NOT NULL").await;
        assert_eq!(total(Some("blue")).await, Total::Exactly(0));
        assert_eq!(total(Some("gree")).await, Total::Exactly(1));
        stage.users.delete(&one.id).await.unwrap();
        assert_eq!(total(Some("gree")).await, Total::Exactly(0));
        assert_eq!(total(None).await, Total::Exactly(1001));
    }
}
