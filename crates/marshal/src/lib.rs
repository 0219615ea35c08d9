//! Event bytes to Python objects, and what a handler returns to response bytes.
//!
//! Both directions follow the managed runtime to the byte, error texts included. It uses simplejson 4.3.0, whose rules
//! differ from the standard library's json: NaN is refused on the way in and written on the way out, a nested `bytes` is
//! text, anything with `_asdict()` is an object, and an error names both ends of what it found too much.
//!
//! Nothing here knows Lambda: [`decode`] and [`encode`] return Python exceptions, and what they mean is the caller's.

mod collections;
mod decode;
mod encode;
mod escaped;
mod keys;
mod plain;
mod recursion;
mod syntax_error;
mod unicode;

pub use decode::decode;
pub use encode::encode;
