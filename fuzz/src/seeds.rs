//! Every target over its seeds and over a few thousand changes of them, the same
//! ones each time: what any compiler can run.

use crate::TARGETS;
use std::path::Path;

/// Changed seeds for each target.
const CHANGED: usize = 2000;
/// Texts that readers look for; a change puts some of them in strange places.
const WORDS: [&[u8]; 24] = [
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b"\\",
    b",",
    b":",
    b"null",
    b"value",
    b"id",
    b"\\ud800",
    b"\\u0000",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\r\n",
    b"\n",
    b"<",
    b"&#0;",
    b"]]>",
    b"99999999999999999999",
    b"-1",
    b"1e999",
    b"\x00",
];

/// A small deterministic source of numbers (splitmix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % end.max(1) as u64) as usize
    }

    /// A place in the bytes, their end included.
    fn place(&mut self, bytes: &[u8]) -> usize {
        self.below(bytes.len() + 1)
    }

    fn change(&mut self, bytes: &mut Vec<u8>, other: &[u8]) {
        let (one, two) = (self.place(bytes), self.place(bytes));
        let (from, to) = (one.min(two), one.max(two));
        match self.below(7) {
            0 => bytes.truncate(one),
            1 => drop(bytes.drain(from..to.min(from + 64))),
            2 => {
                let piece = bytes[from..to.min(from + 256)].to_vec();
                bytes.splice(one..one, piece);
            }
            3 => {
                let word = WORDS[self.below(WORDS.len())];
                bytes.splice(one..one, word.iter().copied());
            }
            4 => {
                let cut = self.place(other);
                bytes.truncate(one);
                bytes.extend_from_slice(&other[cut..]);
            }
            5 if from < bytes.len() => bytes[from] ^= 1 << self.below(8),
            _ if from < bytes.len() => bytes[from] = self.below(256) as u8,
            _ => {}
        }
    }
}

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("seeds")
        .join(target);
    let entries =
        std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let seeds: Vec<_> = paths
        .iter()
        .map(|path| std::fs::read(path).unwrap())
        .collect();
    assert!(!seeds.is_empty(), "no seeds in {}", folder.display());
    seeds
}

#[test]
fn no_reader_is_shaken_by_its_seeds_or_by_changes_of_them() {
    for (name, target) in TARGETS {
        let seeds = seeds(name);
        let mut dice = Dice(7);
        let mut bytes = Vec::new();
        target(&bytes);
        let taken = seeds.iter().filter(|seed| target(seed)).count();
        assert!(taken > 0, "{name}: no seed is what the reader reads");
        for number in 0..CHANGED {
            bytes.clone_from(&seeds[number % seeds.len()]);
            for _ in 0..=dice.below(6) {
                let other = dice.below(seeds.len());
                dice.change(&mut bytes, &seeds[other]);
            }
            let run = std::panic::catch_unwind(|| target(&bytes));
            assert!(
                run.is_ok(),
                "{name}, change {number}: {}",
                bytes.escape_ascii()
            );
        }
    }
}

#[test]
fn every_target_is_built_for_the_fuzzer() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = std::fs::read_to_string(root.join("Cargo.toml")).unwrap();
    for (name, _) in TARGETS {
        let target = std::fs::read_to_string(root.join(format!("fuzz_targets/{name}.rs"))).unwrap();
        assert!(target.contains(&format!("::{name}(data)")), "{name}");
        assert!(
            manifest.contains(&format!("fuzz_targets/{name}.rs")),
            "{name}"
        );
    }
}
