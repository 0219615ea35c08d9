//! The two kinds of processor that Lambda has.

use std::fmt;

use object::elf;

use crate::failure::Failure;

/// A kind of processor, by Lambda's name for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Architecture {
    /// Intel and AMD.
    #[value(name = "x86_64")]
    X86_64,
    /// Graviton.
    Arm64,
}

impl Architecture {
    /// This machine's.
    pub fn of_this_machine() -> Result<Self, Failure> {
        match std::env::consts::ARCH {
            "x86_64" => Ok(Self::X86_64),
            "aarch64" => Ok(Self::Arm64),
            other => Err(Failure::new(format!("Lambda has no {other} processors: name x86_64 or arm64 with --arch"))),
        }
    }

    /// What an ELF file of this kind has as its machine.
    pub fn machine(self) -> elf::Machine {
        match self {
            Self::X86_64 => elf::EM_X86_64,
            Self::Arm64 => elf::EM_AARCH64,
        }
    }

    /// The name of an ELF file's machine, for people.
    pub fn name_of(machine: elf::Machine) -> String {
        match machine {
            elf::EM_X86_64 => "x86_64".into(),
            elf::EM_AARCH64 => "arm64".into(),
            other => format!("another processor ({})", other.0),
        }
    }

    /// What Rust and cargo call it.
    pub fn target(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64-unknown-linux-gnu",
            Self::Arm64 => "aarch64-unknown-linux-gnu",
        }
    }

    /// What GNU's tools call it: Debian's library folders, and the prefix of cross tools.
    pub fn triplet(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64-linux-gnu",
            Self::Arm64 => "aarch64-linux-gnu",
        }
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::X86_64 => "x86_64",
            Self::Arm64 => "arm64",
        })
    }
}
