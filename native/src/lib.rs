//! offhook: a telephone in a library.
