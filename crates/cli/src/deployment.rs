//! What is uploaded to Lambda: a layer's zip or a function's.

pub mod architecture;
pub mod archive;
pub mod bytecode;
pub mod contents;
pub mod elf;
pub mod image;
pub mod module_archive;
pub mod sizes;
