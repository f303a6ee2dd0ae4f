//! A phone and the media of its calls in one place.
