//! Makes JavaScript of a module that was compiled with wasm-bindgen: `bindgen MODULE.wasm FOLDER`;
//! `--strip` leaves out the names of functions.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use wasm_bindgen_cli_support::Bindgen;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (module, folder, strip) = match arguments.as_slice() {
        [module, folder] => (module, folder, false),
        [module, folder, flag] if flag == "--strip" => (module, folder, true),
        _ => {
            eprintln!("usage: bindgen MODULE.wasm FOLDER [--strip]");
            return ExitCode::from(2);
        }
    };
    let mut bindgen = Bindgen::new();
    bindgen.input_path(module).typescript(true);
    bindgen.remove_name_section(strip).remove_producers_section(strip);
    let made = bindgen.web(true).and_then(|bindgen| bindgen.generate(folder));
    match made {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bindgen: {error:#}");
            ExitCode::FAILURE
        }
    }
}
