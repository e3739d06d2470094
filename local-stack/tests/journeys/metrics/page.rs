use std::collections::BTreeSet;

use crate::process::Program;
use crate::stack::Stack;

/// A page of metrics.
pub struct Page(pub String);

impl Page {
    /// The metrics of `service` in `program`.
    pub async fn of(stack: &Stack, program: &Program, service: &str) -> Self {
        let url = format!("http://{}/metrics", shown_at(program, service).await);
        // Some clients accept only text.
        let asked = stack.client.get(url).header("Accept", "text/plain").send().await.unwrap();
        assert_eq!(asked.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
        Self(asked.error_for_status().unwrap().text().await.unwrap())
    }

    /// The value of `series`, as written on the page.
    pub fn value(&self, series: &str) -> Option<&str> {
        self.0.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))
    }

    #[track_caller]
    pub fn says(&self, series: &str, value: &str) {
        assert_eq!(self.value(series), Some(value), "{series} in {}", self.0);
    }

    /// All values of a label.
    pub fn labels(&self, label: &str) -> BTreeSet<&str> {
        let begin = format!("{label}=\"");
        self.0.split(&begin).skip(1).map(|rest| rest.split('"').next().unwrap()).collect()
    }

    /// The names of all samples.
    pub fn names(&self) -> BTreeSet<&str> {
        let lines = self.0.lines().filter(|line| !line.starts_with('#'));
        lines.map(|line| line.split(['{', ' ']).next().unwrap()).collect()
    }
}

/// The address of `service`'s metrics, from its log.
pub async fn shown_at(program: &Program, service: &str) -> String {
    let begin = format!("{service} shows its metrics on ");
    let address = |line: &String| Some(line.split_once(&begin)?.1.to_owned());
    program.says(|output| output.err.iter().find_map(address)).await
}

/// The pages of auth-service and books-service, which may be the same page.
pub async fn pages(stack: &Stack, programs: &[Program]) -> [Page; 2] {
    let (first, last) = (programs.first().unwrap(), programs.last().unwrap());
    [Page::of(stack, first, "auth-service").await, Page::of(stack, last, "books-service").await]
}
