//! Blowfish, and the key setup of bcrypt, for several states at once.

use std::array;

/// A password or a salt, repeated to the length of the 18 subkeys.
pub(crate) type Words = [u32; SUBKEYS];

/// The state of Blowfish: 18 subkeys, and four boxes of 256 words.
#[derive(Clone)]
pub(crate) struct State([u32; WORDS]);

const SUBKEYS: usize = 18;
const BOX: usize = 256;
const WORDS: usize = SUBKEYS + 4 * BOX;

/// The initial state: the fraction of pi (B. Schneier, "Description of a New Variable-Length Key, 64-Bit Block Cipher
/// (Blowfish)", 1993).
static PI: State = State(include!("pi.in"));

impl State {
    /// `EksBlowfishSetup` without its rounds.
    pub(crate) fn new(key: &Words, salt: &Words) -> Self {
        let mut states = [PI.clone()];
        // 18 words are no multiple of the 4 words of a salt, so repeating `salt` as it is would be wrong.
        expand(&mut states, [key], |block| [salt[2 * block % 4], salt[(2 * block + 1) % 4]]);
        let [state] = states;
        state
    }

    /// The result of bcrypt: a text, encrypted 64 times.
    pub(crate) fn digest(&self) -> [u8; 24] {
        // "OrpheanBeholderScryDoubt"
        let mut text = [[0x4f72_7068, 0x6561_6e42], [0x6568_6f6c, 0x6465_7253], [0x6372_7944, 0x6f75_6274]];
        for block in &mut text {
            for _ in 0..64 {
                encrypt(array::from_ref(self), array::from_mut(block));
            }
        }
        array::from_fn(|at| text.as_flattened()[at / 4].to_be_bytes()[at % 4])
    }

    /// Blowfish's function F.
    #[inline]
    fn mix(&self, half: u32) -> u32 {
        let word = |number: usize, shift: u32| self.0[SUBKEYS + number * BOX + (half >> shift & 0xff) as usize];
        (word(0, 24).wrapping_add(word(1, 16)) ^ word(2, 8)).wrapping_add(word(3, 0))
    }
}

/// One of the 2^cost rounds of bcrypt, in each of the states: an expansion by the key, and one by the salt.
pub(crate) fn round<const N: usize>(states: &mut [State; N], keys: [&Words; N], salts: [&Words; N]) {
    for words in [keys, salts] {
        expand(states, words, |_| [0; 2]);
    }
}

/// `ExpandKey`. `salt` returns the two words that are combined with the block of the given number.
#[inline]
fn expand<const N: usize>(states: &mut [State; N], keys: [&Words; N], salt: impl Fn(usize) -> [u32; 2]) {
    for (state, key) in states.iter_mut().zip(keys) {
        for (subkey, word) in state.0.iter_mut().zip(key) {
            *subkey ^= word;
        }
    }
    let mut blocks = [[0; 2]; N];
    for number in 0..WORDS / 2 {
        let salt = salt(number);
        for block in &mut blocks {
            *block = [block[0] ^ salt[0], block[1] ^ salt[1]];
        }
        encrypt(states, &mut blocks);
        for (state, block) in states.iter_mut().zip(blocks) {
            state.0[2 * number] = block[0];
            state.0[2 * number + 1] = block[1];
        }
    }
}

/// Encrypts one block in each of the states. Each of the 16 steps is done in all states before the next step: while one
/// state waits for a table look-up, the CPU works on the others.
#[inline]
fn encrypt<const N: usize>(states: &[State; N], blocks: &mut [[u32; 2]; N]) {
    for step in (0..16).step_by(2) {
        for (state, [left, right]) in states.iter().zip(&mut *blocks) {
            *left ^= state.0[step];
            *right ^= state.mix(*left);
        }
        for (state, [left, right]) in states.iter().zip(&mut *blocks) {
            *right ^= state.0[step + 1];
            *left ^= state.mix(*right);
        }
    }
    for (state, [left, right]) in states.iter().zip(blocks) {
        (*left, *right) = (*right ^ state.0[17], *left ^ state.0[16]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fraction of pi, by Machin's formula: 16 arctan(1/5) - 4 arctan(1/239).
    fn pi() -> Vec<u32> {
        let divide = |number: &mut [u32], by: u64| {
            let mut rest = 0;
            for word in number {
                let part = rest << 32 | u64::from(*word);
                (*word, rest) = (u32::try_from(part / by).unwrap(), part % by);
            }
        };
        // One word for the integer part, the fraction, and four words for rounding errors.
        let mut sum = vec![0_u32; 1 + WORDS + 4];
        for (factor, inverse) in [(16, 5), (4, 239)] {
            let mut power = vec![0; sum.len()];
            power[0] = factor;
            divide(&mut power, inverse);
            let mut adds = factor == 16;
            for odd in (1..).step_by(2) {
                let mut term = power.clone();
                divide(&mut term, odd);
                if power.iter().all(|word| *word == 0) {
                    break;
                }
                let mut carry = 0;
                for (word, term) in sum.iter_mut().zip(term).rev() {
                    let signed = if adds { i64::from(term) } else { -i64::from(term) };
                    let total = i64::from(*word) + signed + carry;
                    *word = u32::try_from(total & 0xffff_ffff).unwrap();
                    carry = total >> 32;
                }
                adds = !adds;
                divide(&mut power, inverse * inverse);
            }
        }
        assert_eq!(sum[0], 3);
        sum[1..=WORDS].to_vec()
    }

    #[test]
    fn initial_state_is_the_fraction_of_pi() {
        assert_eq!(PI.0.to_vec(), pi());
    }
}
