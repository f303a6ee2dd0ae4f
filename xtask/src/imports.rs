//! What a WebAssembly module asks of its host: its import section (WebAssembly core specification,
//! section 5.5.5). The core must ask for nothing; a clock or a random source that slipped in shows
//! here.

use std::fmt;

/// One import: the module's and the thing's name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Import {
    pub(crate) module: String,
    pub(crate) name: String,
}

impl fmt::Display for Import {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.module, self.name)
    }
}

/// Reads every import of a module. `None` when the bytes are not a module.
pub(crate) fn imports(module: &[u8]) -> Option<Vec<Import>> {
    let mut reader = Reader(module.strip_prefix(b"\0asm\x01\0\0\0")?);
    while !reader.0.is_empty() {
        let section = reader.byte()?;
        let length = reader.number()?;
        let mut content = Reader(reader.take(length)?);
        if section == IMPORT_SECTION {
            return content.imports();
        }
    }
    Some(Vec::new())
}

const IMPORT_SECTION: u8 = 2;

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn imports(&mut self) -> Option<Vec<Import>> {
        let count = self.number()?;
        let mut found = Vec::new();
        for _ in 0..count {
            let import = Import { module: self.name()?, name: self.name()? };
            self.skip_description()?;
            found.push(import);
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

    fn name(&mut self) -> Option<String> {
        let length = self.number()?;
        String::from_utf8(self.take(length)?.to_vec()).ok()
    }

    /// An unsigned LEB128 number (section 5.2.2).
    fn number(&mut self) -> Option<usize> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return usize::try_from(value).ok();
            }
        }
        None
    }

    fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
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
