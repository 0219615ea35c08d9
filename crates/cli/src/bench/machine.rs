//! The machine that was measured on, and how quiet it was.

use std::{fs, time::SystemTime};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde::Serialize;

use crate::failure::Failure;

/// What the figures depend on.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// Seconds since 1970.
    pub measured_at: u64,
    pub processor: String,
    pub processors: usize,
    pub architecture: &'static str,
    pub memory_mb: u64,
    pub kernel: String,
    /// The reference's, or none.
    pub python: Option<String>,
    /// Processes that wanted to run, averaged over a minute, before the first measurement and after the last.
    pub load: [f64; 2],
    /// Of the processor's time, what went to others than us while we measured.
    pub others: Option<f64>,
}

impl Machine {
    /// Looks around.
    pub fn look(python: Option<String>) -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let field = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
            line.split_once(':').map_or("unknown", |(_, value)| value.trim()).to_owned()
        };
        let memory = field(&read("/proc/meminfo"), "MemTotal");
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self {
            measured_at: now.as_secs(),
            processor: field(&read("/proc/cpuinfo"), "model name"),
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            architecture: std::env::consts::ARCH,
            memory_mb: memory.split(' ').next().and_then(|kb| kb.parse::<u64>().ok()).unwrap_or_default() / 1024,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            python,
            load: [load(), 0.0],
            others: None,
        }
    }

    /// The day, as in 2026-11-21.
    pub fn day(&self) -> String {
        let (year, month, day) = civil(self.measured_at / 86_400);
        format!("{year:04}-{month:02}-{day:02}")
    }

    /// The same with the time of day, as in 2026-11-21T09:30:00.000Z.
    pub fn time(&self) -> String {
        let second = self.measured_at % 86_400;
        format!("{}T{:02}:{:02}:{:02}.000Z", self.day(), second / 3600, second / 60 % 60, second % 60)
    }
}

/// The load average of the last minute.
pub fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or_default()
}

/// The Gregorian date of a day counted from 1970-01-01 (Howard Hinnant's days_from_civil, backwards).
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let month_of_year = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + u64::from(month_of_year <= 2);
    (year, month_of_year, day_of_year - (153 * month + 2) / 5 + 1)
}

/// Keeps this process and its children on one processor: how long a sleeping one takes to wake differs between machines by
/// more than what is measured. Returns its number.
pub fn pin() -> Result<usize, Failure> {
    let failed = |error| Failure::new(format!("keeping to one processor: {error}"));
    let allowed = sched_getaffinity(None).map_err(failed)?;
    let last = (0..CpuSet::MAX_CPU).rev().find(|&processor| allowed.is_set(processor)).unwrap_or_default();
    let mut only = CpuSet::new();
    only.set(last);
    sched_setaffinity(None, &only).map_err(failed)?;
    Ok(last)
}

/// Who used a processor's time: looks twice, at the whole and at ourselves with our children.
pub struct Usage {
    processor: usize,
    busy: u64,
    ours: u64,
    all: u64,
}

impl Usage {
    /// From now on.
    pub fn of(processor: usize) -> Option<Self> {
        let (busy, all) = processor_ticks(processor)?;
        Some(Self { processor, busy, all, ours: own_ticks()? })
    }

    /// The part of the processor's time since then that went to others, the machine's other guests among them.
    pub fn others(&self) -> Option<f64> {
        let (busy, all) = processor_ticks(self.processor)?;
        let ours = own_ticks()? - self.ours;
        let elapsed = all.saturating_sub(self.all).max(1);
        Some((busy - self.busy).saturating_sub(ours) as f64 / elapsed as f64)
    }
}

/// Ticks in which the processor did something, and all ticks.
fn processor_ticks(processor: usize) -> Option<(u64, u64)> {
    let text = fs::read_to_string("/proc/stat").ok()?;
    let name = format!("cpu{processor} ");
    let line = text.lines().find(|line| line.starts_with(&name))?;
    let ticks: Vec<u64> = line.split_whitespace().skip(1).take(8).filter_map(|word| word.parse().ok()).collect();
    // The fourth and the fifth are idle and waiting for a disk.
    let idle: u64 = ticks.iter().skip(3).take(2).sum();
    let all: u64 = ticks.iter().sum();
    Some((all - idle, all))
}

/// Ticks of this process and of the children that have ended.
fn own_ticks() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/stat").ok()?;
    let (_, fields) = text.rsplit_once(") ")?;
    Some(fields.split(' ').skip(11).take(4).filter_map(|word| word.parse::<u64>().ok()).sum())
}

#[cfg(test)]
mod tests {
    use super::{Machine, civil};

    #[test]
    fn days_are_told_as_dates() {
        for (days, date) in [(0, (1970, 1, 1)), (11_016, (2000, 2, 29)), (20_778, (2026, 11, 21))] {
            assert_eq!(civil(days), date);
        }
    }

    #[test]
    fn a_machine_knows_itself() {
        let machine = Machine::look(None);
        assert!(machine.memory_mb > 0 && !machine.kernel.is_empty());
    }
}
