//! Storage whose ids are small, cheap to copy and never mean something else later.

/// Values in a vector, each with an id that stays good until the value is removed and is never
/// used again. Walked in the order of its slots, which depends only on the calls made.
#[derive(Clone, Debug)]
pub(crate) struct Slab<T> {
    entries: Vec<Entry<T>>,
    free: Option<u32>,
    len: usize,
}

/// Names a value in a [`Slab`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Slot {
    index: u32,
    generation: u32,
}

#[derive(Clone, Debug)]
struct Entry<T> {
    /// Rises each time the value is removed, so that an old [`Slot`] no longer fits.
    generation: u32,
    content: Content<T>,
}

#[derive(Clone, Debug)]
enum Content<T> {
    Value(T),
    Free { next: Option<u32> },
}

// Small, general types: not every method has a caller in every part.
#[allow(dead_code)]
impl<T> Slab<T> {
    /// An empty slab.
    pub(crate) const fn new() -> Self {
        Self { entries: Vec::new(), free: None, len: 0 }
    }

    /// How many values there are.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Puts a value in.
    ///
    /// # Panics
    /// Beyond 2^32 values; every user has a far lower limit.
    pub(crate) fn insert(&mut self, value: T) -> Slot {
        self.len += 1;
        let reused =
            self.free.and_then(|index| Some((index, self.entries.get_mut(index as usize)?)));
        if let Some((index, entry)) = reused {
            if let Content::Free { next } = entry.content {
                self.free = next;
            }
            entry.content = Content::Value(value);
            return Slot { index, generation: entry.generation };
        }
        let index = u32::try_from(self.entries.len()).expect("a slab holds at most 2^32 values");
        self.entries.push(Entry { generation: 0, content: Content::Value(value) });
        Slot { index, generation: 0 }
    }

    /// The value of `slot`, unless it was removed.
    pub(crate) fn get(&self, slot: Slot) -> Option<&T> {
        match self.entries.get(slot.index as usize)? {
            Entry { generation, content: Content::Value(value) }
                if *generation == slot.generation =>
            {
                Some(value)
            }
            _ => None,
        }
    }

    /// The value of `slot`, to change, unless it was removed.
    pub(crate) fn get_mut(&mut self, slot: Slot) -> Option<&mut T> {
        match self.entries.get_mut(slot.index as usize)? {
            Entry { generation, content: Content::Value(value) }
                if *generation == slot.generation =>
            {
                Some(value)
            }
            _ => None,
        }
    }

    /// Takes the value of `slot` out, unless it was removed before.
    pub(crate) fn remove(&mut self, slot: Slot) -> Option<T> {
        self.get(slot)?;
        let entry = self.entries.get_mut(slot.index as usize)?;
        // A slot whose generations are used up is left alone for good.
        let content = match entry.generation.checked_add(1) {
            Some(generation) => {
                entry.generation = generation;
                core::mem::replace(&mut entry.content, Content::Free { next: self.free.take() })
            }
            None => core::mem::replace(&mut entry.content, Content::Free { next: None }),
        };
        if entry.generation != slot.generation {
            self.free = Some(slot.index);
        }
        self.len -= 1;
        match content {
            Content::Value(value) => Some(value),
            Content::Free { .. } => None,
        }
    }

    /// Every value with its id.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Slot, &T)> {
        (0..).zip(&self.entries).filter_map(|(index, entry)| match &entry.content {
            Content::Value(value) => Some((Slot { index, generation: entry.generation }, value)),
            Content::Free { .. } => None,
        })
    }

    /// Every value with its id, to change.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (Slot, &mut T)> {
        (0..).zip(&mut self.entries).filter_map(|(index, entry)| match &mut entry.content {
            Content::Value(value) => Some((Slot { index, generation: entry.generation }, value)),
            Content::Free { .. } => None,
        })
    }
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_outlives_its_value_but_never_means_another() {
        let mut slab = Slab::new();
        let (a, b) = (slab.insert("a"), slab.insert("b"));
        assert_eq!(slab.remove(a), Some("a"));
        assert_eq!((slab.get(a).copied(), slab.remove(a), slab.len()), (None, None, 1));
        let c = slab.insert("c");
        assert_eq!(c.index, a.index, "the slot is used again");
        assert_eq!((slab.get(a), slab.get(b), slab.get(c)), (None, Some(&"b"), Some(&"c")));
        assert_eq!(slab.entries.len(), 2);
    }

    #[test]
    fn every_freed_slot_is_used_before_the_slab_grows() {
        let mut slab = Slab::new();
        let slots: Vec<_> = (0..10).map(|n| slab.insert(n)).collect();
        for slot in &slots[2..7] {
            slab.remove(*slot);
        }
        for n in 20..25 {
            slab.insert(n);
        }
        assert_eq!((slab.len(), slab.entries.len()), (10, 10));
        let mut values: Vec<_> = slab.iter().map(|(_, n)| *n).collect();
        values.sort_unstable();
        assert_eq!(values, [0, 1, 7, 8, 9, 20, 21, 22, 23, 24]);
        for (_, n) in slab.iter_mut() {
            *n += 1;
        }
        assert_eq!(slab.get(slots[9]), Some(&10));
    }

    #[test]
    fn a_slot_with_no_generation_left_is_retired() {
        let mut slab = Slab::new();
        slab.insert(1);
        slab.entries[0].generation = u32::MAX;
        assert_eq!(slab.remove(Slot { index: 0, generation: u32::MAX }), Some(1));
        assert_eq!(slab.insert(2), Slot { index: 1, generation: 0 });
    }
}
