//! What officers write: words drawn from one list.

use rand::RngExt;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha20Rng;

/// The shortest note, in characters.
const NOTE_CHARS_MIN: usize = 40;
/// The longest note, in characters.
const NOTE_CHARS_MAX: usize = 120;

const WORDS: &str = "\
    about accepted account address afraid after afternoon again agreed ahead alone already always amount angry answered \
    arrears asked at away baby balance bank battery because before begin behind better boda borrowed both bring broken \
    brother busy but buy call called came cannot cash chairman charge chicken chief child children church client close \
    coffee collected come coming confirm cows credit customer daily daughter day days deposit device did dispute door \
    down drought dry due early eggs employer end evening expects explained family far farm father fees field find first \
    five fixed flooded four Friday friend from full garden gate gave goats gone good got group guarantor half harvest \
    has her here high him his home hospital hours house husband ill in income instalment job keeps kiosk know lamp land \
    landlord last late later left less letter light line little lives loan long lost low maize making market matatu \
    meeting met milk Monday money month months more morning mother moved mpesa must name near need neighbour network \
    never new next night no not nothing now number of office old on one only open other out owner owes paid panel part \
    payment people phone place plan plot police poor posho problem promised proof quarter rain rains ready reason \
    receipt refused remind rent repair repeat road roof salary Saturday says school season second selling sent shamba \
    shop short sick side sister sold solar some son soon spoke stall started still stock stopped Sunday tea the three \
    Thursday time to today tomorrow took town travel two unpaid until upcountry village visit wait wants was water way \
    wedding week weeks went wife will with work working yard yesterday young";

/// A note of 40 to 120 characters.
pub fn note(rng: &mut ChaCha20Rng) -> String {
    let aim = rng.random_range(NOTE_CHARS_MIN..=NOTE_CHARS_MAX);
    let words: Vec<&str> = WORDS.split_whitespace().collect();
    let mut note = String::new();
    while note.len() < aim {
        let word = words.choose(rng).copied().unwrap_or("paid");
        if !note.is_empty() {
            note.push(' ');
        }
        note.push_str(word);
    }
    note.truncate(aim);
    note
}

/// A few words, for tags and tasks.
pub fn phrase(rng: &mut ChaCha20Rng, words: usize) -> String {
    let list: Vec<&str> = WORDS.split_whitespace().collect();
    (0..words).filter_map(|_| list.choose(rng).copied()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn notes_have_the_length_the_issue_names() {
        let rng = &mut ChaCha20Rng::seed_from_u64(1);
        let lengths: Vec<usize> = (0..1000).map(|_| note(rng).chars().count()).collect();
        assert!(lengths.iter().all(|length| (NOTE_CHARS_MIN..=NOTE_CHARS_MAX).contains(length)));
        assert_eq!(WORDS.split_whitespace().collect::<std::collections::BTreeSet<_>>().len(), 273);
    }
}
