use proptest::prelude::*;
use shared_claims::{LEEWAY, Revocation, Revocations};

use crate::forge::{LIFE, NOW};
use crate::wire::{session, subject};

/// An event; the events happen in any order.
#[derive(Clone, Debug)]
enum Event {
    LogIn {
        user: u8,
    },
    EndSession(prop::sample::Index),
    EndUser {
        user: u8,
    },
    Wait {
        seconds: u64,
    },
    /// The verifier polls. If `lost`, the server does not know the cursor and sends the whole list.
    Poll {
        lost: bool,
    },
}

fn some_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => (0..4_u8).prop_map(|user| Event::LogIn { user }),
        2 => any::<prop::sample::Index>().prop_map(Event::EndSession),
        1 => (0..4_u8).prop_map(|user| Event::EndUser { user }),
        2 => prop_oneof![0..3_u64, 0..400_u64, LIFE - 3..LIFE + 12].prop_map(|seconds| Event::Wait { seconds }),
        2 => any::<bool>().prop_map(|lost| Event::Poll { lost }),
    ]
}

struct Token {
    sid: String,
    sub: String,
    iat: u64,
}

/// One auth-service and one verifier, whose clock is off by `skew` seconds.
struct World {
    now: u64,
    skew: i64,
    tokens: Vec<Token>,
    revoked: Vec<Revocation>,
    told: usize,
    list: Revocations,
}

impl World {
    fn new(skew: i64) -> Self {
        Self { now: NOW, skew, tokens: vec![], revoked: vec![], told: 0, list: Revocations::new(None) }
    }

    fn clock_there(&self) -> u64 {
        self.now.saturating_add_signed(self.skew)
    }

    fn live(&mut self, event: &Event) {
        // Until no verifier accepts the token: the issuer's and the verifier's clock may each be off by the leeway.
        let until = self.now + LIFE + 2 * LEEWAY;
        match event {
            Event::LogIn { user } => {
                let sid = format!("00000000-0000-4000-8000-{:012x}", self.tokens.len());
                self.tokens.push(Token { sid, sub: format!("u-{user}"), iat: self.now });
            }
            Event::EndSession(_) if self.tokens.is_empty() => (),
            Event::EndSession(which) => self.revoked.push(session(&which.get(&self.tokens).sid, until)),
            Event::EndUser { user } => self.revoked.push(subject(&format!("u-{user}"), self.now, until)),
            Event::Wait { seconds } => self.now += seconds,
            Event::Poll { lost } => {
                let from = if *lost { 0 } else { self.told };
                let entries: Vec<_> = self.revoked[from..].iter().filter(|one| end(one) >= self.now).cloned().collect();
                self.list.add(&entries, self.clock_there());
                (0..52).for_each(|_| self.list.add(&[], self.clock_there()));
                self.told = self.revoked.len();
            }
        }
    }

    /// True if an entry that was published before the last poll revokes `token`.
    fn refuses(&self, token: &Token) -> bool {
        self.revoked[..self.told].iter().any(|one| shuts_out(one, token))
    }
}

fn shuts_out(revocation: &Revocation, token: &Token) -> bool {
    match revocation {
        Revocation::Session { sid, .. } => *sid == token.sid,
        Revocation::Subject { sub, not_before, .. } => *sub == token.sub && *not_before > token.iat,
    }
}

fn end(revocation: &Revocation) -> u64 {
    match revocation {
        Revocation::Session { until, .. } | Revocation::Subject { until, .. } => *until,
    }
}

proptest! {
    #[test]
    fn token_is_refused_if_and_only_if_an_entry_revokes_it(
        skew in -5..=5_i64, events in prop::collection::vec(some_event(), 0..60),
    ) {
        let mut world = World::new(skew);
        for event in events {
            world.live(&event);
            for token in &world.tokens {
                let refused = world.list.is_revoked(&token.sid, &token.sub, token.iat);
                let (must, at) = (world.refuses(token), world.now);
                prop_assert!(must || !refused, "refused without a revocation: {} at {at}", token.sid);
                // An expired token's entry may be dropped.
                let alive = token.iat + LIFE + LEEWAY > world.clock_there();
                prop_assert!(refused || !must || !alive, "accepted after its revocation: {} at {at}", token.sid);
            }
        }
    }
}
