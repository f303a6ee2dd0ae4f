//! Hash tables that replay from a seed.
//!
//! What a peer writes becomes a key here (branches, Call-IDs, tags), so the hash is keyed: without
//! the key nobody can choose values that collide. The key comes from the host, so a simulation that
//! starts from the same seed builds the same tables.

use core::borrow::Borrow;
use core::hash::{BuildHasher, Hash};
use std::collections::HashMap;
use std::collections::hash_map::Entry;

use siphasher::sip::SipHasher13;

use crate::host::Entropy;

/// A hash map with a secret key.
///
/// It cannot be iterated, so the order of its entries never shows; what must be walked lives in a
/// [`Slab`](crate::slab::Slab) or a [`Map`](crate::map::Map).
#[derive(Clone)]
pub(crate) struct Table<K, V> {
    map: HashMap<K, V, Keys>,
}

// Small, general types: not every method has a caller in every part.
#[allow(dead_code)]
impl<K: Hash + Eq, V> Table<K, V> {
    /// An empty table that hashes with a key drawn from `entropy`.
    pub(crate) fn new<E: Entropy + ?Sized>(entropy: &mut E) -> Self {
        let keys = Keys { first: entropy.random(), second: entropy.random() };
        Self { map: HashMap::with_hasher(keys) }
    }

    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        self.map.len()
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// The value of `key`.
    pub(crate) fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.map.get(key)
    }

    /// The value of `key`, to change.
    pub(crate) fn get_mut<Q: Hash + Eq + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        self.map.get_mut(key)
    }

    /// Whether `key` has a value.
    pub(crate) fn contains_key<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.map.contains_key(key)
    }

    /// Gives `key` a value; returns the one it had.
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        self.map.insert(key, value)
    }

    /// The value of `key`, made by `make` when it has none.
    pub(crate) fn or_insert_with(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        self.map.entry(key).or_insert_with(make)
    }

    /// Takes `key` out with its value.
    pub(crate) fn remove<Q: Hash + Eq + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        self.map.remove(key)
    }

    /// Takes `key` out if its value is `value`; false when it is another or there is none.
    pub(crate) fn remove_if(&mut self, key: K, value: &V) -> bool
    where
        V: PartialEq,
    {
        match self.map.entry(key) {
            Entry::Occupied(entry) if entry.get() == value => {
                entry.remove();
                true
            }
            _ => false,
        }
    }

    /// Keeps only the entries for which `keep` holds. It is asked in no particular order, so it
    /// must decide each by itself and leave no other trace.
    pub(crate) fn retain(&mut self, keep: impl FnMut(&K, &mut V) -> bool) {
        self.map.retain(keep);
    }

    /// Takes every entry out.
    pub(crate) fn clear(&mut self) {
        self.map.clear();
    }
}

impl<K, V> core::fmt::Debug for Table<K, V> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Table({} entries)", self.map.len())
    }
}

/// The secret of one table: SipHash-1-3 with 128 bits of key.
#[derive(Clone)]
struct Keys {
    first: u64,
    second: u64,
}

impl BuildHasher for Keys {
    type Hasher = SipHasher13;

    fn build_hasher(&self) -> SipHasher13 {
        SipHasher13::new_with_keys(self.first, self.second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A generator that is good enough for a test.
    struct Seed(u64);

    impl Entropy for Seed {
        fn fill(&mut self, bytes: &mut [u8]) {
            for byte in bytes {
                self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                *byte = (self.0 >> 56) as u8;
            }
        }
    }

    #[test]
    fn it_is_a_map() {
        let mut table = Table::<String, u32>::new(&mut Seed(1));
        assert!(table.is_empty());
        assert_eq!(table.insert("a".to_owned(), 1), None);
        assert_eq!(table.insert("a".to_owned(), 2), Some(1));
        *table.or_insert_with("b".to_owned(), || 7) += 1;
        if let Some(value) = table.get_mut("a") {
            *value += 10;
        }
        assert_eq!((table.get("a"), table.get("b"), table.get("c")), (Some(&12), Some(&8), None));
        table.retain(|_, value| *value > 10);
        assert!(table.contains_key("a") && !table.contains_key("b"));
        assert!(!table.remove_if("a".to_owned(), &1) && !table.remove_if("b".to_owned(), &12));
        assert_eq!((table.remove("a"), table.remove("a"), table.len()), (Some(12), None, 0));
        table.insert("c".to_owned(), 1);
        assert!(table.remove_if("c".to_owned(), &1) && table.is_empty());
    }

    #[test]
    fn the_key_is_the_seeds() {
        let hash = |seed| Table::<u64, ()>::new(&mut Seed(seed)).map.hasher().hash_one(5_u64);
        assert_eq!(hash(1), hash(1));
        assert_ne!(hash(1), hash(2));
    }
}
