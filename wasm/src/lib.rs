//! offhook in JavaScript: the telephone for a host that owns the sockets, the clock and the
//! entropy, as Node and the browser do.
#![forbid(unsafe_code)]
