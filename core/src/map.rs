//! Maps and sets that are walked in the order of their keys.
//!
//! They take the place of std's B-trees, of which each pair of types makes eight kilobytes of machine code:
//! for JavaScript that was a quarter of the telephone. Here it is one. A map that becomes empty keeps its
//! room, so entries that come and go one by one allocate nothing.

use core::borrow::Borrow;
use core::cmp::Ordering;
use core::fmt;
use core::mem;
use core::slice;
use std::vec;

/// How many entries a leaf has at most: what a search walks through, and an insertion or a removal moves.
const LEAF: u32 = 32;

/// A map in the order of its keys: a tree of two levels.
///
/// A search takes O(log n) comparisons for the leaf, and some within it; an insertion or a removal moves at
/// most [`LEAF`] entries and, once in about as many, the list of leaves.
#[derive(Clone)]
pub(crate) struct Map<K, V> {
    /// Sorted, and each sorted in itself. None is empty unless it is the only one.
    leaves: Vec<Vec<(K, V)>>,
    len: usize,
}

/// A set in the order of its keys.
#[derive(Clone)]
pub(crate) struct Set<K> {
    map: Map<K, ()>,
}

/// The place of an entry. It is so small that it is passed in registers.
#[derive(Clone, Copy)]
struct Place {
    leaf: u32,
    entry: u32,
}

impl Place {
    const fn leaf(self) -> usize {
        self.leaf as usize
    }

    const fn entry(self) -> usize {
        self.entry as usize
    }
}

impl<K, V> Map<K, V> {
    /// An empty map.
    pub(crate) const fn new() -> Self {
        Self { leaves: Vec::new(), len: 0 }
    }

    /// How many entries there are.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Takes every entry out.
    pub(crate) fn clear(&mut self) {
        self.leaves.clear();
        self.len = 0;
    }

    /// Every entry.
    pub(crate) fn iter(&self) -> Iter<'_, K, V> {
        Iter { leaves: self.leaves.iter(), leaf: [].iter() }
    }

    /// Every entry, its value to change.
    pub(crate) fn iter_mut(&mut self) -> IterMut<'_, K, V> {
        IterMut { leaves: self.leaves.iter_mut(), leaf: [].iter_mut() }
    }

    /// Every key.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &K> {
        self.iter().map(|(key, _)| key)
    }

    /// Every value.
    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }

    /// Every value, to change.
    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.iter_mut().map(|(_, value)| value)
    }

    /// Every value, taken out.
    pub(crate) fn into_values(self) -> impl Iterator<Item = V> {
        self.into_iter().map(|(_, value)| value)
    }
}

impl<K: Ord, V> Map<K, V> {
    /// The value of `key`.
    pub(crate) fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let place = self.find(key).ok()?;
        self.leaves.get(place.leaf())?.get(place.entry()).map(|(_, value)| value)
    }

    /// The value of `key`, to change.
    pub(crate) fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let place = self.find(key).ok()?;
        self.value_at(place)
    }

    /// Whether `key` has a value.
    pub(crate) fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.find(key).is_ok()
    }

    /// Gives `key` a value; returns the one it had.
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self.find(&key) {
            Ok(place) => self.value_at(place).map(|there| mem::replace(there, value)),
            Err(place) => {
                self.insert_at(place, key, value);
                None
            }
        }
    }

    /// Gives `key` a value unless it has one; whether it had none.
    pub(crate) fn insert_new(&mut self, key: K, value: V) -> bool {
        let place = self.find(&key);
        if let Err(place) = place {
            self.insert_at(place, key, value);
        }
        place.is_err()
    }

    /// The value of `key`, the default one when it has none.
    pub(crate) fn or_default(&mut self, key: K) -> &mut V
    where
        V: Default,
    {
        self.or_insert_with(key, V::default)
    }

    /// The value of `key`, what `make` makes when it has none.
    pub(crate) fn or_insert_with(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        let place = match self.find(&key) {
            Ok(place) => place,
            Err(place) => self.insert_at(place, key, make()),
        };
        &mut self.leaves[place.leaf()][place.entry()].1
    }

    /// Takes `key` out with its value.
    pub(crate) fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let place = self.find(key).ok()?;
        Some(self.remove_at(place).1)
    }

    /// Takes out the entry of the least key.
    pub(crate) fn pop_first(&mut self) -> Option<(K, V)> {
        (self.len > 0).then(|| self.remove_at(Place { leaf: 0, entry: 0 }))
    }

    /// Keeps only the entries for which `keep` holds, asked in the order of the keys.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&K, &mut V) -> bool) {
        let mut len = 0;
        for leaf in &mut self.leaves {
            leaf.retain_mut(|(key, value)| keep(key, value));
            len += leaf.len();
        }
        self.len = len;
        self.leaves.retain(|leaf| !leaf.is_empty());
    }

    /// Every entry whose key is not below `from`.
    pub(crate) fn iter_from<Q: Ord + ?Sized>(&self, from: &Q) -> Iter<'_, K, V>
    where
        K: Borrow<Q>,
    {
        let (Ok(place) | Err(place)) = self.find(from);
        let (leaf, leaves) = self.leaves[place.leaf().min(self.leaves.len())..]
            .split_first()
            .map_or((&[][..], &[][..]), |(leaf, rest)| (&leaf[place.entry()..], rest));
        Iter { leaves: leaves.iter(), leaf: leaf.iter() }
    }

    /// Where `key` is, or where it belongs.
    fn find<Q: Ord + ?Sized>(&self, key: &Q) -> Result<Place, Place>
    where
        K: Borrow<Q>,
    {
        let last = self.leaves.len().saturating_sub(1);
        let Some(leaf) = self.leaves.get(last) else { return Err(Place { leaf: 0, entry: 0 }) };
        // The last leaf that does not begin beyond the key.
        let (number, leaf) = match last {
            0 => (0, leaf),
            _ => {
                let found = search(last, |number| self.leaves[number + 1][0].0.borrow().cmp(key));
                let number = found.map_or_else(|number| number, |number| number + 1);
                (number, &self.leaves[number])
            }
        };
        let place = |entry: usize| Place { leaf: number as u32, entry: entry as u32 };
        let found = search(leaf.len(), |entry| leaf[entry].0.borrow().cmp(key));
        found.map(place).map_err(place)
    }

    fn value_at(&mut self, place: Place) -> Option<&mut V> {
        self.leaves.get_mut(place.leaf())?.get_mut(place.entry()).map(|(_, value)| value)
    }

    /// Puts an entry at the place where it belongs, as [`find`](Self::find) said, and returns where it is.
    fn insert_at(&mut self, mut place: Place, key: K, value: V) -> Place {
        if self.leaves.get(place.leaf()).is_none_or(|leaf| leaf.len() == LEAF as usize) {
            place = self.make_room(place);
        }
        self.leaves[place.leaf()].insert(place.entry(), (key, value));
        self.len += 1;
        place
    }

    /// Gives the list its first leaf, or divides the leaf at `place`; where that is then.
    #[inline(never)]
    fn make_room(&mut self, place: Place) -> Place {
        let Some(leaf) = self.leaves.get_mut(place.leaf()) else {
            self.leaves.push(Vec::new());
            return place;
        };
        // Keys that rise, as ids do, fill one leaf after the other; others share in halves.
        let half = if place.entry == LEAF { LEAF } else { LEAF / 2 };
        let upper = leaf.split_off(half as usize);
        self.leaves.insert(place.leaf() + 1, upper);
        match place.entry.checked_sub(half) {
            Some(entry) => Place { leaf: place.leaf + 1, entry },
            None => place,
        }
    }

    fn remove_at(&mut self, place: Place) -> (K, V) {
        let leaf = &mut self.leaves[place.leaf()];
        let entry = leaf.remove(place.entry());
        if leaf.is_empty() && self.leaves.len() > 1 {
            self.remove_leaf(place.leaf());
        }
        self.len -= 1;
        entry
    }

    #[inline(never)]
    fn remove_leaf(&mut self, number: usize) {
        self.leaves.remove(number);
    }
}

/// The number of the one that is equal among so many in order, or where it belongs; `order` compares one.
fn search(len: usize, order: impl Fn(usize) -> Ordering) -> Result<usize, usize> {
    let (mut low, mut high) = (0, len);
    while low < high {
        let middle = low.midpoint(high);
        match order(middle) {
            Ordering::Less => low = middle + 1,
            Ordering::Equal => return Ok(middle),
            Ordering::Greater => high = middle,
        }
    }
    Err(low)
}

impl<K> Set<K> {
    /// An empty set.
    pub(crate) const fn new() -> Self {
        Self { map: Map::new() }
    }

    /// How many keys there are.
    pub(crate) const fn len(&self) -> usize {
        self.map.len()
    }

    /// Whether there are none.
    pub(crate) const fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// Every key.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &K> {
        self.map.keys()
    }

    /// Every key, taken out.
    pub(crate) fn into_keys(self) -> impl Iterator<Item = K> {
        self.map.into_iter().map(|(key, ())| key)
    }
}

impl<K: Ord> Set<K> {
    /// Whether `key` is among them.
    pub(crate) fn contains(&self, key: &K) -> bool {
        self.map.contains_key(key)
    }

    /// Puts a key in; whether it was not there.
    pub(crate) fn insert(&mut self, key: K) -> bool {
        self.map.insert_new(key, ())
    }

    /// Takes a key out; whether it was there.
    pub(crate) fn remove(&mut self, key: &K) -> bool {
        self.map.remove(key).is_some()
    }
}

impl<K, V> Default for Map<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K> Default for Set<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: PartialEq> PartialEq for Set<K> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl<K: Eq> Eq for Set<K> {}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for Map<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<K: fmt::Debug> fmt::Debug for Set<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl<K: Ord, V> FromIterator<(K, V)> for Map<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = Self::new();
        for (key, value) in entries {
            map.insert(key, value);
        }
        map
    }
}

impl<K: Ord> FromIterator<K> for Set<K> {
    fn from_iter<I: IntoIterator<Item = K>>(keys: I) -> Self {
        let mut set = Self::new();
        set.extend(keys);
        set
    }
}

impl<K: Ord> Extend<K> for Set<K> {
    fn extend<I: IntoIterator<Item = K>>(&mut self, keys: I) {
        for key in keys {
            self.insert(key);
        }
    }
}

impl<K, V> IntoIterator for Map<K, V> {
    type Item = (K, V);
    type IntoIter = IntoIter<K, V>;

    fn into_iter(self) -> IntoIter<K, V> {
        IntoIter { leaves: self.leaves.into_iter(), leaf: Vec::new().into_iter() }
    }
}

impl<'a, K, V> IntoIterator for &'a Map<K, V> {
    type Item = (&'a K, &'a V);
    type IntoIter = Iter<'a, K, V>;

    fn into_iter(self) -> Iter<'a, K, V> {
        self.iter()
    }
}

impl<'a, K, V> IntoIterator for &'a mut Map<K, V> {
    type Item = (&'a K, &'a mut V);
    type IntoIter = IterMut<'a, K, V>;

    fn into_iter(self) -> IterMut<'a, K, V> {
        self.iter_mut()
    }
}

/// The entries of a [`Map`].
pub(crate) struct Iter<'a, K, V> {
    leaves: slice::Iter<'a, Vec<(K, V)>>,
    leaf: slice::Iter<'a, (K, V)>,
}

impl<'a, K, V> Iterator for Iter<'a, K, V> {
    type Item = (&'a K, &'a V);

    fn next(&mut self) -> Option<(&'a K, &'a V)> {
        loop {
            if let Some((key, value)) = self.leaf.next() {
                return Some((key, value));
            }
            self.leaf = self.leaves.next()?.iter();
        }
    }
}

/// The entries of a [`Map`], their values to change.
pub(crate) struct IterMut<'a, K, V> {
    leaves: slice::IterMut<'a, Vec<(K, V)>>,
    leaf: slice::IterMut<'a, (K, V)>,
}

impl<'a, K, V> Iterator for IterMut<'a, K, V> {
    type Item = (&'a K, &'a mut V);

    fn next(&mut self) -> Option<(&'a K, &'a mut V)> {
        loop {
            if let Some((key, value)) = self.leaf.next() {
                return Some((key, value));
            }
            self.leaf = self.leaves.next()?.iter_mut();
        }
    }
}

/// The entries of a [`Map`], taken out.
pub(crate) struct IntoIter<K, V> {
    leaves: vec::IntoIter<Vec<(K, V)>>,
    leaf: vec::IntoIter<(K, V)>,
}

impl<K, V> Iterator for IntoIter<K, V> {
    type Item = (K, V);

    fn next(&mut self) -> Option<(K, V)> {
        loop {
            if let Some(entry) = self.leaf.next() {
                return Some(entry);
            }
            self.leaf = self.leaves.next()?.into_iter();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// A xorshift generator.
    fn random(state: &mut u32) -> u32 {
        *state ^= *state << 13;
        *state ^= *state >> 17;
        *state ^= *state << 5;
        *state
    }

    fn check(map: &Map<u32, u32>, expected: &BTreeMap<u32, u32>) {
        assert_eq!(map.len(), expected.len());
        assert!(map.iter().eq(expected.iter()));
        assert_eq!(map.iter().next(), expected.first_key_value());
        assert_eq!(map.iter().last(), expected.last_key_value());
        let whole = map.leaves.iter().all(|leaf| leaf.len() <= LEAF as usize && !leaf.is_empty());
        assert!(whole || map.leaves.len() == 1);
    }

    #[test]
    fn it_does_as_a_b_tree() {
        let mut state = 2_463_534_242;
        for keys in [1, 10, 100, 10_000] {
            let (mut map, mut expected) = (Map::new(), BTreeMap::new());
            for _ in 0..20_000 {
                let (what, key) = (random(&mut state) % 100, random(&mut state) % keys);
                match what {
                    0..50 => assert_eq!(map.insert(key, what), expected.insert(key, what)),
                    50..90 => assert_eq!(map.remove(&key), expected.remove(&key)),
                    90..94 => assert_eq!(map.pop_first(), expected.pop_first()),
                    94 => {
                        *map.or_default(key) += 1;
                        *expected.entry(key).or_default() += 1;
                    }
                    95 => {
                        let new = !expected.contains_key(&key);
                        expected.entry(key).or_insert(what);
                        assert_eq!(map.insert_new(key, what), new);
                    }
                    96 => assert!(map.iter_from(&key).eq(expected.range(key..))),
                    _ => assert_eq!(map.get(&key), expected.get(&key)),
                }
            }
            check(&map, &expected);
            map.retain(|key, value| (key ^ *value) % 3 == 0);
            expected.retain(|key, value| (key ^ *value) % 3 == 0);
            check(&map, &expected);
            map.values_mut().for_each(|value| *value += 1);
            expected.values_mut().for_each(|value| *value += 1);
            assert!(map.clone().into_values().eq(expected.into_values()));
            map.clear();
            check(&map, &BTreeMap::new());
        }
    }

    #[test]
    fn keys_that_rise_fill_their_leaves() {
        let map: Map<u32, ()> = (0..1_000).map(|key| (key, ())).collect();
        assert_eq!(map.leaves.len(), 1_000_usize.div_ceil(LEAF as usize));
        let mut map = map;
        (0..1_000).for_each(|key| assert!(map.remove(&key).is_some()));
        assert_eq!((map.len(), map.leaves.len()), (0, 1), "and an empty map keeps one");
        assert!(map.iter().next().is_none() && map.pop_first().is_none());
    }

    #[test]
    fn a_set_has_each_key_once() {
        let mut set: Set<u8> = [3, 1, 2, 3].into_iter().collect();
        assert!(!set.insert(1) && set.insert(4) && set.remove(&2) && !set.remove(&2));
        assert!(set.iter().eq(&[1, 3, 4]) && set.contains(&3) && !set.contains(&2));
        assert_eq!(set.len(), 3);
        assert!([1, 3, 4].iter().all(|key| set.remove(key)));
        assert!(set.is_empty());
    }
}
