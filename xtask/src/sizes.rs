//! `cargo xtask sizes`: what weighs what in the modules of the JavaScript package, by the names of their
//! functions, as a table in Markdown.

use std::collections::BTreeMap;
use std::fs;

use crate::imports::imports;
use crate::module::{DATA_SECTION, functions, sections};
use crate::run::Run;
use crate::steps::{Failure, StepResult};
use crate::wasm;

/// What has less is not listed alone, in bytes.
const LEAST: usize = 2_000;

/// Each module and the features that it is built with.
const MODULES: &[(&str, &str)] =
    &[("the telephone", ""), ("the media machine", "--no-default-features --features media")];

/// One kind of code.
#[derive(Default)]
struct Share {
    functions: usize,
    code: Vec<u8>,
}

/// Prints a table for each module.
pub(crate) fn print() -> Result<StepResult, Failure> {
    for (title, features) in MODULES {
        let module = wasm::with_names(features)?;
        let broken = || Failure(format!("{title} cannot be read"));
        let imported = imports(&module).ok_or_else(broken)?;
        let imported = imported.iter().filter(|import| import.is_function).count();
        let mut shares = BTreeMap::<String, Share>::new();
        for function in functions(&module, imported).ok_or_else(broken)? {
            let share = shares.entry(part(&function.name)).or_default();
            share.functions += 1;
            share.code.extend_from_slice(function.body);
        }
        let data = sections(&module).ok_or_else(broken)?.into_iter();
        let data = data.filter(|(number, _)| *number == DATA_SECTION);
        let data = data.flat_map(|(_, content)| content.0.to_vec()).collect();
        shares.insert("texts and tables".to_owned(), Share { functions: 0, code: data });
        print_table(title, fold_small(shares))?;
    }
    Ok(StepResult::Done)
}

/// The part of the program that a function belongs to. What is generic bears the name of who wrote it, std
/// in most cases, and not of who uses it.
fn part(name: &str) -> String {
    if let Some((_, after)) = name.split_once("offhook_core::") {
        let module = after.split(|c: char| !c.is_alphanumeric() && c != '_').next();
        return format!("core: `{}`", module.unwrap_or_default());
    }
    let known = [
        ("offhook_wasm", "glue"),
        ("wasm_bindgen", "wasm-bindgen, js-sys"),
        ("js_sys", "wasm-bindgen, js-sys"),
        ("dlmalloc", "memory allocation"),
        ("drop_in_place", "std: what drops values"),
        ("vec", "std: collections"),
        ("collections", "std: collections"),
        ("hashbrown", "std: collections"),
        ("iter", "std: iterators, closures"),
        ("::ops::function", "std: iterators, closures"),
        ("::fmt", "std: formatting"),
        ("::net::", "std: addresses"),
    ];
    if let Some((_, part)) = known.into_iter().find(|(sign, _)| name.contains(sign)) {
        return part.to_owned();
    }
    let start = name.trim_start_matches(|c: char| !c.is_alphanumeric() && c != '_');
    let of_crate = start.split(|c: char| !c.is_alphanumeric() && c != '_').next();
    match of_crate.unwrap_or_default() {
        "sha2" | "md5" | "digest" | "block_buffer" => "digests".to_owned(),
        "core" | "alloc" | "std" | "str" | "T" | "" => "std: the rest".to_owned(),
        other => other.to_owned(),
    }
}

/// Puts what is small together.
fn fold_small(shares: BTreeMap<String, Share>) -> Vec<(String, Share)> {
    let (mut listed, small): (Vec<_>, Vec<_>) =
        shares.into_iter().partition(|(_, share)| share.code.len() >= LEAST);
    let mut rest = Share::default();
    for (_, share) in small {
        rest.functions += share.functions;
        rest.code.extend(share.code);
    }
    listed.sort_by_key(|(_, share)| core::cmp::Reverse(share.code.len()));
    listed.push(("the rest".to_owned(), rest));
    listed
}

/// Prints the shares. By brotli each has what the module would be smaller without it.
fn print_table(title: &str, shares: Vec<(String, Share)>) -> Result<(), Failure> {
    let file = wasm::target_dir().join("sizes/shares.bin");
    let all: Vec<u8> = shares.iter().flat_map(|(_, share)| share.code.iter().copied()).collect();
    fs::write(&file, &all)
        .map_err(|error| Failure(format!("cannot write {}: {error}", file.display())))?;
    let script = "const [file, ...lengths] = process.argv.slice(1);\
                  const all = require('fs').readFileSync(file);\
                  const packed = (bytes) => require('zlib').brotliCompressSync(bytes).length;\
                  let at = 0;\
                  for (const length of [0, ...lengths.map(Number)]) {\
                    const without = [all.subarray(0, at), all.subarray(at += length)];\
                    console.log(packed(Buffer.concat(without)));\
                  }";
    let run = Run::new("node -e").arg(script).arg(&file);
    let lengths = shares.iter().map(|(_, share)| share.code.len().to_string());
    let printed = lengths.fold(run, Run::arg).read()?;
    let packed: Vec<usize> = printed.lines().filter_map(|line| line.parse().ok()).collect();
    let [whole, without @ ..] = packed.as_slice() else {
        return Err(Failure(format!("node has printed no numbers: {printed}")));
    };
    let kilo = |bytes: usize| bytes as f64 / 1_000.0;
    println!("\n| {title} | functions | kB | by brotli |\n|---|--:|--:|--:|");
    let functions: usize = shares.iter().map(|(_, share)| share.functions).sum();
    println!("| in all | {functions} | {:.1} | {:.1} |", kilo(all.len()), kilo(*whole));
    for ((part, share), without) in shares.iter().zip(without) {
        let (bytes, saved) = (kilo(share.code.len()), kilo(whole.saturating_sub(*without)));
        println!("| {part} | {} | {bytes:.1} | {saved:.1} |", share.functions);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_belongs_to_the_part_that_its_name_tells() {
        let parts = [
            ("offhook_core::sip::parser::Draft::read::h29c8", "core: `sip`"),
            ("<offhook_core::phone::Phone as offhook_core::host::Endpoint>::f", "core: `phone`"),
            ("alloc::vec::Vec<T,A>::insert::h01", "std: collections"),
            ("<core[c593]::fmt::Formatter>::pad_integral", "std: formatting"),
            ("sha2::sha512::compress512::hbd11", "digests"),
            ("memchr::memchr::memchr_raw", "memchr"),
            ("<str>::trim", "std: the rest"),
        ];
        for (name, expected) in parts {
            assert_eq!(part(name), expected, "{name}");
        }
    }
}
