use std::cell::RefCell;
use std::rc::Rc;

use rustix::process::{Pid, Signal};
use tokio::sync::watch;

use super::below;
use crate::process::{Folder, Program};
use crate::stack::Stack;
use crate::targets::{binary, greeted, logged, random_secret};

/// A service that is killed and started again on the same data, each time on a free port.
pub struct Mortal {
    binary: &'static str,
    settings: Vec<(&'static str, String)>,
    folder: Folder,
    program: RefCell<Option<Program>>,
    stack: watch::Sender<Option<Rc<Stack>>>,
}

impl Mortal {
    /// Starts auth-service.
    pub async fn auth_service(settings: &[(&'static str, &str)]) -> Self {
        Self::start("auth-service", settings).await
    }

    /// Starts local-stack.
    pub async fn local_stack(settings: &[(&'static str, &str)]) -> Self {
        Self::start("local-stack", settings).await
    }

    async fn start(binary: &'static str, settings: &[(&'static str, &str)]) -> Self {
        let ours = [
            ("AUTH_ADDR", "127.0.0.1:0"),
            ("BOOKS_ADDR", "127.0.0.1:0"),
            ("WORKERS", "2"),
            ("BCRYPT_COST", "4"),
            ("IP_RATE_LIMIT", "0"),
            // Longer than any start takes, so that a retry is within the grace period.
            ("REFRESH_GRACE", "60s"),
            ("RUST_LOG", "warn,shared_service::operations::server=info"),
        ];
        let settings = ours.iter().chain(settings).map(|(name, value)| (*name, (*value).to_owned())).collect();
        let (stack, _) = watch::channel(None);
        let mortal = Self { binary, settings, folder: Folder::new(), program: RefCell::default(), stack };
        mortal.revive().await;
        mortal
    }

    /// Starts the service on the data of its last run.
    pub async fn revive(&self) {
        let settings: Vec<_> = self.settings.iter().map(|(name, value)| (*name, &**value)).collect();
        let program = Program::start(&binary(self.binary), self.folder.path(), &settings);
        let stack = match self.binary {
            "local-stack" => greeted(&program).await,
            name => Stack::new(name, logged(&program).await, String::new()),
        };
        self.program.replace(Some(program));
        self.stack.send_replace(Some(Rc::new(stack)));
    }

    /// The addresses of the service, or `None` while it does not run.
    pub fn now(&self) -> Option<Rc<Stack>> {
        self.stack.borrow().clone()
    }

    /// Waits until the service runs; returns its addresses.
    pub async fn stack(&self) -> Rc<Stack> {
        let mut stack = self.stack.subscribe();
        stack.wait_for(Option::is_some).await.unwrap().clone().unwrap()
    }

    pub fn pid(&self) -> Pid {
        self.program.borrow().as_ref().unwrap().pid()
    }

    /// Kills the service with SIGKILL, unless a trap has killed it already.
    pub async fn kill(&self) {
        self.stack.send_replace(None);
        let program = self.program.take().unwrap();
        program.signal(Signal::KILL);
        let (code, output) = program.end().await;
        assert_eq!(code, None, "the service ended by itself: {output:#?}");
    }
}

/// A random one of the `services` that run.
pub async fn someone(services: &[Mortal]) -> Rc<Stack> {
    let alive: Vec<_> = services.iter().filter_map(Mortal::now).collect();
    if alive.is_empty() { services[0].stack().await } else { Rc::clone(&alive[below(alive.len())]) }
}

/// New secrets for instances to share.
pub fn secrets() -> [(&'static str, String); 2] {
    ["ACCESS_TOKEN_SECRET", "REFRESH_TOKEN_SECRET"].map(|name| (name, random_secret()))
}
