use zxcvbn::{Entropy, zxcvbn};

/// The number of characters that the estimate covers; further ones do not make a password weaker.
const CHARACTERS: usize = 64;
/// The maximum number of words about the user.
const WORDS: usize = 8;
/// The maximum length of a word about the user, in characters.
const LONGEST_WORD: usize = 32;
/// The maximum number of readings of symbols as letters with which zxcvbn gets a password unchanged.
const READINGS: usize = 8;

/// The symbols that zxcvbn reads as a letter, for each letter with more than one symbol (a, c, g, i, l, s, t). A symbol
/// shared with an earlier letter is listed twice, because it doubles the readings. The ten digits give 12.
const LETTERS: [&str; 7] = ["4@", "({[<", "69", "1!|", "11||7", "5$", "+77"];

/// The symbols of [`LETTERS`] that are not digits, each with its letter.
const AS_LETTERS: &str = "@a (c {c [c <c !i |l $s +t";
/// Symbols, each with the character of its key without shift.
const AS_KEYS: &str = r"!1 @2 #3 $4 %5 ^6 &7 *8 (9 )0 _- += {[ }] |\ <, >.";

/// The estimate of zxcvbn. An attacker tries the words in `about` first; they count whole and in parts.
///
/// zxcvbn keeps each match of each word in each reading of the symbols, so time and memory grow with the product of
/// these limits. A password with more readings is estimated twice, with its symbols read as letters and as keys; the
/// lower estimate counts.
pub(super) fn estimate(text: &str, about: &[impl AsRef<str>]) -> Entropy {
    let (text, words) = (bounded(text, about), words(about));
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    if readings(&text) <= READINGS {
        return zxcvbn(&text, &words);
    }
    let letters = zxcvbn(&replace(&text, AS_LETTERS), &words);
    let keys = zxcvbn(&replace(&text, AS_KEYS), &[]);
    if keys.guesses() < letters.guesses() { keys } else { letters }
}

/// The words of `about`, whole and split: `ann.smith@example.org` is as easy to guess by its parts as whole.
fn words(about: &[impl AsRef<str>]) -> Vec<String> {
    let parts = about.iter().flat_map(|word| word.as_ref().split(|c: char| !c.is_alphanumeric()));
    let mut words = Vec::new();
    for word in about.iter().map(AsRef::as_ref).chain(parts).filter(|word| word.chars().count() > 2) {
        let word = shorten(&word.to_lowercase());
        if words.len() < WORDS && !words.contains(&word) {
            words.push(word);
        }
    }
    words
}

/// The start of `text`, with words about the user cut as in [`words`].
fn bounded(text: &str, about: &[impl AsRef<str>]) -> String {
    let mut text = text.to_owned();
    for word in about.iter().map(|word| word.as_ref().to_lowercase()) {
        let (short, lower) = (shorten(&word), text.to_lowercase());
        if short != word && lower.contains(&word) {
            text = lower.replace(&word, &short);
        }
    }
    text.chars().take(CHARACTERS).collect()
}

fn shorten(word: &str) -> String {
    word.chars().take(LONGEST_WORD).collect()
}

/// The maximum number of readings that zxcvbn makes of the symbols of `text`.
fn readings(text: &str) -> usize {
    LETTERS.iter().map(|symbols| symbols.chars().filter(|symbol| text.contains(*symbol)).count().max(1)).product()
}

fn replace(text: &str, pairs: &str) -> String {
    let by = |c| pairs.split(' ').find_map(|pair| pair.strip_prefix(c)?.chars().next());
    text.chars().map(|c| by(c).unwrap_or(c)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_about_the_user_are_bounded_and_unique() {
        let email = "Ann.ann.smith-jones@a.very-long-label-of-more-than-thirty-two-characters.one.two.six.example.org";
        let expected = "ann_s ann.ann.smith-jones@a.very-long- ann smith jones very long label";
        assert_eq!(words(&["ann_s", email]), expected.split(' ').collect::<Vec<_>>());
        assert_eq!(words(&["ann", ""]), ["ann"]);
    }

    #[test]
    fn password_of_many_symbols_has_bounded_readings() {
        let symbols = "4@8({[<369!1|0$5+7%2";
        assert!(readings(symbols) > 800, "zxcvbn makes 800");
        assert_eq!(replace(symbols, AS_LETTERS), "4a8cccc369i1l0s5t7%2");
        assert_eq!(replace(symbols, AS_KEYS), r"4289[[,36911\045=752");
        for text in ["P@ssw0rd1!", "vK7#qz!Lw2", "correct horse battery staple"] {
            assert!(readings(text) <= READINGS, "{text} is estimated as it is");
        }
    }
}
