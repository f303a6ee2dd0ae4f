//! Encoders and decoders, whatever the codec.

use core::fmt;

use super::{Codec, g711, g722};

/// What a codec's encoder does.
pub(super) trait Encode: Send {
    /// Appends the payload for one frame of samples.
    fn encode(&mut self, samples: &[i16], payload: &mut Vec<u8>);
}

/// What a codec's decoder does.
pub(super) trait Decode: Send {
    /// Appends the samples of a payload.
    fn decode(&mut self, payload: &[u8], samples: &mut Vec<i16>);
}

/// Makes payloads of samples.
pub struct Encoder {
    codec: Codec,
    inner: Box<dyn Encode>,
}

impl Encoder {
    /// An encoder in its first state.
    pub fn new(codec: Codec) -> Self {
        // A codec without state takes no memory here.
        let inner: Box<dyn Encode> = match codec {
            Codec::Pcmu => Box::new(g711::Ulaw),
            Codec::Pcma => Box::new(g711::Alaw),
            Codec::G722 => Box::new(g722::Encoder::new()),
            #[cfg(test)]
            Codec::L16 => Box::new(super::l16::L16),
        };
        Self { codec, inner }
    }

    /// The codec.
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// Appends the payload for one frame of samples, at the codec's sample rate.
    pub fn encode(&mut self, samples: &[i16], payload: &mut Vec<u8>) {
        self.inner.encode(samples, payload);
    }
}

/// Makes samples of payloads.
pub struct Decoder {
    codec: Codec,
    inner: Box<dyn Decode>,
}

impl Decoder {
    /// A decoder in its first state.
    pub fn new(codec: Codec) -> Self {
        let inner: Box<dyn Decode> = match codec {
            Codec::Pcmu => Box::new(g711::Ulaw),
            Codec::Pcma => Box::new(g711::Alaw),
            Codec::G722 => Box::new(g722::Decoder::new(g722::Mode::Kbit64)),
            #[cfg(test)]
            Codec::L16 => Box::new(super::l16::L16),
        };
        Self { codec, inner }
    }

    /// The codec.
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// Appends the samples of a payload, at the codec's sample rate; how many
    /// [`Codec::samples_in`] tells.
    pub fn decode(&mut self, payload: &[u8], samples: &mut Vec<i16>) {
        self.inner.decode(payload, samples);
    }
}

/// Makes a vector that much longer; the new end.
pub(super) fn extend<T: Clone + Default>(vector: &mut Vec<T>, by: usize) -> &mut [T] {
    let start = vector.len();
    vector.resize(start + by, T::default());
    vector.get_mut(start..).unwrap_or_default()
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Encoder({})", self.codec.name())
    }
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Decoder({})", self.codec.name())
    }
}
