use super::start;

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs a mail server: ./test")]
async fn page_of_a_link_runs_its_own_script_alone_and_is_kept_nowhere() {
    let service = start(&[]).await;
    for path in ["/reset", "/verify"] {
        let page = service.nobody().get(path).await.is(200);
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
        assert_eq!(page.header("cache-control"), "no-store");
        assert_eq!(page.header("referrer-policy"), "no-referrer");
        let policy = page.header("content-security-policy");
        for part in ["default-src 'none'", "script-src 'sha256-", "connect-src 'self'", "frame-ancestors 'none'"] {
            assert!(policy.contains(part), "{policy}");
        }
        assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
        let [scripts, styles] = ["<script", "<style"].map(|tag| page.body.matches(tag).count());
        assert_eq!((scripts, styles), (1, 1), "the policy names one hash for scripts and one for styles");
        assert!(!page.body.contains("http:") && !page.body.contains("https:"), "nothing comes from another origin");
    }
}
