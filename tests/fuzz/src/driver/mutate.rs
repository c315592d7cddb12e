//! New inputs from old ones: small damage, pieces of other inputs, words, and numbers at their edges.

use std::ops::Range;

use super::random::Random;

/// Changes on top of each other: one finds the near mistakes, several the combinations.
const CHANGES_MAX: usize = 6;
/// A piece that is taken out, doubled or moved. Longer ones leave nothing of the input.
const PIECE_OCTETS_MAX: usize = 512;
/// Repetitions of a piece: enough to pass bounds on numbers of things.
const REPEATS_MAX: usize = 300;
/// Where lengths and counters go wrong.
const EDGES: [u64; 15] = [
    0,
    1,
    0x7f,
    0x80,
    0xff,
    0x100,
    0x7fff,
    0x8000,
    0xffff,
    0x1_0000,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x7fff_ffff_ffff_ffff,
    u64::MAX,
];

/// Makes inputs.
pub(super) struct Mutator {
    corpus: Vec<Vec<u8>>,
    words: &'static [&'static str],
    random: Random,
}

impl Mutator {
    pub(super) fn new(corpus: Vec<Vec<u8>>, words: &'static [&'static str], seed: u64) -> Self {
        Self { corpus, words, random: Random::new(seed) }
    }

    /// One of the corpus, changed.
    pub(super) fn next_input(&mut self) -> Vec<u8> {
        let mut input = self.random.one_of(&self.corpus).cloned().unwrap_or_default();
        for _ in 0..=self.random.below(CHANGES_MAX) {
            self.change(&mut input);
        }
        input
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        match self.random.below(11) {
            0 => self.flip(input),
            1 => self.octet(input),
            2 => self.edge_field(input),
            3 => self.edge_digits(input),
            4 => {
                let piece = self.piece(input.len());
                input.drain(piece);
            }
            5 => self.double(input),
            6 => self.splice(input),
            7 | 8 => self.word(input),
            9 => {
                let end = self.random.below(input.len().saturating_add(1));
                input.truncate(end);
            }
            _ => self.noise(input),
        }
    }

    fn flip(&mut self, input: &mut [u8]) {
        let at = self.random.below(input.len());
        if let Some(octet) = input.get_mut(at) {
            *octet ^= 1 << self.random.below(8);
        }
    }

    fn octet(&mut self, input: &mut [u8]) {
        let at = self.random.below(input.len());
        let new = self.random.octet();
        if let Some(octet) = input.get_mut(at) {
            *octet = new;
        }
    }

    /// A binary number of 1 to 8 octets, little or big endian.
    fn edge_field(&mut self, input: &mut [u8]) {
        let edge = self.random.one_of(&EDGES).copied().unwrap_or(0);
        let width = 1 << self.random.below(4);
        let little = self.random.below(2) == 0;
        let octets = edge.to_le_bytes();
        let at = self.random.below(input.len());
        for (place, octet) in input.iter_mut().skip(at).take(width).enumerate() {
            let from = if little { place } else { width - 1 - place };
            *octet = octets.get(from).copied().unwrap_or(0);
        }
    }

    /// A decimal number.
    fn edge_digits(&mut self, input: &mut Vec<u8>) {
        let from = self.random.below(input.len());
        let digit = |octet: &u8| octet.is_ascii_digit();
        let Some(start) = input.iter().skip(from).position(digit).map(|at| at + from) else {
            return;
        };
        let length = input.iter().skip(start).take_while(|octet| digit(octet)).count();
        let edge = self.random.one_of(&EDGES).copied().unwrap_or(0);
        let sign = if self.random.below(8) == 0 { "-" } else { "" };
        input.splice(start..start + length, format!("{sign}{edge}").into_bytes());
    }

    fn double(&mut self, input: &mut Vec<u8>) {
        let range = self.piece(input.len());
        let piece = input.get(range.clone()).unwrap_or_default().to_vec();
        let times = if self.random.below(4) == 0 { self.random.below(REPEATS_MAX) } else { 1 };
        input.splice(range.end..range.end, piece.repeat(times));
    }

    /// The beginning of this one and the end of another, or a piece of another in the middle.
    fn splice(&mut self, input: &mut Vec<u8>) {
        let other = self.random.one_of(&self.corpus).cloned().unwrap_or_default();
        let at = self.random.below(input.len().saturating_add(1));
        if self.random.below(2) == 0 {
            let from = self.random.below(other.len());
            input.truncate(at);
            input.extend(other.into_iter().skip(from));
        } else {
            let piece = self.piece(other.len());
            input.splice(at..at, other.get(piece).unwrap_or_default().to_vec());
        }
    }

    fn word(&mut self, input: &mut Vec<u8>) {
        let word = self.random.one_of(self.words).copied().unwrap_or_default();
        let at = self.random.below(input.len().saturating_add(1));
        let over = if self.random.below(2) == 0 { word.len() } else { 0 };
        let end = at.saturating_add(over).min(input.len());
        input.splice(at..end, word.bytes());
    }

    fn noise(&mut self, input: &mut Vec<u8>) {
        let at = self.random.below(input.len().saturating_add(1));
        let count = self.random.below(16);
        let octets: Vec<u8> = (0..count).map(|_| self.random.octet()).collect();
        input.splice(at..at, octets);
    }

    /// A piece of something this long.
    fn piece(&mut self, length: usize) -> Range<usize> {
        let start = self.random.below(length.saturating_add(1));
        let octets = self.random.below(PIECE_OCTETS_MAX);
        start..start.saturating_add(octets).min(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_its_inputs_and_another_gives_others() {
        let corpus = || vec![b"GET / HTTP/1.1\r\nHost: 12\r\n\r\n".to_vec(), vec![0; 40]];
        let inputs = |seed| {
            let mut mutator = Mutator::new(corpus(), &["word"], seed);
            (0..200).map(|_| mutator.next_input()).collect::<Vec<_>>()
        };
        assert_eq!(inputs(7), inputs(7));
        assert_ne!(inputs(7), inputs(8));
        let different: std::collections::BTreeSet<_> = inputs(7).into_iter().collect();
        assert!(different.len() > 150, "{} different inputs", different.len());
    }

    #[test]
    fn nothing_is_a_corpus_too() {
        let mut mutator = Mutator::new(Vec::new(), &[], 1);
        for _ in 0..500 {
            mutator.next_input();
        }
    }
}
