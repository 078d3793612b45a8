//! The tree hash of RFC 6962, section 2.1, with SHA-256.

use sha2::{Digest, Sha256};

use crate::bytes::{hash_at, u64_at};

/// A SHA-256 hash.
pub type Hash = [u8; 32];

/// Subtree roots that a tree of at most 2^64 - 1 leaves can have.
pub(crate) const PEAKS_MAX: usize = 64;

/// SHA-256(0x00 ‖ leaf).
pub fn leaf_hash(leaf: &[u8]) -> Hash {
    Sha256::new().chain_update([0x00]).chain_update(leaf).finalize().into()
}

/// SHA-256(0x01 ‖ left ‖ right).
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut block = [0x01; 65];
    block[1..33].copy_from_slice(left);
    block[33..].copy_from_slice(right);
    Sha256::digest(block).into()
}

/// The root of the empty tree: SHA-256 of nothing.
pub fn empty_root() -> Hash {
    Sha256::digest([]).into()
}

/// The right edge of a tree: one root for each complete subtree, largest first. Enough to append and to name the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    peaks: Vec<Hash>,
}

impl Default for Frontier {
    fn default() -> Frontier {
        Frontier { size: 0, peaks: Vec::with_capacity(PEAKS_MAX) }
    }
}

impl Frontier {
    /// The frontier of `size` leaves with these subtree roots, largest first.
    pub(crate) fn from_peaks(size: u64, peaks: Vec<Hash>) -> Frontier {
        assert_eq!(peaks.len(), size.count_ones() as usize, "BUG: peaks that do not fit the size");
        Frontier { size, peaks }
    }

    /// Number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds the next leaf by its [`leaf_hash`]. Amortised one [`node_hash`]; allocates nothing.
    pub fn append(&mut self, leaf: Hash) {
        let mut node = leaf;
        // Each trailing one bit of the size is a complete subtree of the same height as `node`.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                node = node_hash(&left, &node);
            }
        }
        self.peaks.push(node);
        self.size += 1;
    }

    /// The tree hash over all leaves. At most 63 node hashes.
    pub fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        match peaks.next() {
            None => empty_root(),
            Some(smallest) => peaks.fold(*smallest, |right, left| node_hash(left, &right)),
        }
    }

    /// The size (u64, little endian) and then the subtree roots, largest first: 8 + 32 × (one bits of the size) bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(8 + 32 * self.peaks.len());
        bytes.extend_from_slice(&self.size.to_le_bytes());
        self.peaks.iter().for_each(|peak| bytes.extend_from_slice(peak));
        bytes
    }

    /// Reads what [`Frontier::to_bytes`] wrote. None when the length does not fit the size.
    pub fn from_bytes(bytes: &[u8]) -> Option<Frontier> {
        if bytes.len() < 8 {
            return None;
        }
        let size = u64_at(bytes, 0);
        let count = size.count_ones() as usize;
        if bytes.len() != 8 + 32 * count {
            return None;
        }
        let mut peaks = Vec::with_capacity(PEAKS_MAX);
        peaks.extend((0..count).map(|i| hash_at(bytes, 8 + 32 * i)));
        Some(Frontier { size, peaks })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The leaves and roots that the certificate-transparency implementations share.
    const LEAVES: [&str; 8] =
        ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
    const ROOTS: [&str; 9] = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];

    fn unhex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
    }

    /// The definition, word for word.
    fn naive(leaves: &[Vec<u8>]) -> Hash {
        match leaves.len() {
            0 => empty_root(),
            1 => leaf_hash(&leaves[0]),
            n => {
                let k = n.next_power_of_two() / 2;
                node_hash(&naive(&leaves[..k]), &naive(&leaves[k..]))
            }
        }
    }

    #[test]
    fn matches_the_published_vectors() {
        let mut frontier = Frontier::default();
        for (i, root) in ROOTS.iter().enumerate() {
            assert_eq!(frontier.root().to_vec(), unhex(root), "root of size {i}");
            if let Some(leaf) = LEAVES.get(i) {
                frontier.append(leaf_hash(&unhex(leaf)));
            }
        }
    }

    #[test]
    fn matches_the_definition_and_survives_storage_at_every_size() {
        let leaves: Vec<Vec<u8>> = (0..300u32).map(|i| i.to_be_bytes().repeat(i as usize % 5)).collect();
        let mut frontier = Frontier::default();
        for (i, leaf) in leaves.iter().enumerate() {
            frontier.append(leaf_hash(leaf));
            assert_eq!(frontier.size(), i as u64 + 1);
            assert_eq!(frontier.root(), naive(&leaves[..=i]), "size {}", i + 1);
            frontier = Frontier::from_bytes(&frontier.to_bytes()).unwrap();
        }
    }

    #[test]
    fn a_frontier_of_the_wrong_length_is_refused() {
        let mut frontier = Frontier::default();
        (0..7).for_each(|_| frontier.append(leaf_hash(b"x")));
        let bytes = frontier.to_bytes();
        assert!(Frontier::from_bytes(&bytes[..bytes.len() - 1]).is_none());
        assert!(Frontier::from_bytes(&[bytes.clone(), vec![0]].concat()).is_none());
        assert!(Frontier::from_bytes(&[]).is_none());
    }
}
