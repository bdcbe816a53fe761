//! Codes that people type: Crockford's base32, without I, L, O and U, in groups of four.

use rand::Rng;

use crate::app::SharedRng;

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// `N` random characters, 5 bits each, in groups of four: `7KQM-02XF-9ATB`.
pub fn grouped<const N: usize>(rng: &SharedRng) -> String {
    let mut bytes = [0; N];
    rng.with(|rng| rng.fill_bytes(&mut bytes));
    let mut code = String::with_capacity(N + N / 4);
    for (i, byte) in bytes.iter().enumerate() {
        if i > 0 && i % 4 == 0 {
            code.push('-');
        }
        code.push(letter(usize::from(byte % 32)));
    }
    code
}

/// What a person typed as it was printed: capitals, no spaces or dashes, look-alikes mended.
pub fn normalised(typed: &str) -> String {
    let kept = typed.chars().filter(|c| !c.is_whitespace() && *c != '-');
    kept.map(|c| match c.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        c => c,
    })
    .collect()
}

/// A number in these letters, at least two of them.
pub fn of_number(number: u64) -> String {
    let mut letters = Vec::new();
    let mut rest = number;
    while rest > 0 || letters.len() < 2 {
        letters.push(letter((rest % 32) as usize));
        rest /= 32;
    }
    letters.iter().rev().collect()
}

fn letter(index: usize) -> char {
    char::from(ALPHABET[index])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_is_read_as_it_was_printed() {
        let code = grouped::<12>(&SharedRng::from_seed(7));
        assert_eq!((code.len(), code.matches('-').count()), (14, 2));
        let plain = code.replace('-', "");
        assert_eq!(normalised(&code), plain);
        assert_eq!(normalised(&format!(" {} ", code.to_lowercase().replace('-', " "))), plain);
        assert_eq!(normalised("oIl0"), "0110");
    }

    #[test]
    fn numbers_are_short_and_distinct() {
        let cases = [(0, "00"), (1, "01"), (31, "0Z"), (32, "10"), (1023, "ZZ"), (1024, "100")];
        for (number, text) in cases {
            assert_eq!(of_number(number), text);
        }
    }
}
