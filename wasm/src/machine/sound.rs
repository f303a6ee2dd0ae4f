//! Sound and digits of a call. Rates are samples a second, times are seconds.

use js_sys::Int16Array;
use offhook_core::error::Error;
use offhook_core::event::CallState;
use offhook_core::rtp::MediaSession;
use offhook_core::time::Duration;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use super::{Machine, ids};
use crate::error::{refused, thrown};
use crate::event;
use crate::object::number;

#[wasm_bindgen]
impl Machine {
    /// Queues 16-bit samples to be sent, `rate` a second; returns how many were taken.
    #[wasm_bindgen(js_name = writeAudio)]
    pub fn write_audio(&mut self, call: f64, rate: u32, samples: &[i16]) -> Result<usize, JsValue> {
        self.playing(call, "write audio to", |media| media.write_audio(rate, samples))
    }

    /// How much written audio waits to be sent.
    pub fn queued(&mut self, call: f64) -> Result<f64, JsValue> {
        self.look_at_media(call, |media| seconds(media.queued()))
    }

    /// How much written audio has been sent.
    pub fn played(&mut self, call: f64) -> Result<f64, JsValue> {
        self.look_at_media(call, |media| seconds(media.played()))
    }

    /// Drops the written audio that waits; returns how much that was.
    #[wasm_bindgen(js_name = flushAudio)]
    pub fn flush_audio(&mut self, call: f64) -> Result<f64, JsValue> {
        self.media(call, |media| seconds(media.flush_audio()))
    }

    /// Sets a mark after what was written; an event `mark` brings it back. False when too many wait.
    pub fn mark(&mut self, call: f64, name: &str) -> Result<bool, JsValue> {
        self.playing(call, "set a mark in", |media| media.mark(name))
    }

    /// Fills `out` with heard audio, from its beginning; returns how many samples there were.
    #[wasm_bindgen(js_name = readAudio)]
    pub fn read_audio(&mut self, call: f64, rate: u32, out: &mut [i16]) -> Result<usize, JsValue> {
        self.media(call, |media| media.read_audio(rate, out))
    }

    /// As `readAudio`, and fills the rest with silence.
    #[wasm_bindgen(js_name = readAudioOrSilence)]
    pub fn read_audio_or_silence(
        &mut self,
        call: f64,
        rate: u32,
        out: &mut [i16],
    ) -> Result<usize, JsValue> {
        out.fill(0);
        self.media(call, |media| media.read_audio_or_silence(rate, out))
    }

    /// How many samples `readAudio` has at that rate.
    pub fn available(&mut self, call: f64, rate: u32) -> Result<usize, JsValue> {
        self.look_at_media(call, |media| media.available(rate))
    }

    /// Sends digits: 0 to 9, *, #, A to D.
    #[wasm_bindgen(js_name = sendDtmf)]
    pub fn send_dtmf(&mut self, call: f64, digits: &str) -> Result<(), JsValue> {
        let sent = self.playing(call, "send digits to", |media| media.send_dtmf(digits))?;
        sent.map_err(|error| thrown("dtmf", &error.to_string()))
    }

    /// How many received digits wait to be taken: at most 1,024, then the oldest give way.
    #[wasm_bindgen(js_name = availableDtmf)]
    pub fn available_dtmf(&mut self, call: f64) -> Result<usize, JsValue> {
        self.look_at_media(call, MediaSession::available_dtmf)
    }

    /// Takes received digits, oldest first: at most `length`, or all.
    #[wasm_bindgen(js_name = takeDtmf)]
    pub fn take_dtmf(&mut self, call: f64, length: Option<usize>) -> Result<String, JsValue> {
        self.media(call, |media| media.take_dtmf(length))
    }

    /// What the media of a call has done so far; `undefined` without media.
    #[wasm_bindgen(unchecked_return_type = "CallStats | undefined")]
    pub fn stats(&mut self, call: f64) -> Result<JsValue, JsValue> {
        let stats = self.look_at(call, |line, call| line.stats(call))?;
        Ok(stats.map_or(JsValue::UNDEFINED, |stats| event::stats(&stats)))
    }

    /// Samples a second inside the call: what its codec carries; 8,000 before one is agreed.
    pub fn rate(&mut self, call: f64) -> Result<u32, JsValue> {
        let rate = self.look_at(call, |line, call| line.media(call).map(MediaSession::rate))?;
        Ok(rate.unwrap_or(8_000))
    }

    /// Whether both directions are kept for `takeTap`, two seconds at most. False when the call has no
    /// media yet, or none any more.
    #[wasm_bindgen(js_name = setTap)]
    pub fn set_tap(&mut self, call: f64, on: bool) -> Result<bool, JsValue> {
        self.media(call, |media| {
            media.set_tap(on);
            true
        })
    }

    /// The rate of what the tap keeps, which the first frame decides; `undefined` before it.
    #[wasm_bindgen(js_name = tapRate)]
    pub fn tap_rate(&mut self, call: f64) -> Result<Option<u32>, JsValue> {
        self.look_at(call, |line, call| line.media(call)?.tap_rate())
    }

    /// Takes what the tap kept: left what was sent, right what was heard, one sample of each in turn.
    #[wasm_bindgen(js_name = takeTap)]
    pub fn take_tap(&mut self, call: f64) -> Result<Int16Array, JsValue> {
        let kept: Vec<i16> = self.media(call, |media| media.drain_tap().flatten().collect())?;
        Ok(Int16Array::from(kept.as_slice()))
    }
}

impl Machine {
    /// Acts on the media of a call that can be played to.
    fn playing<T>(
        &mut self,
        call: f64,
        command: &'static str,
        act: impl FnOnce(&mut MediaSession) -> T,
    ) -> Result<T, JsValue> {
        let state = self.of_call(call, |phone, call| match phone.state(call) {
            Some(state @ (CallState::Answered | CallState::Progress)) => Ok(state),
            state => Err(Error::InvalidState { command, state: state.unwrap_or(CallState::Ended) }),
        })?;
        let (line, id) = ids::call(call);
        let done =
            self.ground.board(|board| Some(act(board.line_mut(line.into())?.media_mut(id)?)))?;
        done.ok_or_else(|| refused(Error::InvalidState { command, state }))
    }

    /// Acts on the media of a call; without media nothing is done.
    fn media<T: Default>(
        &mut self,
        call: f64,
        act: impl FnOnce(&mut MediaSession) -> T,
    ) -> Result<T, JsValue> {
        let (line, call) = ids::call(call);
        let done = self
            .ground
            .board(|board| Some(act(board.line_mut(line.into())?.media_mut(call)?)))?;
        Ok(done.unwrap_or_default())
    }

    fn look_at_media<T: Default>(
        &mut self,
        call: f64,
        look: impl FnOnce(&MediaSession) -> T,
    ) -> Result<T, JsValue> {
        let seen = self.look_at(call, |line, call| line.media(call).map(look))?;
        Ok(seen.unwrap_or_default())
    }
}

fn seconds(time: Duration) -> f64 {
    number(time.as_micros()) / 1e6
}
