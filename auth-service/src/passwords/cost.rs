use std::fmt;
use std::str::FromStr;

/// bcrypt's work factor, 4 to 31: each step doubles the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cost(u32);

/// The number is not a bcrypt cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a number from 4 to 31")]
pub struct WrongCost;

impl Cost {
    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// True if an attacker could try thousands of passwords a second against a stolen hash of this cost.
    pub(crate) const fn is_low(self) -> bool {
        self.0 < 10
    }
}

impl TryFrom<u32> for Cost {
    type Error = WrongCost;

    fn try_from(cost: u32) -> Result<Self, WrongCost> {
        if (4..=31).contains(&cost) { Ok(Self(cost)) } else { Err(WrongCost) }
    }
}

impl FromStr for Cost {
    type Err = WrongCost;

    fn from_str(text: &str) -> Result<Self, WrongCost> {
        text.parse::<u32>().map_err(|_| WrongCost)?.try_into()
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
