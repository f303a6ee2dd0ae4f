//! Makes JavaScript of a module that was compiled with wasm-bindgen: `bindgen MODULE.wasm FOLDER`, and
//! with `--names` leaves the functions' names in it, to see what weighs what.
#![forbid(unsafe_code)]

mod layout;

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use wasm_bindgen_cli_support::Bindgen;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (module, folder, names) = match arguments.as_slice() {
        [module, folder] => (module, folder, false),
        [flag, module, folder] if flag == "--names" => (module, folder, true),
        _ => {
            eprintln!("usage: bindgen [--names] MODULE.wasm FOLDER");
            return ExitCode::from(2);
        }
    };
    match make(module, folder, names) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bindgen: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn make(module: &str, folder: &str, names: bool) -> Result<(), Box<dyn Error>> {
    let mut bindgen = Bindgen::new();
    bindgen.input_path(module).typescript(true);
    // A page has no use for the functions' names.
    bindgen.remove_name_section(!names).remove_producers_section(true);
    // Whoever loads the module says where it is: a bundler takes along every file that is named.
    bindgen.omit_default_module_path(true);
    bindgen.web(true)?.generate(folder)?;
    // Names tell of functions by their numbers.
    if !names {
        let stem = Path::new(module).file_stem().unwrap_or_default().to_string_lossy();
        let made = Path::new(folder).join(format!("{stem}_bg.wasm"));
        fs::write(&made, layout::lay_out(&fs::read(&made)?)?)?;
    }
    Ok(())
}
