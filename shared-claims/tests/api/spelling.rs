use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use shared_claims::TokenError::{Malformed, MalformedClaims, MalformedHeader, Signature};

use crate::forge::{SECRET, STRANGER};
use crate::forge::{access, b64, check, header, parts, segments, signed, texts, token, unb64, verdict};

const PADDED: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, GeneralPurposeConfig::new());
const WITH_PLUS_AND_SLASH: GeneralPurpose =
    GeneralPurpose::new(&STANDARD, GeneralPurposeConfig::new().with_encode_padding(false));

const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The valid header and claims, padded with spaces to a length that is `remainder` modulo three.
fn of_remainder(remainder: usize) -> [String; 2] {
    [header().text(), access().text()].map(|mut text| {
        while text.len() % 3 != remainder {
            text.push(' ');
        }
        text
    })
}

#[test]
fn an_honest_token_is_accepted() {
    check([(token(&header(), &access()), Ok(()), "nothing is wrong")]);
    for remainder in 0..3 {
        let [header, claims] = of_remainder(remainder);
        check([(texts(header, claims), Ok(()), "spaces behind the JSON text are JSON")]);
    }
}

#[test]
fn padding_is_refused() {
    for remainder in 1..3 {
        let [head, body] = of_remainder(remainder);
        let whole = texts(&head, &body);
        let padding = "=".repeat(3 - remainder);
        check([
            (segments(&PADDED.encode(&head), &b64(&body)), Err(Malformed), "in the header"),
            (segments(&b64(&head), &PADDED.encode(&body)), Err(Malformed), "in the claims"),
            (segments(&b64(&head), &b64(&body).replace('=', "%3D")), Ok(()), "nothing to escape"),
            (
                segments(&b64(&head), &PADDED.encode(&body).replace('=', "%3D")),
                Err(Malformed),
                "escaped, in the claims",
            ),
            (format!("{whole}="), Err(Malformed), "in the signature"),
            (format!("{whole}=="), Err(Malformed), "more of it"),
            (format!("{whole}{padding}"), Err(Malformed), "as much as others have"),
        ]);
    }
}

#[test]
fn the_standard_alphabet_is_refused() {
    let claims = access().with("x", r#""~~~???>>>~~~???>>>""#).text();
    let foreign = WITH_PLUS_AND_SLASH.encode(&claims);
    assert!(foreign.contains(['+', '/']));
    let head = header().with("x", r#""~~~???>>>~~~???>>>""#).text();
    let foreign_head = WITH_PLUS_AND_SLASH.encode(&head);
    assert!(foreign_head.contains(['+', '/']));
    let with_both = (0..1000)
        .map(|n| token(&header(), &access().with("x", n)))
        .find(|token| parts(token)[2].contains('-') && parts(token)[2].contains('_'))
        .unwrap();
    let [a, b, c] = parts(&with_both);
    check([
        (texts(&head, &claims), Ok(()), "the same texts in our alphabet"),
        (segments(&b64(header().text()), &foreign), Err(Malformed), "in the claims"),
        (segments(&foreign_head, &b64(&claims)), Err(Malformed), "in the header"),
        (format!("{a}.{b}.{}", c.replace('-', "+")), Err(Malformed), "+ in the signature"),
        (format!("{a}.{b}.{}", c.replace('_', "/")), Err(Malformed), "/ in the signature"),
    ]);
}

/// Other spellings of `segment` that a lax decoder reads as the same bytes.
fn with_trailing_bits(segment: &str) -> Vec<String> {
    let (front, last) = segment.split_at(segment.len() - 1);
    let unused = [0, 0, 4, 2][segment.len() % 4];
    let last = ALPHABET.find(last).unwrap();
    (1..1 << unused).map(|bits| format!("{front}{}", &ALPHABET[last + bits..=last + bits])).collect()
}

#[test]
fn trailing_bits_must_be_zero() {
    let mut seen = 0;
    for remainder in 1..3 {
        let [head, body] = of_remainder(remainder).map(b64);
        let whole = segments(&head, &body);
        let (message, signature) = whole.rsplit_once('.').unwrap();
        let heads = with_trailing_bits(&head).into_iter().map(|other| segments(&other, &body));
        let bodies = with_trailing_bits(&body).into_iter().map(|other| segments(&head, &other));
        let signatures = with_trailing_bits(signature).into_iter().map(|other| format!("{message}.{other}"));
        for token in heads.chain(bodies).chain(signatures) {
            check([(token, Err(Malformed), "bits behind the last byte")]);
            seen += 1;
        }
    }
    assert_eq!(seen, (15 + 15 + 3) + (3 + 3 + 3), "the number of other spellings");
}

#[test]
fn nothing_may_stand_between_the_letters() {
    let whole = token(&header(), &access());
    for foreign in
        [" ", "\n", "\r\n", "\t", "\0", "\u{b}", "\u{a0}", "\u{200b}", "\u{feff}", "%", "~", "*", "Ａ", "=", "\""]
    {
        for place in 0..=whole.len() {
            let mut changed = whole.clone();
            changed.insert_str(place, foreign);
            assert!(verdict(&changed).is_err(), "{foreign:?} at {place}");
        }
        let [head, body] = [header().text(), access().text()].map(b64);
        for place in [0, 1, 5, 10] {
            let inside = |segment: &str| format!("{}{foreign}{}", &segment[..place], &segment[place..]);
            check([
                (segments(&inside(&head), &body), Err(Malformed), format!("{foreign:?} in the header, signed")),
                (segments(&head, &inside(&body)), Err(Malformed), format!("{foreign:?} in the claims, signed")),
            ]);
        }
        check([
            (segments(&format!("{head}{foreign}"), &body), Err(Malformed), format!("{foreign:?} behind the header")),
            (segments(&head, &format!("{body}{foreign}")), Err(Malformed), format!("{foreign:?} behind the claims")),
        ]);
    }
}

#[test]
fn there_are_three_segments() {
    let whole = token(&header(), &access());
    let [a, b, c] = parts(&whole);
    check([
        (String::new(), Err(Malformed), "none"),
        (".".to_owned(), Err(Malformed), "two empty ones"),
        ("..".to_owned(), Err(MalformedHeader), "three empty ones"),
        ("...".to_owned(), Err(Malformed), "four empty ones"),
        (a.to_owned(), Err(Malformed), "one"),
        (format!("{a}.{b}"), Err(Malformed), "two"),
        (signed(a, SECRET), Err(Malformed), "two, signed"),
        (format!("{whole}."), Err(Malformed), "a dot behind"),
        (format!(".{whole}"), Err(Malformed), "a dot before"),
        (format!("{a}..{b}.{c}"), Err(Malformed), "a dot between"),
        (format!("{a}.{b}..{c}"), Err(Malformed), "another dot between"),
        (signed(&format!("{a}.{b}."), SECRET), Err(Malformed), "a dot between, signed"),
        (signed(&format!("{a}.{b}.{b}"), SECRET), Err(Malformed), "four, signed"),
        (signed(&format!("{a}.{b}.{b}.{b}"), SECRET), Err(Malformed), "five, signed"),
        (format!("{whole}.{whole}"), Err(Malformed), "two tokens"),
        (format!("{a}.{b}."), Err(Signature), "no signature"),
        (segments("", b), Err(MalformedHeader), "an empty header"),
        (segments(a, ""), Err(MalformedClaims), "no claims, as in a detached signature"),
        (format!("{a}.{b}.{}", &c[..42]), Err(Malformed), "a signature that ends within a byte"),
        (format!("{a}.{b}.{}", b64(&unb64(c)[..31])), Err(Signature), "a signature of 31 bytes"),
        (format!("{a}.{b}.{}", b64([unb64(c), vec![0]].concat())), Err(Signature), "a signature of 33 bytes"),
        (format!("{a}.{b}.{c}{c}"), Err(Malformed), "a signature twice"),
        (format!("{a}.{b}.{}", b64([0; 32])), Err(Signature), "a signature of zeros"),
        (signed(&format!("{a}.{b}"), STRANGER), Err(Signature), "a stranger's signature"),
    ]);
}

#[test]
fn the_json_serialization_is_refused() {
    let whole = token(&header(), &access());
    let [a, b, c] = parts(&whole);
    check([
        (format!(r#"{{"protected":"{a}","payload":"{b}","signature":"{c}"}}"#), Err(Malformed), "flattened"),
        (
            format!(r#"{{"payload":"{b}","signatures":[{{"protected":"{a}","signature":"{c}"}}]}}"#),
            Err(Malformed),
            "general",
        ),
        (format!("\"{whole}\""), Err(Malformed), "in quotes"),
        (format!("Bearer {whole}"), Err(Malformed), "with its scheme"),
    ]);
}
