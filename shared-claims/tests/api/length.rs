use shared_claims::TokenError::{Malformed, MalformedHeader, TooLong};

use crate::forge::{access, check, filler, header, texts};

/// The length of `bytes` bytes in base64url.
fn letters(bytes: usize) -> usize {
    (bytes * 4).div_ceil(3)
}

/// A token of exactly `length` bytes, valid in every other way.
fn of_length(length: usize) -> String {
    let (head, claims) = (header().text(), access().with("x", filler(0)).text());
    let mut fillings = (0..length).flat_map(|fill| (0..3).map(move |spaces| (fill, spaces)));
    // 45: two dots, and 43 characters of signature.
    let fits =
        |&(fill, spaces): &(usize, usize)| letters(head.len() + spaces) + letters(claims.len() + fill) + 45 == length;
    let (fill, spaces) = fillings.find(fits).unwrap();
    texts(head + &" ".repeat(spaces), access().with("x", filler(fill)).text())
}

#[test]
fn the_longest_token_has_4096_bytes() {
    check([
        (of_length(4095), Ok(()), "one less"),
        (of_length(4096), Ok(()), "exactly"),
        (of_length(4097), Err(TooLong), "one more"),
        (of_length(65_536), Err(TooLong), "64 KB"),
        (".".repeat(4096), Err(Malformed), "dots alone"),
        (".".repeat(4097), Err(TooLong), "too many dots"),
        (format!("{}..", "A".repeat(4093)), Err(Malformed), "a header that ends within a byte"),
        (format!("{}..", "A".repeat(4094)), Err(MalformedHeader), "a header as long as can be"),
        (format!("..{}", "A".repeat(4094)), Err(Malformed), "a signature as long as can be"),
    ]);
}
