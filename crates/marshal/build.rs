//! Links the example with a static CPython, where the configuration asks for that: its code is for a fixed place.

// The method that replaces the field came after 0.28, the last that embeds 3.13t.
#![allow(deprecated)]

fn main() {
    if !pyo3_build_config::get().shared {
        println!("cargo:rustc-link-arg-examples=-no-pie");
        println!("cargo:rustc-link-arg-examples=-rdynamic");
    }
}
