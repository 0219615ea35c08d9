//! The arguments that say which event a function gets.

use std::io::{self, Read};

use serde::de::IgnoredAny;
use serde_json::Value;

use crate::{events, failure::Failure};

/// Where an event comes from, and what is changed in it.
#[derive(clap::Args)]
#[command(next_help_heading = "Event")]
pub struct EventArguments {
    /// The event: a file of JSON, JSON itself that begins with { [ or ", or - for standard input [default: {}]
    #[arg(short, long, value_name = "FILE|JSON|-", conflicts_with = "example")]
    event: Option<String>,
    /// A sample event by its name, see `whipsnake events list`
    #[arg(long, value_name = "NAME")]
    example: Option<String>,
    #[command(flatten)]
    changes: Changes,
}

/// What is changed in an event.
#[derive(clap::Args)]
pub struct Changes {
    /// Changes a field of the event: Records.0.body=text, or headers.x:=JSON; may be repeated
    #[arg(long = "set", value_name = "PATH=TEXT", value_parser = Change::parse)]
    changes: Vec<Change>,
}

impl EventArguments {
    /// The event's bytes, known to be JSON. Where nothing is changed in it, they are as they were written.
    pub fn read(&self) -> Result<Vec<u8>, Failure> {
        let event = match (&self.event, &self.example) {
            (_, Some(name)) => events::named(name)?.json.as_bytes().to_vec(),
            (None, None) => b"{}".to_vec(),
            (Some(event), None) => read(event)?,
        };
        self.changes.apply(event)
    }
}

fn read(event: &str) -> Result<Vec<u8>, Failure> {
    let (name, read) = if event == "-" {
        let mut bytes = Vec::new();
        let read = io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes);
        ("standard input", read)
    } else if event.trim_start().starts_with(['{', '[', '"']) {
        ("--event", Ok(event.as_bytes().to_vec()))
    } else {
        (event, std::fs::read(event))
    };
    let bytes = read.map_err(|error| {
        let remedy = "name a file of JSON, JSON itself in quotation marks, or a sample with --example";
        Failure::new(format!("reading the event from {name}: {error}; {remedy}"))
    })?;
    serde_json::from_slice::<IgnoredAny>(&bytes)
        .map_err(|error| Failure::new(format!("the event in {name} is not JSON: {error}")))?;
    Ok(bytes)
}

impl Changes {
    /// `event` with the changes.
    pub fn apply(&self, event: Vec<u8>) -> Result<Vec<u8>, Failure> {
        if self.changes.is_empty() {
            return Ok(event);
        }
        let unchangeable = |error| Failure::new(format!("changing the event: {error}"));
        let mut value: Value = serde_json::from_slice(&event).map_err(unchangeable)?;
        for change in &self.changes {
            change.apply(&mut value)?;
        }
        serde_json::to_vec_pretty(&value).map_err(unchangeable)
    }
}

/// One field and its new value.
#[derive(Clone, Debug)]
struct Change {
    path: String,
    value: Value,
}

impl Change {
    fn parse(text: &str) -> Result<Change, String> {
        let (path, value) = text.split_once('=').ok_or_else(|| format!("{text:?} is not PATH=TEXT or PATH:=JSON"))?;
        match path.strip_suffix(':') {
            Some(path) => {
                let value = serde_json::from_str(value).map_err(|error| format!("{value:?} is not JSON: {error}"))?;
                Ok(Change { path: path.to_owned(), value })
            }
            None => Ok(Change { path: path.to_owned(), value: value.into() }),
        }
    }

    /// Objects get the fields that they lack; lists have only the places that they have.
    fn apply(&self, event: &mut Value) -> Result<(), Failure> {
        let mut place = event;
        for name in self.path.split('.') {
            let found = match place {
                Value::Array(items) => name.parse::<usize>().ok().and_then(|index| items.get_mut(index)),
                Value::Object(fields) => Some(fields.entry(name).or_insert(Value::Null)),
                Value::Null => {
                    *place = Value::Object(serde_json::Map::new());
                    place.as_object_mut().map(|fields| fields.entry(name).or_insert(Value::Null))
                }
                _ => None,
            };
            place = found.ok_or_else(|| {
                Failure::new(format!("the event has no place for --set {}: there is no {name:?} in it", self.path))
            })?;
        }
        place.clone_from(&self.value);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Change;
    use serde_json::json;

    fn changed(change: &str) -> Result<String, String> {
        let mut event = json!({"Records": [{"body": "a"}], "n": 1});
        let change = Change::parse(change)?;
        change.apply(&mut event).map_err(|failure| failure.to_string())?;
        Ok(event.to_string())
    }

    #[test]
    fn fields_are_changed_and_added() {
        assert_eq!(changed("Records.0.body={\"b\": 1}").as_deref(), Ok(r#"{"Records":[{"body":"{\"b\": 1}"}],"n":1}"#));
        assert_eq!(changed("n:=[2.50]").as_deref(), Ok(r#"{"Records":[{"body":"a"}],"n":[2.5]}"#));
        assert_eq!(changed("a.b=c=d").as_deref(), Ok(r#"{"Records":[{"body":"a"}],"n":1,"a":{"b":"c=d"}}"#));
    }

    #[test]
    fn what_has_no_place_is_named() {
        for change in ["Records.1.body=a", "Records.first=a", "n.b=a"] {
            let path = change.split('=').next().expect("a path");
            assert!(changed(change).expect_err("no place").contains(&format!("no place for --set {path}")));
        }
        assert_eq!(changed("n").expect_err("no value"), "\"n\" is not PATH=TEXT or PATH:=JSON");
        assert!(changed("n:=[").expect_err("no JSON").contains("is not JSON"));
    }
}
