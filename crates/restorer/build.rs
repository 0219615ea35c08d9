//! Links a static program without a C library, at the fixed address where no dumped process has anything.

use std::path::PathBuf;
use std::{env, fs};

/// Everything in one read-execute and one read-write segment at that address.
const LAYOUT: &str = "ENTRY(_start)
PHDRS { code PT_LOAD FLAGS(5); data PT_LOAD FLAGS(6); stack PT_GNU_STACK FLAGS(6); }
SECTIONS {
  . = ADDRESS + SIZEOF_HEADERS;
  .rodata : { *(.rodata .rodata.*) } :code
  .text : { *(.text .text.*) } :code
  . = ALIGN(0x1000);
  .data : { *(.data .data.*) *(.data.rel.ro*) *(.got .got.*) } :data
  .bss : { *(.bss .bss.*) *(COMMON) } :data
  /DISCARD/ : { *(.eh_frame*) *(.gcc_except_table*) *(.data.DW.ref.*) *(.comment) *(.note*) *(.gnu*) *(.interp) *(.dyn*) *(.hash) *(.rela*) }
}
";

fn main() {
    let address = match env::var("CARGO_CFG_TARGET_ARCH").as_deref() {
        Ok("aarch64") => "0x1000000000",
        _ => "0x10000000000",
    };
    let script = PathBuf::from(env::var("OUT_DIR").expect("cargo sets OUT_DIR")).join("restorer.ld");
    fs::write(&script, LAYOUT.replace("ADDRESS", address)).expect("OUT_DIR can be written");
    for option in ["-nostartfiles", "-nostdlib", "-static", "-no-pie", "-Wl,--build-id=none"] {
        println!("cargo:rustc-link-arg-bins={option}");
    }
    println!("cargo:rustc-link-arg-bins=-Wl,-T,{}", script.display());
    println!("cargo:rerun-if-changed=build.rs");
}
