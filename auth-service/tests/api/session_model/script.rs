//! Scripts of events, independent of the state, so that a script can be shortened and still makes sense.

use proptest::prelude::*;

#[derive(Clone, Debug)]
pub enum Op {
    LogIn {
        user: usize,
        outdated: bool,
    },
    /// A number of concurrent uses of a token.
    Refresh {
        which: Which,
        copies: usize,
        forgery: Option<Forgery>,
    },
    LogOut {
        which: Which,
        forgery: Option<Forgery>,
    },
    EndAll {
        user: usize,
        but_of: Option<Which>,
    },
    /// A refresh, and another event at the same time.
    Race {
        which: Which,
        with: Rival,
    },
    SetAdmin {
        user: usize,
        admin: bool,
    },
    SetDisabled {
        user: usize,
        disabled: bool,
    },
    Delete {
        user: usize,
    },
    /// Lets an even number of half minutes pass.
    Pass(i64),
    Sweep,
}

#[derive(Clone, Debug)]
pub enum Rival {
    Refresh { which: Which },
    LogOut { which: Which },
    EndAll { user: usize },
}

/// A token: how many sessions ago its session was opened, and how many generations it lies behind the newest.
#[derive(Clone, Copy, Debug)]
pub struct Which {
    pub session: usize,
    pub behind: i64,
}

/// Forgeries of a token; the last three need the secret.
#[derive(Clone, Copy, Debug)]
pub enum Forgery {
    Tampered,
    SignedForAccess,
    /// A generation that has not been issued yet.
    Ahead,
    OfAnotherUser,
    Expired,
}

pub const USERS: usize = 3;

pub fn op() -> impl Strategy<Value = Op> {
    let user = || 0..USERS;
    // Most of what matters happens between a token and its successor.
    let which = || {
        let session = prop_oneof![4 => Just(0), 1 => 0..8usize];
        let behind = prop_oneof![6 => Just(0), 5 => Just(1), 1 => 2..5i64];
        (session, behind).prop_map(|(session, behind)| Which { session, behind })
    };
    let forgery = || {
        use Forgery::{Ahead, Expired, OfAnotherUser, SignedForAccess, Tampered};
        prop_oneof![
            12 => Just(None),
            1 => prop::sample::select(vec![Tampered, SignedForAccess, Ahead, OfAnotherUser, Expired]).prop_map(Some),
        ]
    };
    let rival = prop_oneof![
        which().prop_map(|which| Rival::Refresh { which }),
        which().prop_map(|which| Rival::LogOut { which }),
        user().prop_map(|user| Rival::EndAll { user }),
    ];
    prop_oneof![
        5 => (user(), prop::bool::weighted(0.1)).prop_map(|(user, outdated)| Op::LogIn { user, outdated }),
        14 => (which(), prop_oneof![4 => Just(1), 1 => 2..5usize], forgery())
            .prop_map(|(which, copies, forgery)| Op::Refresh { which, copies, forgery }),
        2 => (which(), forgery()).prop_map(|(which, forgery)| Op::LogOut { which, forgery }),
        2 => (user(), prop::option::of(which())).prop_map(|(user, but_of)| Op::EndAll { user, but_of }),
        2 => (which(), rival).prop_map(|(which, with)| Op::Race { which, with }),
        1 => (user(), any::<bool>()).prop_map(|(user, admin)| Op::SetAdmin { user, admin }),
        1 => (user(), prop::bool::weighted(0.3)).prop_map(|(user, disabled)| Op::SetDisabled { user, disabled }),
        7 => prop::sample::select(vec![2, 8, 10, 10, 18, 18, 18, 20, 118, 120, 200, 238, 240]).prop_map(Op::Pass),
        1 => Just(Op::Sweep),
        1 => prop_oneof![5 => Just(Op::Sweep), 1 => user().prop_map(|user| Op::Delete { user })],
    ]
}
