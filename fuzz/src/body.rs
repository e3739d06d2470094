use std::fs;
use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::rt::System;
use serde_json::{Value, json};
use shared_service::Settings;

/// A timeout that is longer than any response takes.
const PATIENCE: Duration = Duration::from_secs(10);

/// The placeholder in an input for a refresh token that is currently valid.
const REFRESH: &[u8] = b"$REFRESH";

const PASSWORD: &str = "vK7#qz!Lw2";

/// The user whose access token a request carries.
#[derive(Clone, Copy, PartialEq)]
enum Who {
    Nobody,
    /// A user whose tokens or account a successful request invalidates. A new guest then replaces this one.
    Guest,
    Admin,
}

#[derive(Clone, Copy)]
enum Service {
    Auth,
    Books,
}

/// All routes that take a body. `{}` is an existing id. The first byte of an input selects one; `0` is the first.
const ROUTES: [(Service, &str, &str, Who); 12] = [
    (Service::Auth, "POST", "/register", Who::Nobody),
    (Service::Auth, "POST", "/login", Who::Nobody),
    (Service::Auth, "POST", "/token", Who::Nobody),
    (Service::Auth, "POST", "/refresh", Who::Nobody),
    (Service::Auth, "POST", "/logout", Who::Nobody),
    (Service::Auth, "PUT", "/me/password", Who::Guest),
    (Service::Auth, "DELETE", "/me", Who::Guest),
    (Service::Auth, "POST", "/users", Who::Admin),
    (Service::Auth, "PATCH", "/users/{}", Who::Admin),
    (Service::Books, "POST", "/books", Who::Admin),
    (Service::Books, "PUT", "/books/{}", Who::Admin),
    (Service::Books, "PATCH", "/books/{}", Who::Admin),
];

/// Both services in this process. Dropping this value deletes their files.
pub struct Services {
    auth: Connection,
    books: Connection,
    admin: String,
    guest: Guest,
    /// The number of guests so far. Their names are numbered.
    guests: u32,
    /// The id of the user that an admin changes.
    patient: String,
    book: String,
    folder: PathBuf,
    servers: Vec<ServerHandle>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Guest {
    id: String,
    access: String,
    refresh: String,
}

struct Answer {
    status: u16,
    /// In lower case.
    head: String,
    body: Vec<u8>,
}

impl Services {
    /// Starts both services with the demo users and books.
    pub fn start() -> Self {
        let folder = std::env::temp_dir().join(format!("stack-fuzz-{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        let pairs = settings(&folder);
        let (started, starting) = mpsc::channel();
        let thread = thread::spawn(move || serve(pairs, &started));
        let (addrs, servers) = starting.recv().unwrap();
        let [auth, books] = addrs.map(Connection::new);
        let (admin, guest, patient, book) = (String::new(), Guest::default(), String::new(), String::new());
        let mut services =
            Self { auth, books, admin, guest, guests: 0, patient, book, folder, servers, thread: Some(thread) };
        services.admin = services.log_in("john", "password123admin").access;
        services.patient = services.new_guest().id;
        services.guest = services.new_guest();
        let books = services.ask(Service::Books, "GET", "/books", &services.admin.clone(), b"");
        services.book = text(&json_of(&books)[0]["id"]);
        services
    }

    /// Sends an input, which is a route and a body, and returns the status. Panics if there is no response, or one that
    /// no client may get.
    pub fn run(&mut self, bytes: &[u8]) -> u16 {
        let Some((first, body)) = bytes.split_first() else { return 400 };
        let (service, method, path, who) = ROUTES[usize::from(*first) % ROUTES.len()];
        let id = if matches!(service, Service::Auth) { &self.patient } else { &self.book };
        let path = path.replace("{}", id);
        let token = match who {
            Who::Nobody => String::new(),
            Who::Guest => self.guest.access.clone(),
            Who::Admin => self.admin.clone(),
        };
        let answer = self.ask(service, method, &path, &token, &self.filled(body));
        answer.check(&format!("{method} {path}"));
        let spends = who == Who::Guest || matches!(path.as_str(), "/token" | "/refresh" | "/logout");
        if spends && answer.status < 300 {
            self.guest = self.new_guest();
        }
        answer.status
    }

    fn filled(&self, body: &[u8]) -> Vec<u8> {
        match body.windows(REFRESH.len()).position(|window| window == REFRESH) {
            Some(at) => [&body[..at], self.guest.refresh.as_bytes(), &body[at + REFRESH.len()..]].concat(),
            None => body.to_vec(),
        }
    }

    fn log_in(&mut self, username: &str, password: &str) -> Guest {
        let answer = self.insist("/login", "", &json!({"username": username, "password": password}));
        assert_eq!(answer.status, 200, "{username} cannot log in");
        let pair = json_of(&answer);
        Guest { id: String::new(), access: text(&pair["accessToken"]), refresh: text(&pair["refreshToken"]) }
    }

    fn new_guest(&mut self) -> Guest {
        loop {
            self.guests += 1;
            let name = format!("guest{}", self.guests);
            let admin = self.admin.clone();
            let answer = self.insist("/users", &admin, &json!({"username": name, "password": PASSWORD}));
            // An earlier input may have registered the name.
            if answer.status != 409 {
                assert_eq!(answer.status, 201, "{}", String::from_utf8_lossy(&answer.body));
                let id = text(&json_of(&answer)["user"]["id"]);
                return Guest { id, ..self.log_in(&name, PASSWORD) };
            }
        }
    }

    /// Repeats a request to auth-service until the response is not 503.
    fn insist(&mut self, path: &str, token: &str, body: &Value) -> Answer {
        let body = body.to_string();
        let mut ask = || self.ask(Service::Auth, "POST", path, token, body.as_bytes());
        (0..100).map(|_| ask()).find(|answer| answer.status != 503).unwrap()
    }

    fn ask(&mut self, service: Service, method: &str, path: &str, token: &str, body: &[u8]) -> Answer {
        let authorization = if token.is_empty() { String::new() } else { format!("Authorization: Bearer {token}\r\n") };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\n{authorization}Content-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n",
            body.len()
        );
        let connection = match service {
            Service::Auth => &mut self.auth,
            Service::Books => &mut self.books,
        };
        connection.ask(&[head.as_bytes(), body].concat())
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        for server in &self.servers {
            // This only requests the stop. The thread carries it out.
            drop(server.stop(false));
        }
        let ended = self.thread.take().map(JoinHandle::join);
        drop(fs::remove_dir_all(&self.folder));
        assert!(thread::panicking() || matches!(ended, Some(Ok(()))), "the services ended with an error");
    }
}

fn settings(folder: &std::path::Path) -> Vec<(String, String)> {
    let secrets = auth_service::cli::env_lines().unwrap();
    let secrets = secrets.lines().map(|line| line.split_once('=').unwrap());
    let url = |file| format!("sqlite://{}?mode=rwc", folder.join(file).display());
    let urls = [("AUTH_DATABASE_URL", url("auth.db")), ("BOOKS_DATABASE_URL", url("books.db"))];
    let others = [
        ("AUTH_ADDR", "127.0.0.1:0"),
        ("BOOKS_ADDR", "127.0.0.1:0"),
        ("ACCESS_TOKEN_TTL", "7d"),
        ("BCRYPT_COST", "4"),
        ("DEMO_DATA", "true"),
        ("WORKERS", "1"),
        // No limits, because all requests come from one address.
        ("IP_RATE_LIMIT", "0"),
        ("ACCOUNT_FAILURE_LIMIT", "0"),
    ];
    let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    let urls = urls.iter().map(|(name, url)| (*name, url.as_str()));
    secrets.chain(urls).chain(others).map(own).collect()
}

fn serve(pairs: Vec<(String, String)>, started: &mpsc::Sender<([SocketAddr; 2], Vec<ServerHandle>)>) {
    System::new().block_on(async {
        let mut settings = Settings::from_pairs(pairs);
        let auth = auth_service::config::Config::read(&mut settings);
        let books = books_service::Config::read(&mut settings);
        settings.finish().unwrap();
        let known = auth.revocations.empty_list();
        let auth = auth_service::app::start(auth, known.clone()).await.unwrap();
        let books = books_service::start(&books, Some(known)).await.unwrap();
        started.send(([auth.addr(), books.addr()], vec![auth.handle(), books.handle()])).unwrap();
        let books = actix_web::rt::spawn(books.wait());
        auth.wait().await.unwrap();
        books.await.unwrap().unwrap();
    });
}

impl Answer {
    /// Panics unless the response is a success, or a refusal with the error body of the stack.
    fn check(&self, route: &str) {
        let body = String::from_utf8_lossy(&self.body);
        let told = format!("{route}: {} {body}", self.status);
        assert!((200..500).contains(&self.status) || self.status == 503, "{told}");
        if self.status >= 400 {
            assert!(self.header("content-type").is_some_and(|value| value == "application/problem+json"), "{told}");
            let problem = json_of(self);
            assert_eq!(problem["status"], self.status, "{told}");
            assert!(problem["code"].as_str().is_some_and(|code| !code.is_empty()), "{told}");
        } else if !self.body.is_empty() {
            assert!(json_of(self).is_object(), "{told}");
        }
    }

    fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.head.lines().filter_map(|line| line.split_once(':'));
        headers.find(|(known, _)| *known == name).map(|(_, value)| value.trim())
    }
}

fn json_of(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&answer.body)))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("not a string: {value}")).to_owned()
}

/// A connection that is reused until the service closes it.
struct Connection {
    addr: SocketAddr,
    stream: Option<TcpStream>,
}

impl Connection {
    fn new(addr: SocketAddr) -> Self {
        Self { addr, stream: None }
    }

    fn ask(&mut self, request: &[u8]) -> Answer {
        if let Some(stream) = self.stream.take() {
            // The service may have closed it since the last response. On a new connection an error is a failure.
            if let Ok(answer) = self.ask_on(stream, request) {
                return answer;
            }
        }
        let stream = TcpStream::connect_timeout(&self.addr, PATIENCE).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        self.ask_on(stream, request).expect("an answer")
    }

    fn ask_on(&mut self, mut stream: TcpStream, request: &[u8]) -> Result<Answer> {
        // The service may answer early and close the connection. Then the rest of the request cannot be sent.
        let sent = stream.write_all(request);
        let answer = read(&mut stream)?;
        if sent.is_ok() && answer.header("connection") != Some("close") {
            self.stream = Some(stream);
        }
        Ok(answer)
    }
}

fn read(stream: &mut TcpStream) -> Result<Answer> {
    let mut bytes = Vec::new();
    let mut more = |bytes: &mut Vec<u8>| -> Result<()> {
        let mut part = [0; 4096];
        match stream.read(&mut part)? {
            0 => Err(Error::from(ErrorKind::UnexpectedEof)),
            length => {
                bytes.extend_from_slice(&part[..length]);
                Ok(())
            }
        }
    };
    let end = loop {
        match bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            Some(at) => break at + 4,
            None => more(&mut bytes)?,
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
    let status = head.get(9..12).and_then(|status| status.parse().ok()).ok_or(ErrorKind::InvalidData)?;
    let mut answer = Answer { status, head, body: bytes.split_off(end) };
    let length = answer.header("content-length").map_or(Ok(0), str::parse).map_err(|_| ErrorKind::InvalidData)?;
    while answer.body.len() < length {
        more(&mut answer.body)?;
    }
    assert_eq!(answer.body.len(), length, "more than one response");
    Ok(answer)
}
