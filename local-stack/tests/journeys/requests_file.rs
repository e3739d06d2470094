use std::collections::HashMap;

use reqwest::Method;
use serde_json::Value;

use crate::caller::Answer;
use crate::local_stack::start_with;
use crate::process::{Folder, file};
use crate::stack::Stack;
use crate::targets::greeted;

/// What `{{…}}` can mean: the variables of the file, and the answers that have a name.
struct Meanings {
    variables: HashMap<String, String>,
    answers: HashMap<String, Answer>,
}

/// One request of the file.
struct Request {
    /// Its first line; the first status in it is what the request gets.
    title: String,
    name: Option<String>,
    method: Method,
    url: String,
    headers: Vec<(String, String)>,
    body: String,
}

/// Sent from top to bottom, as its reader does.
#[tokio::test]
async fn every_request_is_answered_as_its_title_says() {
    let folder = Folder::new();
    let running = start_with(&folder, &[("ACCESS_TOKEN_HEADER", "x-access-token")]);
    let stack = greeted(&running).await;
    let text = file("requests.http");
    let mut meanings = Meanings::of(&text, &stack);
    let requests: Vec<Request> = text.split("\n###").filter_map(Request::read).collect();
    assert!(requests.len() > 50, "the file is read as its clients read it");
    for request in requests.into_iter().filter(Request::can_be_sent) {
        let answer = request.send(&stack, &meanings).await.is(request.status());
        request.name.map(|name| meanings.answers.insert(name, answer));
    }
}

impl Request {
    /// The request in `part`, if there is one and not a headline.
    fn read(part: &str) -> Option<Self> {
        let (head, body) = part.split_once("\n\n").unwrap_or((part, ""));
        let (title, head) = head.split_once('\n')?;
        let name = head.lines().find_map(|line| line.strip_prefix("# @name "));
        let mut lines = head.lines().filter(|line| !line.starts_with('#'));
        let (method, url) = lines.next()?.split_once(' ')?;
        let headers = lines.filter_map(|line| line.split_once(": "));
        Some(Self {
            title: title.trim().to_owned(),
            name: name.map(str::to_owned),
            method: method.parse().ok()?,
            url: url.to_owned(),
            headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            body: body.trim().to_owned(),
        })
    }

    /// Some wait for their reader to put something in.
    fn can_be_sent(&self) -> bool {
        !self.url.ends_with("/ID") && !self.url.ends_with("CURSOR")
    }

    fn status(&self) -> u16 {
        let mut words = self.title.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| word.len() == 3);
        words.find_map(|word| word.parse().ok()).unwrap_or_else(|| panic!("no status in the title {:?}", self.title))
    }

    async fn send(&self, stack: &Stack, meanings: &Meanings) -> Answer {
        let request = stack.client.request(self.method.clone(), meanings.put_into(&self.url));
        let request = request.body(meanings.put_into(&self.body));
        let headers = self.headers.iter().map(|(name, value)| (name, meanings.put_into(value)));
        let request = headers.fold(request, |request, (name, value)| request.header(name, value));
        Answer::of(self.title.clone(), request.send().await.unwrap()).await.unwrap()
    }
}

impl Meanings {
    fn of(text: &str, stack: &Stack) -> Self {
        let lines = text.lines().filter_map(|line| line.strip_prefix('@')?.split_once(" = "));
        let mut variables: HashMap<_, _> = lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        variables.insert("auth".to_owned(), stack.auth.clone());
        variables.insert("books".to_owned(), stack.books.clone());
        Self { variables, answers: HashMap::new() }
    }

    /// `text`, with what its `{{…}}` mean in their places.
    fn put_into(&self, text: &str) -> String {
        let Some((before, rest)) = text.split_once("{{") else { return text.to_owned() };
        let (key, after) = rest.split_once("}}").unwrap();
        let meaning = self.variables.get(key).map_or_else(|| self.of_answer(key), |value| self.put_into(value));
        format!("{before}{meaning}{}", self.put_into(after))
    }

    /// The meaning of `login.response.body.$.accessToken` or `book.response.headers.ETag`.
    fn of_answer(&self, key: &str) -> String {
        let (name, part) = key.split_once(".response.").unwrap_or_else(|| panic!("nothing is called {key}"));
        let answer = self.answers.get(name).unwrap_or_else(|| panic!("nothing above is called {name}"));
        if let Some(header) = part.strip_prefix("headers.") {
            return answer.header(header).to_owned();
        }
        let pointer = part.strip_prefix("body.$").unwrap().replace('.', "/");
        answer.json().pointer(&pointer).and_then(Value::as_str).unwrap().to_owned()
    }
}
