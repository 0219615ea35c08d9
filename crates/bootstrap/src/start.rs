//! From the process's environment variables to a running CPython.

pub mod command_line;
pub mod config;
pub mod environment;
pub mod exec_wrapper;
pub mod frozen_modules;
pub mod gc;
pub mod huge_pages;
pub mod interpreter;
pub mod proofs;
pub mod restored_from;
pub mod site;
pub mod user_agent;
