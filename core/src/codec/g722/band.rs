//! One band of G.722: the adaptive step size and the adaptive predictor, which encoder and decoder
//! keep alike (ITU-T G.722 §3.5, §3.6 and §6.2.1; blocks 3 and 4).

/// What is fixed for a band.
#[derive(Debug)]
pub(super) struct Plan<const CODES: usize> {
    /// `QM4`, `QM2`: the difference that each code stands for, in steps of 32,768.
    pub(super) levels: [i16; CODES],
    /// `WL`, `WH`: what each code adds to the logarithm of the step.
    weights: [i16; CODES],
    /// The greatest logarithm of the step.
    greatest: i32,
    /// How far the step is shifted right at logarithm zero.
    shift: i32,
}

/// The lower band, by the upper four bits of its code.
pub(super) static LOWER: Plan<16> = Plan {
    levels: [
        0, -20456, -12896, -8968, -6288, -4240, -2584, -1200, 20456, 12896, 8968, 6288, 4240, 2584,
        1200, 0,
    ],
    weights: [-60, 3042, 1198, 538, 334, 172, 58, -30, 3042, 1198, 538, 334, 172, 58, -30, -60],
    greatest: 18_432,
    shift: 8,
};

/// The higher band.
pub(super) static HIGHER: Plan<4> = Plan {
    levels: [-7408, -1616, 7408, 1616],
    weights: [798, -214, 798, -214],
    greatest: 22_528,
    shift: 10,
};

/// `ILB`: 2,048 times two to the power of n/32.
static POWERS: [i16; 32] = [
    2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383, 2435, 2489, 2543, 2599, 2656, 2714, 2774, 2834,
    2896, 2960, 3025, 3091, 3158, 3228, 3298, 3371, 3444, 3520, 3597, 3676, 3756, 3838, 3922, 4008,
];

/// The state of a band.
#[derive(Clone, Debug)]
pub(super) struct Band<const CODES: usize> {
    plan: &'static Plan<CODES>,
    /// `NB`: the logarithm of the step to base 2, in steps of 2,048.
    logarithm: i32,
    /// `DET`.
    step: i32,
    /// `A1`, `A2`: the coefficients of the poles.
    poles: [i32; 2],
    /// `B1` to `B6`: the coefficients of the zeros.
    zeros: [i32; 6],
    /// `D1` to `D6`: the last differences, newest first.
    differences: [i32; 6],
    /// `R1`: the last reconstructed sample.
    reconstructed: i32,
    /// `P1`, `P2`: what the zeros and the difference made of the last two samples.
    partial: [i32; 2],
    /// `SZ`: the zeros' part of the prediction.
    zeros_part: i32,
    /// `S`.
    prediction: i32,
}

impl<const CODES: usize> Band<CODES> {
    pub(super) fn new(plan: &'static Plan<CODES>) -> Self {
        Self {
            plan,
            logarithm: 0,
            step: step(0, plan.shift),
            poles: [0; 2],
            zeros: [0; 6],
            differences: [0; 6],
            reconstructed: 0,
            partial: [0; 2],
            zeros_part: 0,
            prediction: 0,
        }
    }

    /// What the next sample should be.
    pub(super) fn prediction(&self) -> i32 {
        self.prediction
    }

    /// The unit in which differences are coded.
    pub(super) fn step(&self) -> i32 {
        self.step
    }

    /// `INVQAL`, `INVQBH`: the difference from the prediction that a code stands for.
    pub(super) fn difference(&self, code: u8) -> i32 {
        product(self.step, self.plan.levels[usize::from(code) % CODES])
    }

    /// Learns from the code of a sample, and predicts the next one.
    pub(super) fn adapt(&mut self, code: u8) {
        let difference = self.difference(code);
        self.adapt_step(code);
        // RECONS and PARREC.
        let reconstructed = saturate(self.prediction + difference);
        let partial = saturate(self.zeros_part + difference);
        self.adapt_poles(partial);
        self.adapt_zeros(difference);
        // FILTEP, FILTEZ and PREDIC.
        let poles_part = [reconstructed, self.reconstructed]
            .into_iter()
            .zip(self.poles)
            .map(|(sample, pole)| (pole * saturate(2 * sample)) >> 15)
            .sum();
        self.zeros_part = self
            .zeros
            .iter()
            .zip(self.differences)
            .rev()
            .fold(0, |sum, (b, d)| saturate(sum + saturate((b * saturate(2 * d)) >> 15)));
        self.prediction = saturate(saturate(poles_part) + self.zeros_part);
        self.reconstructed = reconstructed;
        self.partial = [partial, self.partial[0]];
    }

    /// `LOGSCL` and `SCALEL`, `LOGSCH` and `SCALEH`.
    fn adapt_step(&mut self, code: u8) {
        let Plan { weights, greatest, shift, .. } = self.plan;
        let weight = i32::from(weights[usize::from(code) % CODES]);
        self.logarithm = (((self.logarithm * 127) >> 7) + weight).clamp(0, *greatest);
        self.step = step(self.logarithm, *shift);
    }

    /// `UPPOL2` and `UPPOL1`: the poles follow the signs of the partial reconstruction, and stay where
    /// the filter is stable.
    fn adapt_poles(&mut self, partial: i32) {
        let [first, second] = self.poles;
        let like_last = same_sign(partial, self.partial[0]);
        let like_last_but_one = same_sign(partial, self.partial[1]);
        let pull = saturate(4 * first);
        let pull = if like_last { saturate(-pull) } else { pull };
        let push = if like_last_but_one { 128 } else { -128 };
        let second = ((pull >> 7) + push + ((second * 32_512) >> 15)).clamp(-12_288, 12_288);
        let push = if like_last { 192 } else { -192 };
        let bound = 15_360 - second;
        self.poles = [(push + ((first * 32_640) >> 15)).clamp(-bound, bound), second];
    }

    /// `UPZERO` and `DELAYA`: each zero follows the sign of its difference.
    fn adapt_zeros(&mut self, difference: i32) {
        let push = if difference == 0 { 0 } else { 128 };
        for (zero, past) in self.zeros.iter_mut().zip(self.differences) {
            let push = if same_sign(difference, past) { push } else { -push };
            *zero = saturate(((*zero * 32_640) >> 15) + push);
        }
        self.differences.copy_within(..5, 1);
        self.differences[0] = difference;
    }
}

/// The step of a logarithm: the fraction's power from the table, shifted by the whole.
fn step(logarithm: i32, shift: i32) -> i32 {
    let power = i32::from(POWERS[(logarithm >> 6) as usize % POWERS.len()]);
    // The greatest logarithm shifts left by one: the table is doubled and shifted right by one more.
    ((2 * power) >> (shift + 1 - (logarithm >> 11))) << 2
}

/// A step times a fraction of it in steps of 32,768.
pub(super) fn product(step: i32, fraction: i16) -> i32 {
    (step * i32::from(fraction)) >> 15
}

/// The nearest value of 16 bits.
pub(super) fn saturate(value: i32) -> i32 {
    value.clamp(i16::MIN.into(), i16::MAX.into())
}

/// Whether both are negative or neither: zero counts as positive.
fn same_sign(a: i32, b: i32) -> bool {
    (a ^ b) >= 0
}
