//! A dialog of its own, outside of the call's: that of a REFER which names the call's dialog in
//! Target-Dialog (RFC 4538).

use crate::agent::{Context, Tag};
use crate::dialog::Dialog;

/// Such a dialog, and our tag in it.
#[derive(Debug)]
pub(super) struct SeparateDialog {
    pub(super) tag: Tag,
    pub(super) dialog: Dialog,
}

impl SeparateDialog {
    /// Gives the tag back.
    pub(super) fn close(self, cx: &mut Context<'_>) {
        cx.agent.forget_tag(self.tag);
    }
}
