//! Dialogs (RFC 3261 §12) and INVITE sessions (§13 to §15).
