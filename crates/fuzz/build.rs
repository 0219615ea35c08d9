//! Links the fuzzers and the tests with the CPython, and notes where its standard library lies.

#![allow(
    deprecated,
    reason = "what replaces the fields of pyo3's configuration came after 0.28, the last that embeds 3.13t"
)]

use std::path::Path;

fn main() {
    let python = pyo3_build_config::get();
    if python.shared {
        if let Some(folder) = &python.lib_dir {
            println!("cargo:rustc-link-arg=-Wl,-rpath,{folder}");
        }
    } else {
        println!("cargo:rustc-link-arg=-no-pie");
        println!("cargo:rustc-link-arg=-rdynamic");
    }
    let executable =
        python.executable.as_deref().expect("the pyo3 configuration names no interpreter: run `make build`");
    let home = Path::new(executable).parent().and_then(Path::parent).expect("an interpreter lies in PREFIX/bin");
    println!("cargo:rustc-env=PYTHON_PREFIX={}", home.display());
}
