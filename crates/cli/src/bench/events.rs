//! The events of warm invocations and of the JSON comparison.

use serde_json::{Value, json};

/// An event and how it is called.
pub struct Event {
    pub name: &'static str,
    pub payload: String,
    /// Among so many warm invocations, one is of this event: the large ones take long.
    pub rarity: usize,
}

/// What warm invocations echo.
pub fn warm() -> Vec<Event> {
    let event = |name, payload, rarity| Event { name, payload, rarity };
    vec![
        event("100 B", json!({"message": "x".repeat(86)}).to_string(), 1),
        event("2 kB, API Gateway", compact(include_str!("../../events/apigateway-v2.json")), 1),
        event("10 kB", mixed(10_000), 2),
        event("1 MB", mixed(1_000_000), 20),
        event("5.9 MB", mixed(5_900_000), 80),
    ]
}

/// What the JSON comparison reads and writes: the services' events, and growing mixed ones.
pub fn marshalled() -> Vec<Event> {
    let event = |name, payload| Event { name, payload, rarity: 1 };
    vec![
        event("API Gateway, format 1", compact(include_str!("../../events/apigateway-v1.json"))),
        event("API Gateway, format 2", compact(include_str!("../../events/apigateway-v2.json"))),
        event("SQS", compact(include_str!("../../events/sqs.json"))),
        event("S3", compact(include_str!("../../events/s3.json"))),
        event("EventBridge", compact(include_str!("../../events/eventbridge.json"))),
        event("mixed, 10 kB", mixed(10_000)),
        event("mixed, 1 MB", mixed(1_000_000)),
        event("mixed, 5.9 MB", mixed(5_900_000)),
    ]
}

/// As the Runtime API sends it: without spaces between the tokens.
fn compact(json: &str) -> String {
    serde_json::from_str::<Value>(json).map_or_else(|_| json.to_owned(), |value| value.to_string())
}

/// Records of every kind of value, at most `size` bytes of them.
fn mixed(size: usize) -> String {
    let mut text = String::with_capacity(size);
    text.push_str(r#"{"records":["#);
    for number in 0.. {
        let record = json!({
            "id": number,
            "name": format!("Record {number}: crème brûlée, 北京 and \"quotes\"\n"),
            "price": f64::from(number) * 1.37 + 0.01,
            "active": number % 3 == 0,
            "parent": if number % 5 == 0 { Value::Null } else { json!(number / 2) },
            "tags": ["alpha", "beta", format!("tag-{}", number % 17)],
            "position": {"latitude": -33.8 + f64::from(number % 90), "longitude": 151.2 - f64::from(number % 180)},
            "text": "The quick brown fox jumps over the lazy dog. ".repeat(usize::try_from(number % 4).unwrap_or(0)),
        })
        .to_string();
        if text.len() + record.len() + 3 > size {
            break;
        }
        if number > 0 {
            text.push(',');
        }
        text.push_str(&record);
    }
    text.push_str("]}");
    text
}

#[cfg(test)]
mod tests {
    use super::{Value, mixed, warm};

    #[test]
    fn mixed_events_are_json_of_about_the_size_they_claim() {
        for size in [10_000, 1_000_000] {
            let text = mixed(size);
            assert!(text.len() <= size && text.len() > size - 1000, "{}", text.len());
            assert!(serde_json::from_str::<Value>(&text).expect("JSON")["records"].is_array());
        }
    }

    #[test]
    fn the_smallest_event_has_a_hundred_bytes() {
        assert_eq!(warm()[0].payload.len(), 100);
    }
}
