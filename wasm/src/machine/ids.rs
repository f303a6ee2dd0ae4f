//! The numbers of calls, requests and referrals, which say whose they are: the line's number, times
//! 2^32, and the number at the line. That is exact in a double.

use offhook_core::event::CallId;
use offhook_core::switchboard::LineId;

/// How much a line's number counts.
const LINE: u64 = 1 << 32;

/// The number of a line's call, request or referral.
pub(crate) fn joined(line: LineId, number: u64) -> f64 {
    (u64::from(u16::from(line)) * LINE + number % LINE) as f64
}

/// The line and the number at the line.
pub(super) fn split(joined: f64) -> (u16, u64) {
    let joined = joined as u64;
    // No line has the last number.
    (u16::try_from(joined / LINE).unwrap_or(u16::MAX), joined % LINE)
}

/// The line and its call.
pub(super) fn call(joined: f64) -> (u16, CallId) {
    let (line, number) = split(joined);
    (line, CallId(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_says_whose_it_is() {
        for (line, number) in [(1, 0), (1, 1), (4_096, LINE - 1)] {
            assert_eq!(split(joined(LineId::from(line), number)), (line, number));
        }
        assert_eq!(joined(LineId::from(2), 3), 8_589_934_595.0);
        for nonsense in [f64::NAN, -1.0, f64::NEG_INFINITY] {
            assert_eq!(split(nonsense), (0, 0), "which is nobody's");
        }
        assert_eq!(split(f64::INFINITY).0, u16::MAX);
    }
}
