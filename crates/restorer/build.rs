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
  . = DATA;
  .data : { *(.data .data.*) *(.data.rel.ro*) *(.got .got.*) } :data
  .bss : { *(.bss .bss.*) *(COMMON) } :data
  /DISCARD/ : { *(.eh_frame*) *(.gcc_except_table*) *(.data.DW.ref.*) *(.comment) *(.note*) *(.gnu*) *(.interp) *(.dyn*) *(.hash) *(.rela*) }
}
";

fn main() {
    // The program has to start on every kernel, also where it then refuses: kernels of arm64 may have pages of 64 KiB.
    let (address, largest_page, data) = match env::var("CARGO_CFG_TARGET_ARCH").as_deref() {
        Ok("aarch64") => ("0x1000000000", "0x10000", "ALIGN(0x10000) + (. & 0xffff)"),
        _ => ("0x10000000000", "0x1000", "ALIGN(0x1000)"),
    };
    let script = PathBuf::from(env::var("OUT_DIR").expect("cargo sets OUT_DIR")).join("restorer.ld");
    fs::write(&script, LAYOUT.replace("ADDRESS", address).replace("DATA", data)).expect("OUT_DIR can be written");
    println!("cargo:rustc-link-arg-bins=-Wl,-z,max-page-size={largest_page}");
    for option in ["-nostartfiles", "-nostdlib", "-static", "-no-pie", "-Wl,--build-id=none"] {
        println!("cargo:rustc-link-arg-bins={option}");
    }
    println!("cargo:rustc-link-arg-bins=-Wl,-T,{}", script.display());
    println!("cargo:rerun-if-changed=build.rs");
}
