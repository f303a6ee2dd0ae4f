//! Sorting short lists.

use core::cmp::Ordering;

/// Sorts a list of at most some dozen values and keeps the order of equal ones.
///
/// It is an insertion sort: std's sorts are faster from about twenty values on, and each list that is sorted
/// adds three kilobytes of machine code, for JavaScript as well.
pub(crate) fn sort_few<T>(list: &mut [T], order: impl Fn(&T, &T) -> Ordering) {
    for sorted in 1..list.len() {
        let mut at = sorted;
        while at > 0 && order(&list[at - 1], &list[at]).is_gt() {
            list.swap(at - 1, at);
            at -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_sorts_and_keeps_the_order_of_equals() {
        let mut words = ["pear", "fig", "apple", "kiwi", "plum", "date", "nut"];
        sort_few(&mut words, |a, b| a.len().cmp(&b.len()));
        assert_eq!(words, ["fig", "nut", "pear", "kiwi", "plum", "date", "apple"]);
        for mut short in [vec![], vec![1], vec![2, 1]] {
            sort_few(&mut short, Ord::cmp);
            assert!(short.is_sorted());
        }
    }
}
