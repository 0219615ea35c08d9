//! Links the example with a static CPython, where the configuration asks for that: its code is for a fixed place.

#![allow(
    deprecated,
    reason = "what replaces a field of pyo3's configuration came after 0.28, the last that embeds 3.13t"
)]

fn main() {
    if !pyo3_build_config::get().shared {
        println!("cargo:rustc-link-arg-examples=-no-pie");
        println!("cargo:rustc-link-arg-examples=-rdynamic");
    }
}
