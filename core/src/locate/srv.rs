//! The order of SRV records (RFC 2782).

use super::Draw;
use crate::host::Srv;
use crate::sort::sort_few;

/// The records in the order in which they are to be tried: by priority, and among equals by chance,
/// each as often as its weight says.
pub(super) fn order(mut records: Vec<Srv>, mut draw: Draw) -> Vec<Srv> {
    // Within a priority those of weight 0 come first, which gives them their small chance. The rest is
    // for the same order again, for DNS servers shuffle what they say.
    sort_few(&mut records, |a, b| {
        let key = |r: &Srv| (r.priority, r.weight != 0, r.weight, r.port);
        key(a).cmp(&key(b)).then_with(|| a.target.cmp(&b.target))
    });
    let mut ordered = Vec::with_capacity(records.len());
    while let Some(first) = records.first() {
        let priority = first.priority;
        let equals = records.iter().take_while(|record| record.priority == priority);
        let sum: u64 = equals.map(|record| u64::from(record.weight)).sum();
        let drawn = draw.next() % (sum + 1);
        let mut running = 0;
        let chosen = records.iter().position(|record| {
            running += u64::from(record.weight);
            running >= drawn
        });
        ordered.push(records.remove(chosen.unwrap_or_default()));
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    fn srv(priority: u16, weight: u16, target: &str) -> Srv {
        Srv { priority, weight, port: 9, target: target.to_owned() }
    }

    /// How often each is first in 1,000 draws.
    fn firsts(records: &[Srv]) -> Vec<usize> {
        let mut counts = vec![0; records.len()];
        for seed in 0..1_000 {
            let first = order(records.to_vec(), Draw::new(seed)).swap_remove(0);
            counts[records.iter().position(|record| *record == first).unwrap()] += 1;
        }
        counts
    }

    /// The example of RFC 2782: "make three quarters of the logins go to new-fast-box".
    #[test]
    fn weights_share_and_priorities_stand() {
        let records = [
            srv(1, 0, "sysadmins-box.example.com"),
            srv(0, 1, "old-slow-box.example.com"),
            srv(1, 0, "server.example.com"),
            srv(0, 3, "new-fast-box.example.com"),
        ];
        let ordered = order(records.to_vec(), Draw::new(1));
        let priorities: Vec<u16> = ordered.iter().map(|record| record.priority).collect();
        assert_eq!(priorities, [0, 0, 1, 1]);
        // The draw is from 0 to 4 inclusive, so that a weight of 1 in 4 comes at 2 of 5.
        let counts = firsts(&records);
        assert_eq!((counts[0], counts[2]), (0, 0));
        assert!((340..=460).contains(&counts[1]), "{counts:?}");
        let heavy = [srv(0, 100, "old"), srv(0, 300, "new")];
        let counts = firsts(&heavy);
        assert!((210..=290).contains(&counts[0]), "{counts:?}");
    }

    #[test]
    fn weight_zero_is_rare_and_not_never() {
        let counts = firsts(&[srv(0, 50, "a"), srv(0, 0, "b"), srv(0, 50, "c")]);
        assert!((1..=40).contains(&counts[1]), "{counts:?}");
        assert!(counts[0] > 400 && counts[2] > 400, "{counts:?}");
    }

    #[test]
    fn nothing_is_lost_and_the_largest_weights_do_not_overflow() {
        let records: Vec<Srv> = (0..32).map(|n| srv(7, u16::MAX, &n.to_string())).collect();
        let mut ordered = order(records.clone(), Draw::new(3));
        assert_ne!(ordered, records);
        let shuffled = records.iter().rev().cloned().collect();
        assert_eq!(order(shuffled, Draw::new(3)), ordered, "the same phone, the same order");
        ordered.sort_by_key(|record| record.target.parse::<u32>().unwrap());
        assert_eq!(ordered, records);
        assert_eq!(order(Vec::new(), Draw::new(3)), []);
    }
}
