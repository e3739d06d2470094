use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;
use zxcvbn::Score;
use zxcvbn::feedback::Feedback;

use super::estimate::estimate;
use super::text::prepare;

/// The minimum length, in characters of the NFC form.
const SHORTEST: usize = 8;
/// The maximum length, in bytes as sent: enough for any sentence, and a limit to the work that a request can cause.
const LONGEST: usize = 1024;

/// A new password that passed the rules, on its way to being hashed. It cannot be printed or stored; only
/// [`Passwords`](super::Passwords) can read it.
#[derive(Debug)]
pub struct NewPassword(SecretString);

/// The reason why a password is refused; the text tells the user what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WeakPassword {
    /// Fewer than 8 characters.
    #[error("must have at least 8 characters")]
    TooShort,
    /// More than 1024 bytes.
    #[error("must have at most 1024 bytes")]
    TooLong,
    /// zxcvbn's score is below 3; contains its advice.
    #[error("is too easy to guess. {0}")]
    Guessable(String),
}

/// Checks only the length, which takes almost no time.
pub(crate) fn check_length(text: &str) -> Result<(), WeakPassword> {
    if text.len() > LONGEST {
        return Err(WeakPassword::TooLong);
    }
    if prepare(text).chars().count() < SHORTEST {
        return Err(WeakPassword::TooShort);
    }
    Ok(())
}

impl NewPassword {
    /// Checks all rules. An attacker tries the words in `about` first; they count whole and in parts.
    ///
    /// Takes up to 50 ms, so call it on the hashing threads, as [`Passwords::hash_new`](super::Passwords::hash_new)
    /// does.
    ///
    /// # Errors
    /// The first violated rule.
    pub fn parse(text: &str, about: &[impl AsRef<str>]) -> Result<Self, WeakPassword> {
        check_length(text)?;
        let text = prepare(text);
        let guess = estimate(&text, about);
        if guess.score() < Score::Three {
            return Err(WeakPassword::Guessable(guess.feedback().map(advice).unwrap_or_default()));
        }
        Ok(Self(text.into_owned().into()))
    }

    /// The password of a demo user, weak on purpose. Accepts only a constant of the program, never a text from a
    /// request.
    pub(crate) fn of_demo(text: &'static str) -> Self {
        Self(text.into())
    }

    /// A password of 244 random bits, for an account whose user sets one by a link.
    #[must_use]
    pub fn random() -> Self {
        Self(format!("{}{}", Uuid::new_v4(), Uuid::new_v4()).into())
    }

    pub(super) fn text(&self) -> &str {
        self.0.expose_secret()
    }
}

fn advice(feedback: &Feedback) -> String {
    let warning = feedback.warning().map(|warning| warning.to_string());
    let suggestions = feedback.suggestions().iter().map(ToString::to_string);
    warning.into_iter().chain(suggestions).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> Option<WeakPassword> {
        let emails = ["zebulon.quirke@example.org", "maximiliane.oberhuber@verwaltung.beispielfirma.example"];
        NewPassword::parse(text, &["zebulon", emails[0], emails[1]]).err()
    }

    #[test]
    fn length_counts_characters_below_and_bytes_above() {
        let cases = [
            ("vK7#qz!".to_owned(), Some(WeakPassword::TooShort), "7 characters"),
            ("ж9éß".to_owned(), Some(WeakPassword::TooShort), "4 characters in 7 bytes"),
            ("ze\u{301}bu\u{308}q".to_owned(), Some(WeakPassword::TooShort), "5 characters, two of them decomposed"),
            ("vK7#qz!Lw2".to_owned(), None, "10 random characters"),
            ("жщ9éß電ñøæ".to_owned(), None, "9 characters of several alphabets"),
            ("vK7#qz!Lw2".repeat(102) + "abcd", None, "1024 bytes"),
            ("vK7#qz!Lw2".repeat(102) + "abcde", Some(WeakPassword::TooLong), "1025 bytes"),
            ("é".repeat(513), Some(WeakPassword::TooLong), "513 characters in 1026 bytes"),
        ];
        for (text, expected, why) in cases {
            assert_eq!(refusal(&text), expected, "{why}");
        }
        assert_eq!(check_length("ж9éßñøæ1"), Ok(()), "8 characters");
    }

    #[test]
    fn guessable_password_is_refused_with_advice() {
        let cases = [
            ("password", "the most common one"),
            ("Password@123", "a tutorial's"),
            ("aaaaaaaaaaaa", "one key"),
            ("qwertyuiop", "a row of keys"),
            ("19790412", "a date"),
            ("1212121212121212121212121212121212121212", "a repetition whose estimate exceeds 64 bits"),
            ("zebulon1", "the user's own name"),
            ("zebulonquirke", "the parts of the user's email"),
            ("zebulon.quirke@example.org", "the user's email"),
            ("Maximiliane.Oberhuber@Verwaltung.Beispielfirma.example", "the user's email, of more than 32 characters"),
            ("1234567890!@#$%^&*()", "a row of keys, without shift and with it"),
            ("P@$$w0rd14|7!", "a word with symbols that zxcvbn reads in many ways"),
        ];
        for (text, why) in cases {
            let Some(WeakPassword::Guessable(advice)) = refusal(text) else { panic!("accepted: {why}") };
            assert!(!advice.is_empty(), "{why}");
        }
    }

    #[test]
    fn a_password_is_not_printed() {
        let password = NewPassword::parse("vK7#qz!Lw2", &[""; 0]).unwrap();
        assert!(!format!("{password:?}").contains("vK7"));
    }
}
