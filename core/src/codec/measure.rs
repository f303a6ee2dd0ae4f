//! What a piece of audio holds: level, frequency, gaps and delay. For tests and for `offhook demo`.
