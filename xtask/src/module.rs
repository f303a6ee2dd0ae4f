//! Reading WebAssembly modules (WebAssembly core specification, section 5.5).

/// The bytes of a module, or of a part of it.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

/// A function that a module defines.
pub(crate) struct Function<'a> {
    /// As the section of names has it; empty without one.
    pub(crate) name: String,
    /// Its locals and instructions.
    pub(crate) body: &'a [u8],
}

pub(crate) const CUSTOM_SECTION: u8 = 0;
pub(crate) const IMPORT_SECTION: u8 = 2;
pub(crate) const CODE_SECTION: u8 = 10;
pub(crate) const DATA_SECTION: u8 = 11;

/// The subsection of the custom section `name` that names functions.
const FUNCTION_NAMES: u8 = 1;

/// The sections of a module, each with its number. `None` when the bytes are not a module.
pub(crate) fn sections(module: &[u8]) -> Option<Vec<(u8, Reader<'_>)>> {
    let mut reader = Reader(module.strip_prefix(b"\0asm\x01\0\0\0")?);
    let mut found = Vec::new();
    while !reader.0.is_empty() {
        found.push(reader.section()?);
    }
    Some(found)
}

/// Every function that a module defines; `imported` is how many it imports, which come first in the numbers.
pub(crate) fn functions(module: &[u8], imported: usize) -> Option<Vec<Function<'_>>> {
    let mut functions = Vec::new();
    for (number, mut content) in sections(module)? {
        match number {
            CODE_SECTION => {
                for _ in 0..content.number()? {
                    let length = content.number()?;
                    functions.push(Function { name: String::new(), body: content.take(length)? });
                }
            }
            CUSTOM_SECTION if content.name()? == "name" => {
                while !content.0.is_empty() {
                    let (number, mut names) = content.section()?;
                    let count = if number == FUNCTION_NAMES { names.number()? } else { 0 };
                    for _ in 0..count {
                        let (number, name) = (names.number()?, names.name()?);
                        let own = number.checked_sub(imported);
                        if let Some(function) = own.and_then(|own| functions.get_mut(own)) {
                            function.name = name;
                        }
                    }
                }
            }
            _ => {}
        }
    }
    Some(functions)
}

impl<'a> Reader<'a> {
    /// A section or a subsection: its number and its content.
    fn section(&mut self) -> Option<(u8, Reader<'a>)> {
        let number = self.byte()?;
        let length = self.number()?;
        Some((number, Reader(self.take(length)?)))
    }

    pub(crate) fn name(&mut self) -> Option<String> {
        let length = self.number()?;
        String::from_utf8(self.take(length)?.to_vec()).ok()
    }

    /// An unsigned LEB128 number (section 5.2.2).
    pub(crate) fn number(&mut self) -> Option<usize> {
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

    pub(crate) fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    pub(crate) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_found_by_their_names() {
        let code = b"\x0a\x09\x02\x02\x00\x0b\x04\x00\x41\x01\x0b";
        // The function with number 0 is imported.
        let names = b"\x00\x0f\x04name\x01\x08\x02\x00\x01i\x02\x02ab";
        let module = [b"\0asm\x01\0\0\0".as_slice(), code, names].concat();
        let found = functions(&module, 1).unwrap();
        let found: Vec<_> = found.iter().map(|it| (it.name.as_str(), it.body.len())).collect();
        assert_eq!(found, [("", 2), ("ab", 4)]);
        assert!(functions(&module[..module.len() - 1], 1).is_none());
    }
}
