//! offhook in JavaScript.
