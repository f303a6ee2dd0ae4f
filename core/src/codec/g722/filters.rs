//! The quadrature mirror filters of G.722: they split a signal at a quarter of its sampling rate, and
//! join the halves again (ITU-T G.722 §3.1, §4.4 and §6.2.1.1).

use super::limit;

/// The even coefficients of the filter of 24; the odd ones are the same backwards. Their sum is 4,096.
const COEFFICIENTS: [i32; 12] = [3, -11, 12, 32, -210, 951, 3876, -805, 362, -156, 53, -11];

/// One signal in, two bands out.
#[derive(Clone, Debug, Default)]
pub(super) struct Analysis {
    /// The first samples of the last pairs.
    first: Delay,
    /// The second samples.
    second: Delay,
}

impl Analysis {
    /// The lower and the higher band's sample for two samples of the signal, of 15 bits each.
    pub(super) fn split(&mut self, [first, second]: [i16; 2]) -> (i32, i32) {
        self.first.push(first.into());
        self.second.push(second.into());
        let (first, second) = (self.first.filtered(), self.second.filtered_backwards());
        (limit((second + first) >> 14), limit((second - first) >> 14))
    }
}

/// Two bands in, one signal out.
#[derive(Clone, Debug, Default)]
pub(super) struct Synthesis {
    sums: Delay,
    differences: Delay,
}

impl Synthesis {
    /// Two samples of the signal for one of each band.
    pub(super) fn join(&mut self, lower: i32, higher: i32) -> [i16; 2] {
        self.sums.push(lower + higher);
        self.differences.push(lower - higher);
        [self.differences.filtered_backwards(), self.sums.filtered()]
            .map(|sample| (sample >> 11).clamp(i16::MIN.into(), i16::MAX.into()) as i16)
    }
}

/// The last twelve values of half the filter, oldest first.
#[derive(Clone, Debug, Default)]
struct Delay([i32; 12]);

impl Delay {
    fn push(&mut self, value: i32) {
        self.0.copy_within(1.., 0);
        self.0[11] = value;
    }

    fn filtered(&self) -> i32 {
        self.0.iter().zip(COEFFICIENTS).map(|(value, c)| value * c).sum()
    }

    fn filtered_backwards(&self) -> i32 {
        self.0.iter().rev().zip(COEFFICIENTS).map(|(value, c)| value * c).sum()
    }
}
