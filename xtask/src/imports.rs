//! What a WebAssembly module asks of its host: its import section (WebAssembly core specification,
//! section 5.5.5). The core must ask for nothing; a clock or a random source that slipped in shows
//! here.

use std::fmt;

use crate::module::{IMPORT_SECTION, Reader, sections};

/// One import: the module's and the thing's name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Import {
    pub(crate) module: String,
    pub(crate) name: String,
    pub(crate) is_function: bool,
}

impl fmt::Display for Import {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.module, self.name)
    }
}

/// Reads every import of a module. `None` when the bytes are not a module.
pub(crate) fn imports(module: &[u8]) -> Option<Vec<Import>> {
    let mut sections = sections(module)?.into_iter();
    match sections.find(|(number, _)| *number == IMPORT_SECTION) {
        Some((_, mut content)) => content.imports(),
        None => Some(Vec::new()),
    }
}

impl Reader<'_> {
    fn imports(&mut self) -> Option<Vec<Import>> {
        let count = self.number()?;
        let mut found = Vec::new();
        for _ in 0..count {
            let (module, name) = (self.name()?, self.name()?);
            let is_function = self.0.first() == Some(&0);
            self.skip_description()?;
            found.push(Import { module, name, is_function });
        }
        Some(found)
    }

    /// The description of a function, table, memory, global or tag (section 5.5.5).
    fn skip_description(&mut self) -> Option<()> {
        match self.byte()? {
            0 => drop(self.number()?),
            1 => {
                self.byte()?;
                self.skip_limits()?;
            }
            2 => self.skip_limits()?,
            3 => drop(self.take(2)?),
            4 => {
                self.byte()?;
                self.number()?;
            }
            _ => return None,
        }
        Some(())
    }

    fn skip_limits(&mut self) -> Option<()> {
        let has_maximum = self.byte()? & 1 == 1;
        self.number()?;
        if has_maximum {
            self.number()?;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &[u8] = b"\0asm\x01\0\0\0";

    #[test]
    fn lists_every_kind_of_import() {
        let section = [
            b"\x04\x03env\x03now\x00\x05".as_slice(),
            b"\x03env\x05table\x01\x70\x01\x01\x02",
            b"\x03env\x06memory\x02\x00\x11",
            b"\x01g\x01x\x03\x7f\x00",
        ]
        .concat();
        let module = [
            HEAD,
            // A custom section before it, as wasm-bindgen writes.
            b"\x00\x03\x02hi",
            &[IMPORT_SECTION, u8::try_from(section.len()).unwrap()],
            &section,
        ]
        .concat();
        let names: Vec<_> = imports(&module).unwrap().iter().map(Import::to_string).collect();
        assert_eq!(names, ["env.now", "env.table", "env.memory", "g.x"]);
    }

    #[test]
    fn a_module_without_the_section_asks_for_nothing() {
        assert_eq!(imports(HEAD), Some(Vec::new()));
    }

    #[test]
    fn refuses_what_is_no_module_or_is_cut_off() {
        assert_eq!(imports(b"\x7fELF"), None);
        assert_eq!(imports(&[HEAD, &[IMPORT_SECTION, 9, 1, 3, b'e']].concat()), None);
    }
}
