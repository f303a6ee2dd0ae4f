//! Header fields (RFC 3261 §20), grouped by the shape of their values.
//!
//! [`name`]: which field it is. [`params`]: `;name=value`, common to most. [`via`]: Via. [`address`]:
//! From, To, Contact, Route, Record-Route and all others that hold a name-addr. [`list`]: values and
//! tokens joined by commas. [`number`]: CSeq, Expires and other numbers. [`content`]: Content-Type.
//! [`reason`]: Reason.

pub(crate) mod address;
pub(crate) mod content;
pub(crate) mod list;
pub(crate) mod name;
pub(crate) mod number;
pub(crate) mod params;
pub(crate) mod reason;
pub(crate) mod via;
