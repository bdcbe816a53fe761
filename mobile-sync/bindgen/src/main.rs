//! Writes the sources for Kotlin, Swift and Python from the built library: `daybook-bindgen LIBRARY FOLDER`.

use std::process::ExitCode;

use uniffi_bindgen::bindings::{GenerateOptions, TargetLanguage, generate};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [library, folder] = arguments.as_slice() else {
        eprintln!("usage: daybook-bindgen LIBRARY FOLDER");
        return ExitCode::FAILURE;
    };
    for (name, language) in
        [("kotlin", TargetLanguage::Kotlin), ("swift", TargetLanguage::Swift), ("python", TargetLanguage::Python)]
    {
        let options = GenerateOptions {
            languages: vec![language],
            source: library.as_str().into(),
            out_dir: format!("{folder}/{name}").into(),
            format: false,
            ..GenerateOptions::default()
        };
        if let Err(error) = generate(options) {
            eprintln!("error: {name}: {error:#}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
