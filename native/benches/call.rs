//! A call in memory: INVITE, 180, 200, ACK, BYE, 200 between two phones on the simulated network
//! without delay, while the transactions of the 32 seconds before it linger.

use divan::Bencher;
use divan::counter::ItemsCount;
use offhook_core::time::Duration;
use offhook_tests::work::Pair;

fn main() {
    divan::Divan::from_args().sample_size(100).sample_count(100).run_benches();
}

/// Calls a second of virtual time.
const RATES: [u64; 2] = [10, 1_000];

#[divan::bench(args = RATES)]
fn set_up_and_end(bencher: Bencher<'_, '_>, rate: u64) {
    let mut pair = Pair::default();
    let pause = Duration::from_micros(1_000_000 / rate);
    bencher.counter(ItemsCount::new(1_usize)).bench_local(|| pair.call(pause));
}
